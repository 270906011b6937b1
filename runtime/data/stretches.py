"""Sequences of tokens that lie in several places, files among them, read as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
"""int32, token ids."""

AT_ONCE = 1 << 22  # tokens that are looked at together


class Stretches:
    """Arrays of integers one behind another. A slice is an array, and copies what it reads; nothing else is read."""

    def __init__(self, parts: Sequence[npt.NDArray[Any]]) -> None:
        self.parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in self.parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.parts else 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds the ids of all parts."""
        return np.result_type(*self.parts)

    def __getitem__(self, wanted: slice) -> npt.NDArray[Any]:
        first, last, _ = wanted.indices(len(self))
        found = []
        number = int(np.searchsorted(self._ends, first, side="right"))
        while first < last:
            begin = int(self._ends[number]) - len(self.parts[number])
            end = min(last, int(self._ends[number]))
            found.append(self.parts[number][first - begin : end - begin])
            first, number = end, number + 1
        return found[0] if len(found) == 1 else np.concatenate([np.empty(0, self.dtype), *found])


Tokens = npt.NDArray[Any] | Stretches
"""Token ids in a row: in memory, or in mapped files."""


def joined(parts: Sequence[Tokens]) -> Tokens:
    """The parts in a row, where each is: only arrays in memory are copied to one."""
    flat = [one for part in parts for one in (part.parts if isinstance(part, Stretches) else (part,))]
    if len(flat) == 1:
        return flat[0]
    return Stretches(flat) if any(_mapped(one) for one in flat) else cast(Ids, np.concatenate(flat))


def _mapped(array: npt.NDArray[Any]) -> bool:
    base: Any = array
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    return base is not None


def in_parts(tokens: Tokens) -> Iterator[npt.NDArray[Any]]:
    """The tokens a few million at a time."""
    return (tokens[start : start + AT_ONCE] for start in range(0, len(tokens), AT_ONCE))


def counts_of(tokens: Tokens, size: int) -> npt.NDArray[np.int64]:
    """How often each id below `size` occurs, int64 [size]; others are not counted."""
    counts = np.zeros(size, np.int64)
    for part in in_parts(tokens):
        counts += np.bincount(part[part < size], minlength=size)
    return counts


def bounds(tokens: Tokens) -> tuple[int, int]:
    """The smallest and the largest id; (0, 0) of none."""
    found = [(int(part.min()), int(part.max())) for part in in_parts(tokens)]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else (0, 0)
