"""The evaluator as a backend: float32 in NumPy, or float64 for a program of that; no compiler in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from netc.codegen.distribute.lockstep import EachReplica, dealt, run_together
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.symbolic.sizes import batch_of
from netc.codegen.symbolic.specialise import specialised
from netc.runtime.backends.protocol import Array, Source


class ReferenceLoaded:
    """Runs the module's operations one by one; where it has replicas, each operation for all of them."""

    exact_loops = True
    synchronous = True
    concurrent_put = True

    def __init__(self, source: Source) -> None:
        self.module = source.module
        self._by_batch: dict[int, Module] = {}
        kept = (v.type.dtype for f in source.module for v in f.params)
        self._width: Literal["f32", "f64"] = "f64" if "f64" in kept else "f32"
        self._replicas = source.module.replicas

    def put(self, array: Array, axis: int | None = None) -> Any:
        """The array itself, or each replica's part."""
        array = np.asarray(array)
        return array if self._replicas == 1 else dealt(array, self._replicas, axis)

    def get(self, buffer: Any) -> Array:
        """The array itself, or the one that the replicas' parts are together."""
        whole: Array = buffer.whole() if isinstance(buffer, EachReplica) else buffer
        return whole

    def wait(self, buffers: Sequence[Any]) -> None:
        """Nothing to wait for."""

    def call(self, function: str, args: Sequence[Any]) -> list[Any]:
        """Evaluate in the program's precision; what leaves as float32 is rounded to it."""
        if self._replicas == 1:
            return self._rounded(function, run(self._at(function, args), function, args, self._width))
        found = run_together(self.module, function, args, self._width)
        each = [self._rounded(function, own) for own in zip(*(v.parts for v in found), strict=True)]
        return [EachReplica(parts, v.axis) for v, parts in zip(found, zip(*each, strict=True), strict=True)]

    def _at(self, function: str, args: Sequence[Any]) -> Module:
        """The module, at the batch of the arguments where it is one of any."""
        batch = batch_of(self.module.function(function), [a.shape for a in args])
        if batch is None:
            return self.module
        if batch not in self._by_batch:
            self._by_batch[batch] = specialised(self.module, batch)
        return self._by_batch[batch]

    def _rounded(self, function: str, results: Sequence[Array]) -> list[Array]:
        if self._width == "f32":
            return [*results]
        types = (v.type.dtype for v in self.module.function(function).results)
        return [r.astype(np.float32) if t == "f32" else r for r, t in zip(results, types, strict=True)]


def load_reference(source: Source) -> ReferenceLoaded:
    """The module as it stands."""
    return ReferenceLoaded(source)
