"""Kernels as CUDA C++, which nvcc makes PTX of where it is, and as OpenCL C, which PoCL runs where it is."""

import ctypes.util
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from netc.kernels.gpu_text import cuda_text, opencl_text
from netc.kernels.launch import launch_of
from netc.kernels.lean import kernels_of
from netc.kernels.nvcc import checked_by_nvcc
from netc.kernels.opencl_run import _opencl
from netc.kernels.python import kernels_of as python_kernels
from netc.kernels.run import run_once
from netc.netspec.errors import NetcError, UserError
from tests.kernels.cases import CASES, NAMES, agrees
from tests.kernels.test_compiled import TEXT, given


def test_cuda_reads_as_one_would_write_it():
    kernel = CASES[NAMES.index("saxpy")].kernel
    text = cuda_text(kernel, ())
    assert (
        text
        == """\
// saxpy(N: int32, alpha: float, x: float[], y: float[], result: float[]), from saxpy.lean:6
extern "C" __global__ void saxpy(int N,
    float alpha,
    const float *__restrict__ x,
    const float *__restrict__ y,
    float *__restrict__ result)
{
    const int i = (int)blockIdx.x * (int)blockDim.x + (int)threadIdx.x;
    if (i < N) {
        const float xi = x[i];
        const float yi = y[i];
        result[i] = alpha * xi + yi;
    }
}
"""
    )


UNREAD = "@kernel\ndef k(x: Array[float32]):\n  i = global_idx.x\n  y = x[i]\n  z = 2.0 * x[i]\n  x[i] = z\n"


def test_a_variable_that_nobody_reads_is_no_warning():
    """It stays, since the read may be outside of the array; nvcc warned of it, which its check takes for a refusal."""
    (kernel,) = python_kernels(UNREAD, "k.py")
    assert "    const float y = x[i];\n    (void)y;\n    const float z" in cuda_text(kernel, ())


def every_kernel():
    yield from ((k, launch_of(k, 1, 8)) for k in python_kernels(UNREAD, "k.py"))
    yield from ((c.kernel, launch_of(c.kernel, c.grid, c.block)) for c in CASES)
    yield from ((k, launch_of(k, 1, 8)) for k in kernels_of(TEXT, "f.lean"))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc is on PATH")
def test_nvcc_makes_ptx_of_every_kernel():
    """In one file, since a start of nvcc takes seconds; each in a namespace of its own, as helpers have one name."""
    texts = [f"namespace n{n} {{\n{cuda_text(k, la.shared)}}}" for n, (k, la) in enumerate(every_kernel())]
    said = checked_by_nvcc("\n".join(texts))
    assert "nvcc takes it: " in said and " lines of PTX for sm_" in said
    with pytest.raises(NetcError, match="nvcc refuses the kernel: "):
        checked_by_nvcc("__global__ void f(int *x) { x = y; }")


@pytest.fixture(scope="module")
def pocl():
    if ctypes.util.find_library("OpenCL") is None:
        pytest.skip("no libOpenCL")
    try:
        return _opencl().name()
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_opencl_agrees_with_numpy(case, pocl):
    done = run_once(case.kernel, (case.grid, case.block), case.numbers, case.arrays, target="opencl")
    agrees(case, done.results, max(case.near, 1e-6))


def test_opencl_computes_every_type_operator_and_atomic(pocl):
    _, numbers, atomics = kernels_of(TEXT, "f.lean")
    for kernel in (numbers, atomics):
        simulated, done = (
            run_once(kernel, (1, 8), {"N": 8, "to": 8}, given(), target=target) for target in ("simulate", "opencl")
        )
        for name, array in simulated.results.items():
            assert array.tobytes() == done.results[name].tobytes(), (kernel.name, name)
    assert "__kernel void numbers_kernel(int N" in opencl_text(numbers, (8,))


def test_opencl_takes_launches_from_several_threads(pocl):
    """They share one kernel, which keeps the arguments that it was given last."""
    case = CASES[NAMES.index("saxpy")]
    size = len(case.arrays["x"])

    def off(alpha):
        numbers = {**case.numbers, "alpha": float(alpha)}
        arrays = {**case.arrays, "x": np.full(size, alpha, np.float32), "y": np.zeros(size, np.float32)}
        done = run_once(case.kernel, (case.grid, case.block), numbers, arrays, target="opencl")
        return float(np.abs(done.results["result"][: numbers["N"]] - alpha * alpha).max())

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(off, range(1, 65)))


def test_without_a_device_one_sentence_says_what_to_install(monkeypatch):
    from netc.kernels.opencl_run import _OpenCL

    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(UserError, match=r"`target=opencl` wants OpenCL, got none: no libOpenCL; install PoCL"):
        _OpenCL()
