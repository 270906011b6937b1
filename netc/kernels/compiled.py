"""A kernel compiled: its C as a shared library of the cache, called in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from netc.kernels.c_text import c_text
from netc.kernels.ir import Kernel, Number, Type
from netc.kernels.launch import Launch, Memory
from netc.kernels.simulate import Fault
from netc.kernels.spelling import plain_name
from netc.netspec.errors import UserError
from netc.runtime.c_compiler import compile_c
from netc.runtime.cache.store import Cache

# sums and products round each, and integers wrap, as in the simulation
FLAGS = ("-ffp-contract=off", "-fwrapv")
UNCHECKED = "-DNETC_UNCHECKED"
SCALARS: dict[Type, Any] = {
    "f32": ctypes.c_float, "f64": ctypes.c_double, "i32": ctypes.c_int32, "u8": ctypes.c_uint8, "bool": ctypes.c_bool,
}  # fmt: skip
KINDS = {1: "outside", 2: "divergence", 3: "endless"}
_EMPTY = np.zeros(1)  # what stands for an array without elements


class Compiled:
    """A kernel as a function of this process. `unchecked`: an index outside an array is not told, and may do harm."""

    def __init__(self, kernel: Kernel, *, unchecked: bool = False) -> None:
        self.kernel = kernel
        flags = (*FLAGS, UNCHECKED) if unchecked else FLAGS
        entry = compile_c(c_text(kernel), f"kernel {kernel.name}", Cache(), flags)
        try:
            self._function = getattr(ctypes.CDLL(str(entry.path)), plain_name(kernel))
        except OSError as error:
            raise UserError(f"{entry.path} cannot be loaded ({error}); run `netc cache clear`") from error
        arrays = [t for _ in kernel.globals for t in (ctypes.c_void_p, ctypes.c_int64)]
        self._function.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, *(SCALARS[s.type] for s in kernel.scalars), *arrays,
            ctypes.c_void_p,
        ]  # fmt: skip
        self._function.restype = None

    def __call__(
        self, launch: Launch, scalars: Mapping[str, Number], memory: Mapping[str, Memory]
    ) -> tuple[Fault, ...]:
        """Run; what it writes stands in `memory`, flat arrays that share no bytes. The first fault, if there is one."""
        sizes, fault = (ctypes.c_int64 * max(1, len(launch.shared)))(*launch.shared), (ctypes.c_int64 * 6)()
        given: list[Any] = []
        for array in self.kernel.globals:
            held = memory[array.name]
            given += [held.ctypes.data if held.size else _EMPTY.ctypes.data, held.size]
        self._function(
            (ctypes.c_int32 * 3)(*launch.grid), (ctypes.c_int32 * 3)(*launch.block), sizes,
            *(scalars[s.name] for s in self.kernel.scalars), *given, fault,
        )  # fmt: skip
        return (self._fault(launch, list(fault)),) if fault[0] else ()

    def _fault(self, launch: Launch, told: list[int]) -> Fault:
        kind, line, array, index, team, thread = told
        who = launch.who(team * launch.threads + thread)
        sentences = {
            "outside": f"{who} uses {self.kernel.arrays[array].name}[{index}], outside its elements",
            "divergence": f"{who} goes another way than {launch.who(team * launch.threads)}, and barriers lie there",
            "endless": f"{who} has gone round this loop too often, or its step is below 1",
        }
        return Fault(KINDS[kind], line, sentences[KINDS[kind]])


@lru_cache(maxsize=64)
def compiled(kernel: Kernel) -> Compiled:
    """The kernel, compiled once in this process. Raises UserError or CompileError."""
    return Compiled(kernel)


def run_compiled(
    kernel: Kernel, launch: Launch, scalars: Mapping[str, Number], memory: Mapping[str, Memory]
) -> tuple[Fault, ...]:
    """Run a kernel as C; the first fault, if there is one. Raises UserError or CompileError."""
    return compiled(kernel)(launch, scalars, memory)
