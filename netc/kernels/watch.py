"""Who touched an element last: what tells a race from accesses that a barrier parts.

Two accesses of one element race if they are of two threads, one of them writes, not both are atomic, and nothing orders
them: they are of two blocks, or of one block between the same two barriers (the same epoch). Of the threads that read
an element since the last barrier two are kept, and one of another block: with these every race of the next write is
seen. Source: the two-thread reduction of Betts et al., GPUVerify, OOPSLA 2012, here for the threads that run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
NOBODY = -1


class Clash(NamedTuple):
    """Two accesses that race: the element, both threads (counted over the grid) and both lines."""

    element: int
    now: int
    before: int
    now_line: int
    before_line: int
    how: str  # "writes", "reads" or "changes": what the one before did


class _Touched:
    """Of one kind of access: for each element two threads of one block and epoch, and one of another block."""

    def __init__(self, size: int) -> None:
        self.first, self.second, self.other = (np.full(size, NOBODY, np.int32) for _ in range(3))
        self.epoch, self.line, self.other_line = (np.zeros(size, np.int32) for _ in range(3))

    def add(self, at: NDArray[np.intp], lanes: Ints, epochs: Ints, line: int, threads: int) -> None:
        """The elements `at` are touched by `lanes`."""
        held = self.first[at]
        same = held // threads == lanes // threads
        old = (held == NOBODY) | (same & (self.epoch[at] < epochs))
        self.second[at[old]] = NOBODY
        self.first[at[old]] = lanes[old]
        self.epoch[at[old]] = epochs[old]
        self.line[at[old]] = line
        held = self.first[at]
        same = held // threads == lanes // threads
        also = same & (held != lanes)
        self.second[at[also]] = lanes[also]
        self.other[at[~same]] = lanes[~same]
        self.other_line[at[~same]] = line


class Watch:
    """The accesses of one array. `threads`: of a block."""

    def __init__(self, size: int, threads: int) -> None:
        self.size, self.threads = size, threads
        self.writer = np.full(size, NOBODY, np.int32)
        self.epoch, self.line = (np.zeros(size, np.int32) for _ in range(2))
        self.reads = _Touched(size)
        self._atomics: _Touched | None = None

    def read(self, at: NDArray[np.intp], lanes: Ints, epochs: Ints, line: int) -> Clash | None:
        """Note that `lanes` read the elements `at`; the first race, if there is one."""
        found = self._written(at, lanes, epochs, line) or self._touched(
            self._atomics, "changes", at, lanes, epochs, line
        )
        self.reads.add(at, lanes, epochs, line, self.threads)
        return found

    def write(self, at: NDArray[np.intp], lanes: Ints, epochs: Ints, line: int) -> Clash | None:
        """Note that `lanes` write the elements `at`; the first race, if there is one."""
        found = (
            _twice(at, lanes, line)
            or self._written(at, lanes, epochs, line)
            or self._touched(self.reads, "reads", at, lanes, epochs, line)
            or self._touched(self._atomics, "changes", at, lanes, epochs, line)
        )
        self.writer[at], self.epoch[at], self.line[at] = lanes, epochs, line
        return found

    def change(self, at: NDArray[np.intp], lanes: Ints, epochs: Ints, line: int) -> Clash | None:
        """Note that `lanes` change the elements `at` by an atomic operation; the first race, if there is one."""
        found = self._written(at, lanes, epochs, line) or self._touched(self.reads, "reads", at, lanes, epochs, line)
        self._atomics = self._atomics or _Touched(self.size)
        self._atomics.add(at, lanes, epochs, line, self.threads)
        return found

    def unset(self, at: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of the elements no thread has written."""
        never: NDArray[np.bool_] = self.writer[at] == NOBODY
        if self._atomics:
            never &= self._atomics.first[at] == NOBODY
        return never

    def _written(self, at: NDArray[np.intp], lanes: Ints, epochs: Ints, line: int) -> Clash | None:
        held = self.writer[at]
        hit = self._clashes(held, self.epoch[at], lanes, epochs)
        return _first(hit, at, lanes, held, line, self.line[at], "writes")

    def _touched(
        self, by: _Touched | None, how: str, at: NDArray[np.intp], lanes: Ints, epochs: Ints, line: int
    ) -> Clash | None:
        if by is None:
            return None
        for held, lines in ((by.first, by.line), (by.second, by.line), (by.other, by.other_line)):
            hit = self._clashes(held[at], by.epoch[at], lanes, epochs)
            if found := _first(hit, at, lanes, held[at], line, lines[at], how):
                return found
        return None

    def _clashes(self, held: Ints, held_epochs: Ints, lanes: Ints, epochs: Ints) -> NDArray[np.bool_]:
        apart = held // self.threads != lanes // self.threads
        found: NDArray[np.bool_] = (held != NOBODY) & (held != lanes) & (apart | (held_epochs == epochs))
        return found


def _first(
    hit: NDArray[np.bool_], at: NDArray[np.intp], lanes: Ints, held: Ints, line: int, lines: Ints, how: str
) -> Clash | None:
    if not hit.any():
        return None
    n = int(hit.argmax())
    return Clash(int(at[n]), int(lanes[n]), int(held[n]), line, int(lines[n]), how)


def _twice(at: NDArray[np.intp], lanes: Ints, line: int) -> Clash | None:
    """Two of the lanes write one element in this very statement."""
    order: Any = np.argsort(at, kind="stable")
    sorted_at = at[order]
    hit = sorted_at[1:] == sorted_at[:-1]
    if not hit.any():
        return None
    n = int(hit.argmax())
    return Clash(int(sorted_at[n]), int(lanes[order[n + 1]]), int(lanes[order[n]]), line, line, "writes")
