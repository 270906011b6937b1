"""A module of one function made ready for a target and called with arrays of the host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from netc.codegen.inference import NAME
from netc.codegen.ir import Module
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.runtime.backends import check_device, load
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.cache.store import Cache
from netc.runtime.compile import compile_cached
from netc.runtime.session import DTYPES
from netc.runtime.target import Target, of_float64


class SmallProgram:
    """One function of a module on a target, `predict` if none is named. `held` are its first arguments by name, put
    there once.

    The passes `without` are left out when it is lowered.
    """

    def __init__(
        self, module: Module, target: Target, cache: Cache, held: Mapping[str, Array], label: str,
        without: Collection[str] = (), function: str = NAME,
    ) -> None:  # fmt: skip
        if any(v.type.dtype == "f64" for f in module for v in f.params):
            target = of_float64(target)
        check_device(target)
        lowered = lower(target.suited(module), target.profile, without=without)
        text = text_of(lowered, target.profile)
        artefact = compile_cached(text, target, label, cache).path if target.ahead else None
        self._loaded = load(Source(lowered, text, artefact), target)
        self._name, found = function, lowered.function(function)
        self._types = [v.type for v in found.params]
        self._held = [
            self._loaded.put(np.asarray(held[n], DTYPES[t.dtype]))
            for n, t in zip(found.names, self._types, strict=True)
            if n in held
        ]

    def __call__(self, *args: Array) -> Sequence[Array]:
        """The results for the arguments that are not held, in order."""
        types = self._types[len(self._held) :]
        given = [self._loaded.put(np.asarray(a, DTYPES[t.dtype])) for a, t in zip(args, types, strict=True)]
        return [self._loaded.get(r) for r in self._loaded.call(self._name, [*self._held, *given])]
