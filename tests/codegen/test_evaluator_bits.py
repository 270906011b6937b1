"""Float32 bits of the evaluator: the same whichever kernels BLAS has for the processor, on any number of threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = {"Prescott": "pni", "Haswell": "avx2", "Zen": "avx2", "SkylakeX": "avx512f"}  # what each needs

STEP = """
import hashlib
import numpy as np
from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.layers import Conv2d, Dense, Flatten, MultiHeadAttention, SpatialFlatten
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec

layers = (Conv2d(16, 3), SpatialFlatten(), MultiHeadAttention(2), Flatten(), Dense(10))
module = build(check(NetSpec("bits", (12, 12, 1), layers)), Recipe(), 32).module
state = run(module, "init", [np.array([0, 7], np.uint32)], "f32")
draws = np.random.default_rng(0)
data = [draws.random((32, 12, 12, 1)), draws.integers(0, 10, 32), 1e-3]
results = run(module, "train_step", [*state, *data], "f32")
print(hashlib.sha256(b"".join(r.tobytes() for r in results)).hexdigest())
"""


def printed(**environment):
    held = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", STEP], env=held | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def bits():
    return printed()


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_of_blas_do_not_show(bits, kernel):
    """Where NumPy comes with OpenBLAS; elsewhere the variable means nothing."""
    cpu = Path("/proc/cpuinfo")
    if not cpu.exists() or KERNELS[kernel] not in cpu.read_text().split():
        pytest.skip(f"{kernel}'s kernels want a processor with {KERNELS[kernel]}")
    assert printed(OPENBLAS_CORETYPE=kernel) == bits


@pytest.mark.parametrize("threads", ["1", "2"])
def test_threads_of_blas_do_not_show(bits, threads):
    assert printed(OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads) == bits
