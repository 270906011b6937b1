"""The mistakes that a net is surest of."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from netc.runtime.metrics.seen import JSON, Seen, Task


@dataclass(frozen=True, order=True)
class Mistake:
    """An example of the part by its number, its class, and what was said instead; each with its probability.

    They are in the order of `log_loss`, -log of the right class's probability.
    """

    log_loss: float
    index: int
    true: int
    said: int
    true_chance: float
    said_chance: float


class Worst:
    """The `keep` mistakes of the largest log loss, the worst first; for one class an example."""

    def __init__(self, task: Task, keep: int) -> None:
        self._task, self._keep = task, keep
        self._held: list[Mistake] = []

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        wrong = np.flatnonzero(~seen.right)
        for row in wrong[np.argsort(-seen.log_loss[wrong], kind="stable")][: self._keep].tolist():
            true, said = int(seen.target[row]), int(seen.guess[row])
            chances = seen.chances[row]
            found = Mistake(
                float(seen.log_loss[row]),
                int(seen.numbers[row]),
                true,
                said,
                float(chances[true]),
                float(chances[said]),
            )
            heapq.heappush(self._held, found)
            if len(self._held) > self._keep:
                heapq.heappop(self._held)

    @property
    def mistakes(self) -> list[Mistake]:
        """The worst first."""
        return sorted(self._held, reverse=True)

    def result(self) -> JSON:
        """As plain JSON."""
        return [vars(m) for m in self.mistakes]
