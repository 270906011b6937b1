"""The examples of which a net gets the largest part of the places wrong, pixels of images."""

from __future__ import annotations

import numpy as np

from netc.runtime.metrics.seen import JSON, Seen, Task


class WorstExamples:
    """How many places of each example were judged, and how many were wrong; places without a class do not count."""

    def __init__(self, task: Task, keep: int) -> None:
        self._task, self._keep = task, keep
        self._judged, self._wrong = np.zeros((2, -(-task.rows // task.places)), np.int64)

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        examples = seen.numbers // self._task.places
        np.add.at(self._judged, examples, 1)
        np.add.at(self._wrong, examples[~seen.right], 1)

    @property
    def worst(self) -> list[tuple[int, float]]:
        """The numbers of the examples with the part of their places that is wrong, the worst first; none without."""
        part = self._wrong / np.maximum(self._judged, 1)
        order = np.argsort(-part, kind="stable")[: self._keep].tolist()
        return [(index, float(part[index])) for index in order if part[index] > 0]

    def result(self) -> JSON:
        """As plain JSON."""
        return self.worst
