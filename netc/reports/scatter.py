"""What a regression said against what is true, as a picture of dots."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netc.reports.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Chart, Drawn, Point, ticks
from netc.runtime.metrics.seen import JSON, Seen, Task

DOTS = 600  # as many as are drawn


class Pairs:
    """Pairs (true, said) of the first output, of rows at equal distances, at most DOTS."""

    def __init__(self, task: Task) -> None:
        self._every = max(1, math.ceil(task.rows / DOTS))
        self.found: list[Point] = []

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        kept = seen.numbers % self._every == 0
        self.found += zip(seen.target[kept, 0].tolist(), seen.z[kept, 0].tolist(), strict=True)

    def result(self) -> JSON:
        """The pairs as lists."""
        return [list(pair) for pair in self.found]


def scatter(pairs: Sequence[Point]) -> Chart | None:
    """A dot for each pair, true to the right and said upwards, and the line on which they are equal.

    None where nothing is finite.
    """
    pairs = [p for p in pairs if all(map(math.isfinite, p))]
    if not pairs:
        return None
    axis = Axis.over(min(map(min, pairs)), max(map(max, pairs)), False)

    def put(true: float, said: float) -> Point:
        return axis.place(true, LEFT, WIDTH - RIGHT), axis.place(said, HEIGHT - BOTTOM, TOP)

    (x0, y0), (x1, y1) = put(axis.low, axis.low), put(axis.high, axis.high)
    about = f"What was said against what is true, for {len(pairs):,} test examples."
    return Chart(
        "Said (upwards) against true", about,
        (Drawn("equal", 1, f"M{x0:g},{y0:g}L{x1:g},{y1:g}", "", (), True),
         Drawn("test examples", 0, "", "", tuple(put(*p) for p in pairs), False)),
        ticks(axis, LEFT, WIDTH - RIGHT), ticks(axis, HEIGHT - BOTTOM, TOP),
    )  # fmt: skip
