"""The area under the ROC curve: the chance that a true one is ranked above an untrue one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netc.runtime.metrics.seen import JSON, Floats, Seen, Task

SCORES = 1 << 25  # that are kept until the end, where they are sorted: 288 MB with their targets


def area(scores: Floats, true: npt.NDArray[np.bool_]) -> float | None:
    """The area for scores [n]: Mann and Whitney's U over the pairs, equal scores counted half; None without pairs."""
    above, below = int(true.sum()), int((~true).sum())
    if not above or not below:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place]  # the mean rank of equal scores, from 1
    return float((ranks[true].sum() - above * (above + 1) / 2) / (above * below))


class Areas:
    """The area for two classes; for more classes or labels that of each against the rest, and their mean."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._scores: list[Floats] = []
        self._true: list[npt.NDArray[np.bool_]] = []

    @property
    def _two(self) -> bool:
        return self._task.classified and self._task.width == 2

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        if self._two:
            self._scores.append(seen.z[:, 1:] - seen.z[:, :1])
            self._true.append(seen.target[:, np.newaxis] == 1)
        elif self._task.classified:
            self._scores.append(seen.chances)
            self._true.append(seen.target[:, np.newaxis] == np.arange(self._task.width))
        else:
            self._scores.append(seen.z)
            self._true.append(seen.target > 0.5)

    def result(self) -> JSON:
        """The mean, and the area of each class."""
        scores, true = np.concatenate(self._scores), np.concatenate(self._true)
        found = [area(scores[:, i], true[:, i]) for i in range(scores.shape[1])]
        if self._two:
            return {"mean": found[0], "classes": [{"class": self._task.name(1), "value": found[0]}]}
        there = [value for value in found if value is not None]
        return {
            "mean": float(np.mean(there)) if there else None,
            "classes": self._task.each(found),
        }
