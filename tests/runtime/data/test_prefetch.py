from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from netc.runtime.data.batches import prefetch
from netc.runtime.data.errors import DataError


def threads() -> int:
    return sum(thread.name.startswith("netc-prefetch") for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_gives_the_items_in_order(depth, count):
    assert list(prefetch(iter(range(count)), depth)) == list(range(count))
    assert threads() == 0


def test_none_is_an_item():
    assert list(prefetch(iter([None, None]))) == [None, None]


def failing() -> Iterator[int]:
    yield 1
    raise DataError("damaged")


def test_an_exception_comes_at_its_place():
    items = prefetch(failing(), depth=3)
    assert next(items) == 1
    with pytest.raises(DataError, match="damaged"):
        next(items)
    assert threads() == 0


def test_it_works_ahead_but_not_further_than_its_depth():
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    items = prefetch(source(), depth=2)
    assert next(items) == 0
    deadline = time.monotonic() + 600
    while len(made) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert made == [0, 1, 2]


@pytest.mark.parametrize("end", ["close", "drop"])
def test_it_ends_when_it_is_left(end):
    items = prefetch(iter(range(1000)))
    assert next(items) == 0
    assert threads() == 1
    if end == "close":
        items.close()  # type: ignore[attr-defined]
    del items
    assert threads() == 0


def test_depth():
    with pytest.raises(DataError, match="wants a depth of 1 or more, got 0"):
        prefetch(iter([]), 0)
