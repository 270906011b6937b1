"""The emitted C as a backend: a shared library of the system's compiler, called through ctypes.

Tensors are arrays of the host. A function writes what it takes over where it lies, so arrays are copied on the way in
and out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from netc.codegen.c.interface import Interface, interfaces
from netc.codegen.c.plan import WIDTHS
from netc.codegen.c.source import c_source
from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.c_compiler import compile_c
from netc.runtime.cache.store import Cache

ALIGNMENT = 64  # bytes
NUMPY = {
    "f64": np.float64, "f32": np.float32, "bf16": np.float32, "i32": np.int32, "i64": np.int64, "ui32": np.uint32,
    "ui8": np.uint8, "i1": np.bool_,
}  # fmt: skip
BY_VALUE: dict[str, Any] = {
    "f64": ctypes.c_double, "f32": ctypes.c_float, "bf16": ctypes.c_float, "i32": ctypes.c_int32,
    "i64": ctypes.c_int64, "ui32": ctypes.c_uint32, "ui8": ctypes.c_uint8, "i1": ctypes.c_uint8,
}  # fmt: skip


class CLoaded:
    """A module as a shared library."""

    exact_loops = True
    synchronous = True
    concurrent_put = True

    def __init__(self, source: Source) -> None:
        entry = compile_c(source.text, f"C {source.module.name}", Cache())
        try:
            self._library = ctypes.CDLL(str(entry.path))
        except OSError as error:
            raise UserError(f"{entry.path} cannot be loaded ({error}); `netc cache clear`") from error
        state, self._interfaces = interfaces(source.module)
        self._fields = {name: n for n, name in enumerate(state)}
        made = c_source(source.module)
        room = sum(-(-WIDTHS[r] * size // ALIGNMENT) * ALIGNMENT for r, size in made.sizes.items())
        self._memory = np.empty(room + ALIGNMENT, np.uint8)
        begin = self._memory.ctypes.data
        self._work = ctypes.c_void_p(begin + -begin % ALIGNMENT)

    def put(self, array: Array, axis: int | None = None) -> Array:
        """A copy; there is one device."""
        return np.array(array, order="C")

    def get(self, buffer: Array) -> Array:
        """A copy."""
        return buffer.copy()

    def wait(self, buffers: Sequence[Array]) -> None:
        """Nothing to wait for: `call` returns when its results are computed."""

    def call(self, function: str, args: Sequence[Array]) -> list[Array]:
        """Call; the arrays that are taken over come back as results."""
        i: Interface = self._interfaces[function]
        f = i.function
        results = [
            args[n] if n < i.donated else np.empty(v.shape, NUMPY[v.type.dtype]) for n, v in enumerate(f.results)
        ]
        given: list[Any] = [self._work]
        if i.stateful:
            fields = (ctypes.c_void_p * len(self._fields))()
            for n, name in i.fields.items():
                fields[self._fields[name]] = args[n].ctypes.data
            for n, name in i.result_fields.items():
                fields[self._fields[name]] = results[n].ctypes.data
            given.append(fields)
        for n in i.names:
            t = f.params[n].type
            by_value = t.shape == () and n >= i.donated
            given.append(BY_VALUE[t.dtype](args[n].item()) if by_value else ctypes.c_void_p(args[n].ctypes.data))
        given += [ctypes.c_void_p(results[n].ctypes.data) for n in i.result_names]
        getattr(self._library, f"net_{function}")(*given)
        return results


def load_c(source: Source) -> CLoaded:
    """The module compiled, or taken from the cache, and loaded. Raises UserError or CompileError."""
    return CLoaded(source)
