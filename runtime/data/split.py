"""What a part of a data set is, of images: read only when they are asked for, with a label each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from netc.runtime.data.augment import Images

Labels = npt.NDArray[np.int32]
"""int32 [N], indices into `Dataset.classes`."""

Indices = npt.NDArray[np.int64]
"""int64 [n], positions in a split."""


class Split(Protocol):
    """Images with labels; an image may be read only when it is asked for."""

    @property
    def labels(self) -> Labels:
        """The labels, int32 [N]; of a MaskedSplit, int32 [N, H, W]."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (H, W, C)."""

    def __len__(self) -> int: ...

    def images(self, indices: Indices) -> Images:
        """Return a fresh array of the images at `indices` [n]: uint8 [n, H, W, C]."""

    def part(self, indices: Indices) -> Split:
        """Return the split of the images at `indices` [n] alone."""

    def picture(self, index: int) -> Image.Image:
        """Return one image as it is stored, of its own size, upright, in mode L or RGB."""


@dataclass(frozen=True, eq=False)
class OverSplit:
    """What a split that is made of `base` has of it, unless it says otherwise."""

    base: Split

    @property
    def labels(self) -> Labels:
        """The labels, int32 [N]."""
        return self.base.labels

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (H, W, C)."""
        return self.base.shape

    def __len__(self) -> int:
        return len(self.base)

    def images(self, indices: Indices) -> Images:
        """Return the images at `indices` [n]: uint8 [n, H, W, C]; raises `DataError` for damaged ones."""
        return self.base.images(indices)

    def picture(self, index: int) -> Image.Image:
        """Return one image in its own size; raises `DataError` when it is damaged."""
        return self.base.picture(index)
