"""How fast a training goes, how much of its time is waiting for data, and the memory that its process holds."""

from __future__ import annotations

import resource
from collections import deque
from pathlib import Path

from netc.cli.views.figures import size

WINDOW = 10.0  # seconds that the rate is of
NARROW = 100  # columns; a narrower terminal has room for the rate alone
STATM = Path("/proc/self/statm")


class Pace:
    """The rate over the last seconds, in examples; `examples` is how they are called and `batch` how many a step has.

    An evaluation is no part of it: `pause` says that there is one.
    """

    def __init__(self, batch: int, examples: str) -> None:
        self._batch, self._examples = batch, examples
        self._seen: deque[tuple[float, int]] = deque()
        self.share: float | None = None

    def waited(self, share: float) -> None:
        """Take the part of the steps' time, 0 to 1, that was waiting for batches."""
        self.share = share

    def pause(self) -> None:
        """Begin anew after something that is no step."""
        self._seen.clear()

    def said(self, now: float, step: int, width: int) -> str:
        """What a bar says at a time, in seconds, after so many steps, on a terminal of so many columns."""
        self._seen.append((now, step))
        while now - self._seen[0][0] > WINDOW:
            self._seen.popleft()
        first, before = self._seen[0]
        parts = []
        if now > first:
            parts.append(f"{_short(self._batch * (step - before) / (now - first))} {self._examples}/s")
        if self.share is not None and width >= NARROW:
            parts.append(f"data {self.share:.0%}")
        if width >= NARROW and (held := resident()):
            parts.append(size(held))
        return "  ".join(parts)


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def resident() -> int:
    """The bytes of memory that this process holds now; 0 where the system does not tell."""
    try:
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
