"""What a part of a data set is, of images: read only when they are asked for, with a label each."""

from __future__ import annotations

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
