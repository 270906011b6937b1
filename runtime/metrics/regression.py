"""How far numbers are from their targets."""

from __future__ import annotations

import math

import numpy as np

from netc.runtime.metrics.seen import JSON, Seen, Task


class Errors:
    """The errors' sums for each output, and the targets' moments, merged as by Chan et al. 1979."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.count = 0
        self.absolute, self.squared, self.mean, self.spread = np.zeros((4, task.width))

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        off, n = seen.z - seen.target, len(seen.z)
        self.absolute += np.abs(off).sum(axis=0)
        self.squared += (off * off).sum(axis=0)
        own = seen.target.mean(axis=0)
        moved, total = own - self.mean, self.count + n
        self.spread += ((seen.target - own) ** 2).sum(axis=0) + moved * moved * (self.count * n / total)
        self.mean += moved * (n / total)
        self.count = total

    def result(self) -> JSON:
        """Nothing: the metrics below have their own."""


class RMSE(Errors):
    """The root of the mean squared error over all outputs."""

    def result(self) -> JSON:
        """The root."""
        return math.sqrt(float(self.squared.mean()) / self.count)


class MAE(Errors):
    """The mean absolute error over all outputs."""

    def result(self) -> JSON:
        """The mean."""
        return float(self.absolute.mean()) / self.count


class R2(Errors):
    """The coefficient of determination, 1 - sum (z - t)^2 / sum (t - mean t)^2, of each output, and their mean.

    An output whose targets are all equal has 1 if it is right everywhere, else 0.
    """

    def result(self) -> JSON:
        """The mean, and the number of each output."""
        constant = self.spread == 0
        ratio = np.divide(self.squared, self.spread, out=(self.squared > 0).astype(float), where=~constant)
        found = 1 - ratio
        return {"mean": float(found.mean()), "classes": self._task.each(found.tolist())}
