"""What a backend is: put, call, get. Tensors stay where they are computed until somebody gets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from netc.codegen.ir import Module

Array = np.ndarray[Any, Any]
Buffer = Any  # a tensor on the device; only the backend that made it knows what it is


@dataclass(frozen=True)
class Source:
    """What there is to load: the lowered module, its text, and the artefact where one was compiled."""

    module: Module
    text: str
    artefact: Path | None = None


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a tensor: `array`, whose first number stands at `start` of the whole."""

    start: tuple[int, ...]
    array: Array


class Loaded(Protocol):
    """A module that is ready to be called.

    `exact_loops`: a function that loops over another computes bit for bit what calls of that other one do.
    `concurrent_put`: another thread may `put` while one runs `call`.
    `synchronous`: `call` returns when its results are computed, so that `get` never waits.
    """

    exact_loops: bool
    concurrent_put: bool
    synchronous: bool

    def put(self, array: Array, axis: int | None = None) -> Buffer:
        """A NumPy array as a tensor on the device.

        Where replicas run the module, as one on each of this process's: equal parts of it along `axis`, in order, or
        the whole where there is none.
        """

    def get(self, buffer: Buffer) -> Array:
        """A tensor as a NumPy array of the host; waits until it is computed. Of parts on replicas, this process's."""

    def wait(self, buffers: Sequence[Buffer]) -> None:
        """Return when the tensors are computed; nothing is copied."""

    def call(self, function: str, args: Sequence[Buffer]) -> list[Buffer]:
        """Call a function. The caller does not use again those arguments that the function says are donated."""


@runtime_checkable
class InPieces(Loaded, Protocol):
    """A module whose tensors lie in pieces on the devices of several processes."""

    def pieces(self, buffer: Buffer) -> list[Piece]:
        """Those pieces of a tensor that this process is to write: of all processes they are the whole, each once."""
