"""How much work something is, in a measure that no clock has a part in. A helper, not a test."""

from __future__ import annotations

import sys
from collections.abc import Callable


def calls_of(work: Callable[[], object]) -> int:
    """How many functions `work` calls, Python's and C's: the same on every machine, however busy."""
    count = 0

    def seen(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


SLOW_MACHINE = 60.0
"""Seconds of the processor in which work ends that takes 1 or 2, on a machine that is slow and busy.

Without the limit that such a test is of, it takes hours, or all memory.
"""
