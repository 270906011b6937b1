"""Images kept in memory once they were computed or decoded."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from netc.runtime.data.augment import Images
from netc.runtime.data.split import Indices, OverSplit, Split

KEEP_BYTES = 1 << 30
"""A split is kept in memory up to this size; the images of a larger one are computed each time."""


@dataclass(frozen=True, eq=False)
class KeptSplit(OverSplit):
    """`base` with every image kept in memory once it was asked for.

    Takes N·H·W·C bytes when all were; the pages of images not yet asked for are not touched. Safe to read
    from several threads. A `picture`, in its own size, is not kept.
    """

    _kept: Images = field(init=False, repr=False)
    _known: npt.NDArray[np.bool_] = field(init=False, repr=False)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_kept", np.zeros((len(self.base), *self.base.shape), np.uint8))
        object.__setattr__(self, "_known", np.zeros(len(self.base), np.bool_))

    def images(self, indices: Indices) -> Images:
        """Return the images at `indices` [n]: uint8 [n, H, W, C]."""
        asked = np.zeros(len(self.base), np.bool_)
        asked[indices] = True
        with self._lock:
            new = np.flatnonzero(asked & ~self._known)
        if len(new):
            made = self.base.images(new)  # without the lock: several threads decode at once
            with self._lock:
                self._kept[new] = made
                self._known[new] = True
        return self._kept[indices]

    def part(self, indices: Indices) -> Split:
        """Return the split of the images at `indices` [n] alone, kept too."""
        return keep(self.base.part(indices))


def keep(split: Split) -> Split:
    """Return `split` with its images kept once asked for, unless they take more than `KEEP_BYTES`."""
    return KeptSplit(split) if len(split) * prod(split.shape) <= KEEP_BYTES else split
