"""A kernel on a device of OpenCL, through libOpenCL alone: PoCL's is the processor, a GPU's is its driver's."""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import lru_cache
from typing import Any

import numpy as np

from netc.kernels.gpu_text import opencl_text
from netc.kernels.ir import Kernel, Number, Type
from netc.kernels.launch import Launch, Memory
from netc.kernels.simulate import Fault
from netc.kernels.spelling import plain_name
from netc.netspec.errors import NetcError, UserError

ANY_DEVICE, READ_WRITE, BUILD_LOG, NAME = 0xFFFFFFFF, 1, 0x1183, 0x102B
ONE = threading.Lock()  # a kernel keeps the arguments that it is given until it runs, so one thread sets them
WORDS: dict[Type, Any] = {
    "f32": ctypes.c_float, "f64": ctypes.c_double, "i32": ctypes.c_int32, "u8": ctypes.c_uint8, "bool": ctypes.c_uint8,
}  # fmt: skip
HANDLES = (
    "clCreateContext", "clCreateCommandQueue", "clCreateProgramWithSource", "clCreateKernel", "clCreateBuffer",
)  # fmt: skip


class _OpenCL:
    """The library, its first device, and a queue of it."""

    def __init__(self) -> None:
        path = ctypes.util.find_library("OpenCL")
        missing = "install PoCL, which is one for the processor (Debian: apt-get install pocl-opencl-icd)"
        if path is None:
            raise UserError(f"`target=opencl` wants OpenCL, got none: no libOpenCL; {missing}")
        self.library = ctypes.CDLL(path)
        for name in HANDLES:
            getattr(self.library, name).restype = ctypes.c_void_p
        devices = list(self._devices())
        if not devices:
            raise UserError(f"`target=opencl` wants an OpenCL device, got none; {missing}")
        self.device = devices[0]
        self.context = self.made("clCreateContext", None, 1, ctypes.byref(self.device), None, None)
        self.queue = self.made("clCreateCommandQueue", self.context, self.device, ctypes.c_uint64(0))

    def _devices(self) -> Iterator[ctypes.c_void_p]:
        count = ctypes.c_uint(0)
        if self.library.clGetPlatformIDs(0, None, ctypes.byref(count)) or not count.value:
            return
        platforms = (ctypes.c_void_p * count.value)()
        self.call("clGetPlatformIDs", count, platforms, None)
        for platform in platforms:
            device = ctypes.c_void_p()
            kind = ctypes.c_uint64(ANY_DEVICE)
            if not self.library.clGetDeviceIDs(ctypes.c_void_p(platform), kind, 1, ctypes.byref(device), None):
                yield device

    def call(self, name: str, *args: Any) -> None:
        """Call a function. Raises NetcError for another answer than 0."""
        if code := getattr(self.library, name)(*args):
            raise NetcError(f"OpenCL's {name} answers {code}; try `target=c`")

    def made(self, name: str, *args: Any) -> ctypes.c_void_p:
        """What a function makes. Raises NetcError."""
        code = ctypes.c_int(0)
        handle = ctypes.c_void_p(getattr(self.library, name)(*args, ctypes.byref(code)))
        if code.value or not handle:
            raise NetcError(f"OpenCL's {name} answers {code.value}; try `target=c`")
        return handle

    def name(self) -> str:
        """What the device calls itself."""
        text = ctypes.create_string_buffer(256)
        self.call("clGetDeviceInfo", self.device, NAME, ctypes.c_size_t(256), text, None)
        return text.value.decode(errors="replace")

    def program(self, text: str) -> ctypes.c_void_p:
        """A text, built. Raises NetcError with the first line of what is wrong."""
        source = ctypes.c_char_p(text.encode())
        program = self.made("clCreateProgramWithSource", self.context, 1, ctypes.byref(source), None)
        if self.library.clBuildProgram(program, 1, ctypes.byref(self.device), b"-cl-std=CL1.2", None, None):
            log = ctypes.create_string_buffer(1 << 16)
            self.library.clGetProgramBuildInfo(program, self.device, BUILD_LOG, ctypes.c_size_t(1 << 16), log, None)
            lines = [n for n in log.value.decode(errors="replace").splitlines() if "error" in n] or ["no message"]
            raise NetcError(f"OpenCL refuses the kernel: {lines[0].strip()[:200]}; try `target=c`")
        return program


@lru_cache(maxsize=1)
def _opencl() -> _OpenCL:
    return _OpenCL()


@lru_cache(maxsize=64)
def built(kernel: Kernel, shared: tuple[int, ...]) -> ctypes.c_void_p:
    """The kernel, built once in this process. Raises UserError or NetcError."""
    opencl = _opencl()
    program = opencl.program(opencl_text(kernel, shared))
    return opencl.made("clCreateKernel", program, f"{plain_name(kernel)}_kernel".encode())


def run_opencl(
    kernel: Kernel, launch: Launch, scalars: Mapping[str, Number], memory: Mapping[str, Memory]
) -> tuple[Fault, ...]:
    """Run a kernel on the first device of OpenCL, which checks nothing. Raises UserError or NetcError."""
    with ONE, ExitStack() as after:
        opencl, made = _opencl(), built(kernel, launch.shared)
        given: list[Any] = [WORDS[s.type](scalars[s.name]) for s in kernel.scalars]
        buffers: dict[str, ctypes.c_void_p] = {}
        for array in kernel.globals:
            held = memory[array.name] if memory[array.name].size else np.zeros(1, memory[array.name].dtype)
            size, flags = ctypes.c_size_t(held.nbytes), ctypes.c_uint64(READ_WRITE)
            buffer = opencl.made("clCreateBuffer", opencl.context, flags, size, None)
            after.callback(opencl.library.clReleaseMemObject, buffer)
            opencl.call("clEnqueueWriteBuffer", opencl.queue, buffer, 1, *_bytes(held), 0, None, None)
            buffers[array.name] = buffer
        given += [buffers[array.name] for array in kernel.globals]
        for n, value in enumerate(given):
            opencl.call("clSetKernelArg", made, n, ctypes.c_size_t(ctypes.sizeof(value)), ctypes.byref(value))
        all_threads = (ctypes.c_size_t * 3)(*(g * b for g, b in zip(launch.grid, launch.block, strict=True)))
        block = (ctypes.c_size_t * 3)(*launch.block)
        opencl.call("clEnqueueNDRangeKernel", opencl.queue, made, 3, None, all_threads, block, 0, None, None)
        for name in kernel.written:
            if memory[name].size:
                opencl.call("clEnqueueReadBuffer", opencl.queue, buffers[name], 1, *_bytes(memory[name]), 0, None, None)
        opencl.call("clFinish", opencl.queue)
    return ()


def _bytes(array: Memory) -> tuple[Any, Any, Any]:
    """An offset of 0, the size, and where the array lies."""
    return ctypes.c_size_t(0), ctypes.c_size_t(array.nbytes), ctypes.c_void_p(array.ctypes.data)
