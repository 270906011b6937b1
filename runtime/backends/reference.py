"""The evaluator as a backend: float32 in NumPy, or float64 for a program of that; no compiler in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from netc.codegen.evaluator import run
from netc.runtime.backends.protocol import Array, Source


class ReferenceLoaded:
    """Runs the module's operations one by one."""

    exact_loops = True
    synchronous = True
    concurrent_put = True

    def __init__(self, source: Source) -> None:
        self.module = source.module
        kept = (v.type.dtype for f in source.module for v in f.params)
        self._width: Literal["f32", "f64"] = "f64" if "f64" in kept else "f32"

    def put(self, array: Array) -> Array:
        """The array itself."""
        return np.asarray(array)

    def get(self, buffer: Array) -> Array:
        """The array itself."""
        return buffer

    def wait(self, buffers: Sequence[Array]) -> None:
        """Nothing to wait for."""

    def call(self, function: str, args: Sequence[Array]) -> list[Array]:
        """Evaluate in the program's precision; what leaves as float32 is rounded to it."""
        results = run(self.module, function, args, self._width)
        if self._width == "f32":
            return results
        types = (v.type.dtype for v in self.module.function(function).results)
        return [r.astype(np.float32) if t == "f32" else r for r, t in zip(results, types, strict=True)]


def load_reference(source: Source) -> ReferenceLoaded:
    """The module as it stands."""
    return ReferenceLoaded(source)
