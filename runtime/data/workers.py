"""Batches made by several threads at once, in their order.

Threads and not processes: Pillow decodes, resizes and filters, and NumPy copies, without Python's lock, and nothing has
to be sent from one process to another (docs/design-notes.md has the measurement).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from netc.runtime.data.damaged import plain
from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.errors import DataError
from netc.runtime.data.kept import KeptSplit
from netc.runtime.data.split import Split

T = TypeVar("T")
Item = TypeVar("Item")

AUTOMATIC = 0
MOST = 8  # that are taken by themselves


def workers_for(split: Split, asked: int = AUTOMATIC, *, changed: bool = False) -> int:
    """How many threads make batches of a split: as asked, or one for each processor where images are to be decoded.

    Images that are in memory want one thread, unless each of them is `changed`. Raises `DataError` below 0.
    """
    if asked < 0:
        raise DataError(f"`workers` wants 0 (automatic) or more threads, got {asked}")
    base = plain(split)
    quick = isinstance(base.base if isinstance(base, KeptSplit) else base, ArraySplit) and not changed
    return asked or (1 if quick else min(MOST, _processors()))


def in_order(make: Callable[[Item], T], items: Iterable[Item], workers: int) -> Iterator[T]:
    """`make` of each item, in order, by so many threads; they are at most an item each, and one more, ahead.

    What `make` raises is raised at its place. An iterator that is left ends the work after the items at hand.
    """
    return map(make, items) if workers == 1 else _in_order(make, items, workers)


def _in_order(make: Callable[[Item], T], items: Iterable[Item], workers: int) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="netc-data") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
