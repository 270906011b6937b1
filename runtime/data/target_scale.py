"""Columns of numbers in other units: their moments, and the targets of a regression, standardised and put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

ROWS = 10_000  # at a time


@dataclass(frozen=True)
class TargetScale:
    """The mean and standard deviation of each target over the training part, in its own units; empty: left as it is."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.mean)

    def scaled(self, y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Targets [N, K] in their own units as (y - mean) / std, float32."""
        return ((y - np.array(self.mean)) / np.array(self.std)).astype(np.float32) if self else y

    def undone(self, z: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Outputs or scaled targets [N, K] in the targets' own units, float64: z std + mean; as they are if empty."""
        return z.astype(np.float64) * np.array(self.std) + np.array(self.mean) if self else z


NO_SCALE = TargetScale()


def moments(x: npt.NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of each column of x [N, F], in float64; one that never changes has 1."""
    mean, std = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for start in range(0, len(x), ROWS):
        mean += x[start : start + ROWS].sum(axis=0, dtype=np.float64)
    mean /= len(x)
    for start in range(0, len(x), ROWS):
        std += ((x[start : start + ROWS] - mean) ** 2).sum(axis=0)
    std = np.sqrt(std / len(x))
    return tuple(mean.tolist()), tuple(np.where(std > 0, std, 1.0).tolist())
