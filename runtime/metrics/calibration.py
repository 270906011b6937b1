"""Whether probabilities are true: of what is said with 80 %, 80 % should be right."""

from __future__ import annotations

import numpy as np

from netc.runtime.metrics.seen import JSON, Floats, Ints, Seen, Task

BINS = 15
KEPT = 1 << 24  # outputs kept for the temperature, in float32: 64 MB
COLDEST, HOTTEST = 1e-3, 1e3  # temperatures among which the best is looked for
HALVINGS = 60  # of their ratio: to the last bit of a float64


class Reliability:
    """The expected calibration error (Guo et al. 2017, eq. 3): sum_b n_b / n |right_b - confidence_b|.

    The bins (0, 1/15], .., (14/15, 1] are over the probability of the guess.
    """

    def __init__(self) -> None:
        self._count, self._right, self._confidence = np.zeros((3, BINS))

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        self.take(seen.chances.max(axis=1), seen.right)

    def take(self, confidence: Floats, right: np.typing.NDArray[np.bool_]) -> None:
        """Take guesses: their probabilities [n], and whether they were right [n]."""
        place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
        self._count += np.bincount(place, minlength=BINS)
        self._right += np.bincount(place, right, BINS)
        self._confidence += np.bincount(place, confidence, BINS)

    @property
    def error(self) -> float:
        """The expected calibration error."""
        return float(np.abs(self._right - self._confidence).sum() / max(self._count.sum(), 1))

    def result(self) -> JSON:
        """The error, and what each bin holds; an empty bin has None."""
        bins = [
            {"above": i / BINS, "count": int(n), "accuracy": r / n if n else None, "confidence": c / n if n else None}
            for i, (n, r, c) in enumerate(
                zip(self._count, self._right.tolist(), self._confidence.tolist(), strict=True)
            )
        ]
        return {"ece": self.error, "bins": bins}


class Temperature:
    """Temperature scaling: the T for which softmax(z / T) has the least mean log loss (Guo et al. 2017, section 4.2).

    It is fitted on every other row seen, the first, third, .., and judged on the rest: both are of the part that is
    evaluated, none was trained on. Where there are too many outputs to keep, rows in between are left out.
    """

    def __init__(self, task: Task) -> None:
        self._step = -(-task.rows * task.width // KEPT)
        self._z: list[np.typing.NDArray[np.float32]] = []
        self._target: list[Ints] = []

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        kept = seen.numbers % self._step == 0
        self._z.append(seen.z[kept].astype(np.float32))
        self._target.append(seen.target[kept])

    def result(self) -> JSON:
        """The temperature, and log loss and calibration error without and with it."""
        if sum(map(len, self._target)) < 2:
            return None
        z, target = np.concatenate(self._z), np.concatenate(self._target)
        found = fitted(z[::2], target[::2])
        before, after = _judged(z[1::2], target[1::2], 1.0), _judged(z[1::2], target[1::2], found)
        return {
            "temperature": found, "fitted_on": len(z[::2]), "judged_on": len(z[1::2]),
            "log_loss_before": before[0], "log_loss_after": after[0], "ece_before": before[1], "ece_after": after[1],
        }  # fmt: skip


def fitted(z: np.typing.NDArray[np.float32], target: Ints) -> float:
    """The T, in 0.001 to 1000, that minimises the mean log loss of softmax(z / T), for z [n, K] and classes [n].

    In b = 1/T the loss is convex, with the derivative mean(sum_k softmax(b z)_k z_k - z_t): its zero is bisected.
    """
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    rows = z.astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    own = rows[np.arange(len(rows)), target].mean()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        weights = np.exp(rows * np.exp(middle))
        slope = ((weights * rows).sum(axis=1) / weights.sum(axis=1)).mean() - own
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def _judged(z: np.typing.NDArray[np.float32], target: Ints, temperature: float) -> tuple[float, float]:
    """Mean log loss and calibration error of softmax(z / temperature)."""
    task = Task("classes", z.shape[1], len(z))
    seen, reliability = Seen(task, np.arange(len(z)), z.astype(np.float64) / temperature, target), Reliability()
    reliability.add(seen)
    return float(seen.log_loss.mean()), reliability.error
