"""Metrics that are counts: how often what was said is what is true, in all and by class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from netc.runtime.metrics.seen import JSON, LABELS, Floats, Ints, Seen, Task


class Mean:
    """The mean over all rows of a number of each."""

    def __init__(self, of: Callable[[Seen], npt.NDArray[np.generic]], last: Callable[[float], float] = float) -> None:
        self._of, self._last = of, last
        self._sum, self._count = 0.0, 0

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        self._sum += float(self._of(seen).sum(dtype=np.float64))
        self._count += len(seen.z)

    def result(self) -> JSON:
        """The mean, or a function of it."""
        return self._last(self._sum / self._count) if self._count else None


def among(k: int) -> Callable[[Seen], npt.NDArray[np.generic]]:
    """Whether the target's output is one of the k largest, [n]; of equal outputs the first class comes first."""

    def found(seen: Seen) -> npt.NDArray[np.generic]:
        own = seen.z[np.arange(len(seen.z)), seen.target][:, np.newaxis]
        before = np.arange(seen.z.shape[1]) < seen.target[:, np.newaxis]
        rank: Ints = ((seen.z > own) | ((seen.z == own) & before)).sum(axis=1)
        return rank < k

    return found


def brier(seen: Seen) -> Floats:
    """sum_k (p_k - t_k)^2 of each row, [n] (Brier 1950)."""
    p = seen.chances.copy()
    p[np.arange(len(p)), seen.target] -= 1
    found: Floats = (p * p).sum(axis=1)
    return found


def all_right(seen: Seen) -> npt.NDArray[np.bool_]:
    """Whether every label of a row is right, [n]."""
    found: npt.NDArray[np.bool_] = ((seen.z > 0) == (seen.target > 0.5)).all(axis=1)
    return found


def share_right(seen: Seen) -> npt.NDArray[np.generic]:
    """What a net's accuracy counts: of one class 1 or 0, of labels the part that is right, of numbers 0, [n]."""
    if seen.task.classified:
        return seen.right
    if seen.task.kind == LABELS:
        found: Floats = ((seen.z > 0) == (seen.target > 0.5)).mean(axis=1)
        return found
    return np.zeros(len(seen.z))


class Counts:
    """For each class or label: how often it was said and true, said, and true."""

    def __init__(self, task: Task, shown: Callable[[Counts], JSON]) -> None:
        self.task, self._shown = task, shown
        self.hit, self.said, self.true = np.zeros((3, task.width), np.int64)

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        if self.task.classified:
            width = self.task.width
            self.hit += np.bincount(seen.target[seen.right], minlength=width)
            self.said += np.bincount(seen.guess, minlength=width)
            self.true += np.bincount(seen.target, minlength=width)
        else:
            said, true = seen.z > 0, seen.target > 0.5
            self.hit += (said & true).sum(axis=0)
            self.said += said.sum(axis=0)
            self.true += true.sum(axis=0)

    def result(self) -> JSON:
        """What is shown of them."""
        return self._shown(self)

    @property
    def precision(self) -> Floats:
        """Of what was said, the part that is true; 0 where nothing was said."""
        return _ratio(self.hit, self.said)

    @property
    def recall(self) -> Floats:
        """Of what is true, the part that was said; 0 where nothing is."""
        return _ratio(self.hit, self.true)

    @property
    def f1(self) -> Floats:
        """2 hit / (said + true), which is Dice's coefficient too; 0 where the class never occurs."""
        return _ratio(2 * self.hit, self.said + self.true)

    @property
    def iou(self) -> Floats:
        """hit / (said + true - hit), Jaccard's index; 0 where the class never occurs."""
        return _ratio(self.hit, self.said + self.true - self.hit)

    def macro(self, values: Floats) -> float:
        """The mean over the classes that occur, as a target or as what was said."""
        there = (self.said + self.true) > 0
        return float(values[there].mean()) if there.any() else 0.0


def macro(name: str) -> Callable[[Counts], JSON]:
    """The mean over the classes of `precision`, `recall`, `f1` or `iou`."""
    return lambda counts: counts.macro(getattr(counts, name))


def by_class(name: str) -> Callable[[Counts], JSON]:
    """The same mean, and the number of each class; None for a class that never occurs."""

    def shown(counts: Counts) -> JSON:
        there, values = (counts.said + counts.true) > 0, getattr(counts, name)
        each = [float(v) if here else None for v, here in zip(values, there, strict=True)]
        return {"mean": counts.macro(values), "classes": counts.task.each(each)}

    return shown


def per_class(counts: Counts) -> JSON:
    """Precision, recall, F1 and support of each class, and their means."""
    columns = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
    rows = [
        {"class": counts.task.name(i), **{n: float(v[i]) for n, v in columns.items()}, "support": int(counts.true[i])}
        for i in range(counts.task.width)
    ]
    weights = counts.true / max(int(counts.true.sum()), 1)
    return {
        "classes": rows,
        "macro": {n: counts.macro(v) for n, v in columns.items()},
        "weighted": {n: float((v * weights).sum()) for n, v in columns.items()},
    }


class Confusion:
    """How often each class was taken for each: a row for what is true, a column for what was said."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.matrix = np.zeros((task.width, task.width), np.int64)

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        width = self._task.width
        pairs = seen.target * width + seen.guess
        self.matrix += np.bincount(pairs, minlength=width * width).reshape(width, width)

    def result(self) -> JSON:
        """The names and the matrix."""
        return {
            "classes": [self._task.name(i) for i in range(self._task.width)],
            "true_by_predicted": self.matrix.tolist(),
        }


def _ratio(above: Ints, below: Ints) -> Floats:
    found: Floats = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    return found
