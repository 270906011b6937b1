"""How long the steps of a run wait for their data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

T = TypeVar("T")


class _End(Enum):
    END = "end"


@dataclass
class Waiting:
    """Seconds that steps took, and of these the seconds until their batches were there.

    `share` is the part of the time that was waited, 0 to 1; the first batch of an epoch counts too.
    """

    waited: float = 0.0
    seconds: float = 0.0

    @property
    def share(self) -> float:
        """The part of the time that was waited."""
        return self.waited / self.seconds if self.seconds else 0.0

    def each(self, items: Iterator[T]) -> Iterator[tuple[T, float]]:
        """The items, each with the seconds until it was there; the time until the next one is asked for is counted."""
        while True:
            begin = time.perf_counter()
            if (item := next(items, _End.END)) is _End.END:
                return
            waited = time.perf_counter() - begin
            self.waited += waited
            try:
                yield item, waited
            finally:
                self.seconds += time.perf_counter() - begin
