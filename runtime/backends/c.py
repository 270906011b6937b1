"""The emitted C as a backend: a shared library of the system's compiler, called through ctypes.

Tensors are arrays of the host. A function writes what it takes over where it lies, so arrays are copied on the way in
and out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from netc.codegen.c.any_batch import number_at
from netc.codegen.c.interface import Interface
from netc.codegen.c.plan import ALIGNMENT
from netc.codegen.c.source import c_source, room_at
from netc.codegen.symbolic.sizes import batch_of
from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.c_compiler import compile_c
from netc.runtime.cache.store import Cache

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
            raise UserError(f"{entry.path} cannot be loaded ({error}); run `netc cache clear`") from error
        made = c_source(source.module)
        self._module, self._sizes, self._interfaces = source.module, made.sizes, made.interfaces
        self._fields = {name: n for n, name in enumerate(made.state)}
        self._memory = np.empty(0, np.uint8)

    def _work(self, batch: int) -> ctypes.c_void_p:
        """Memory for a call, which is kept until one of a larger batch wants more."""
        room = room_at(self._sizes, batch) + ALIGNMENT
        if self._memory.size < room:
            self._memory = np.empty(room, np.uint8)
        begin = self._memory.ctypes.data
        return ctypes.c_void_p(begin + -begin % ALIGNMENT)

    def numbers(self, name: str, count: int) -> Array:
        """An array of doubles that the library has, where it lies."""
        return np.ctypeslib.as_array((ctypes.c_double * count).in_dll(self._library, name))

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
        batch = batch_of(self._module.function(function), [a.shape for a in args]) or 1
        shapes = [tuple(number_at(n, batch) for n in v.shape) for v in f.results]
        results = [
            args[n] if n < i.donated else np.empty(shapes[n], NUMPY[v.type.dtype]) for n, v in enumerate(f.results)
        ]
        given: list[Any] = [self._work(batch)]
        if i.stateful:
            fields = (ctypes.c_void_p * len(self._fields))()
            for n, name in i.fields.items():
                fields[self._fields[name]] = args[n].ctypes.data
            for n, name in i.result_fields.items():
                fields[self._fields[name]] = results[n].ctypes.data
            given.append(fields)
        if i.sized:
            given.append(ctypes.c_size_t(batch))
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
