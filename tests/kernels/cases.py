"""The kernels of examples/kernels with inputs of odd sizes, and what NumPy says that they give."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netc.kernels.find import find

EXAMPLES = Path(__file__).parents[2] / "examples" / "kernels"
RANDOM = np.random.default_rng(7)


@dataclass(frozen=True)
class Case:
    """A kernel, its launch, what it takes, and what it should give, within `near` times the largest."""

    file: str
    grid: Any
    block: Any
    numbers: dict
    arrays: dict
    wanted: dict
    near: float = 0.0

    @property
    def kernel(self):
        return find(str(EXAMPLES / self.file))


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def _cases():
    x, y = floats(1000), floats(1000)
    a, b = floats(21, 35), floats(35, 18)
    whole = RANDOM.integers(-9, 9, 50).astype(np.int32)
    data = RANDOM.integers(0, 256, 3001).astype(np.uint8)
    wide = RANDOM.standard_normal(700)
    padded = np.concatenate((wide[:1], wide, wide[-1:]))
    parts = np.resize(x, 1024).astype(np.float64)
    parts[1000:] = 0
    none = np.zeros_like
    return [
        Case("saxpy.lean", 4, 256, {"N": 1000, "alpha": 2.5}, {"x": x, "y": y, "result": none(x)},
             {"result": np.float32(2.5) * x + y}),
        Case("vector_add.lean", 2, 256, {"N": 500}, {"x": x, "y": y, "result": none(x)},
             {"result": np.where(np.arange(1000) < 500, x + y, np.float32(0))}),
        Case("reduction.lean", 4, 256, {"N": 1000}, {"x": x, "sums": np.zeros(4, np.float32)},
             {"sums": parts.reshape(4, 256).sum(1)}, 1e-5),
        Case("scan.lean", 1, 64, {"N": 50}, {"input": whole, "output": none(whole)},
             {"output": np.cumsum(whole) - whole}),
        Case("histogram.lean", 3, 128, {"N": 3001}, {"bytes": data, "counts": np.zeros(256, np.int32)},
             {"counts": np.bincount(data, minlength=256)}),
        Case("matmul.lean", (2, 2), (16, 16), {"M": 21, "K": 35, "N": 18},
             {"A": a, "B": b, "C": np.zeros((21, 18), np.float32)}, {"C": a.astype(np.float64) @ b}, 1e-5),
        Case("transpose.lean", (3, 2), (16, 16), {"H": 21, "W": 35},
             {"input": a, "output": np.zeros((35, 21), np.float32)}, {"output": a.T}),
        Case("stencil.lean", 3, 256, {"N": 700}, {"input": wide, "output": none(wide)},
             {"output": (padded[:-2] + padded[1:-1] + padded[2:]) / 3.0}),
        Case("dot.lean", 2, 64, {"N": 700}, {"x": wide, "y": wide[::-1].copy(), "sum": np.zeros(1)},
             {"sum": np.array([wide @ wide[::-1]])}, 1e-12),
    ]  # fmt: skip


CASES = _cases()
NAMES = [c.file.removesuffix(".lean") for c in CASES]


def agrees(case, results, near=None):
    """Whether results are what NumPy says."""
    for name, wanted in case.wanted.items():
        room = (case.near if near is None else near) * np.abs(wanted).max()
        np.testing.assert_allclose(results[name], wanted, rtol=0, atol=room, err_msg=name)
