"""The evaluator as a backend: float32 in NumPy, no compiler in between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netc.codegen.evaluator import run
from netc.runtime.backends.protocol import Array, Source


class ReferenceLoaded:
    """Runs the module's operations one by one."""

    exact_loops = True
    concurrent_put = True

    def __init__(self, source: Source) -> None:
        self.module = source.module

    def put(self, array: Array) -> Array:
        """The array itself."""
        return np.asarray(array)

    def get(self, buffer: Array) -> Array:
        """The array itself."""
        return buffer

    def wait(self, buffers: Sequence[Array]) -> None:
        """Nothing to wait for."""

    def call(self, function: str, args: Sequence[Array]) -> list[Array]:
        """Evaluate in float32."""
        return run(self.module, function, args, "f32")


def load_reference(source: Source) -> ReferenceLoaded:
    """The module as it stands."""
    return ReferenceLoaded(source)
