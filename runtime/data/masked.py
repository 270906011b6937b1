"""Images with a class for each pixel: a mask beside each image, which is cut out, turned and resized with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from netc.runtime.data.examples import VOID

if TYPE_CHECKING:
    from netc.runtime.data.augment import Images
    from netc.runtime.data.frame import Box
    from netc.runtime.data.split import Indices, Labels, Split

IDS = 256  # that a pixel of a mask may have, with VOID
Counts = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]


def _as_stored() -> Pixels:
    return np.arange(IDS, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class MaskedSplit:
    """The images of `base`, and beside each the mask of `masks`, [H, W, 1], of the same size.

    `counts` int64 [N, 256]: how many pixels of each mask, as it is stored, have each id. `ids` uint8 [256]: what an id
    that is stored counts as. 255 is no class.
    """

    base: Split
    masks: Split
    counts: Counts
    ids: Pixels = field(default_factory=_as_stored)

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (H, W, C)."""
        return self.base.shape

    @property
    def labels(self) -> Labels:
        """All masks, int32 [N, H, W]; `targets` gives some of them."""
        return self.targets(np.arange(len(self), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.base)

    def images(self, indices: Indices) -> Images:
        """Return the images at `indices` [n]: uint8 [n, H, W, C]."""
        return self.base.images(indices)

    def targets(self, indices: Indices) -> Labels:
        """Return the masks at `indices` [n]: int32 [n, H, W]."""
        return self.ids[self.masks.images(indices)[..., 0]].astype(np.int32)

    def target_in(self, index: int, box: Box, size: tuple[int, int]) -> Labels:
        """Return what a mask has in a box of its image, which is of `size` (width, height): int32 [H, W]."""
        height, width, _ = self.shape
        mask = self.masks.picture(index)
        # an image may have been decoded at a part of its size, which its mask is not
        scale = (mask.width / size[0], mask.height / size[1]) * 2
        left, top, right, bottom = (side * by for side, by in zip(box, scale, strict=True))
        inside = left, top, min(right, mask.width), min(bottom, mask.height)
        cut = mask.resize((width, height), Image.Resampling.NEAREST, box=inside)
        found: Labels = self.ids[np.asarray(cut)].astype(np.int32)
        return found

    def picture(self, index: int) -> Image.Image:
        """Return one image in its own size."""
        return self.base.picture(index)

    def part(self, indices: Indices) -> MaskedSplit:
        """Return the split of the images at `indices` [n] alone."""
        return replace(self, base=self.base.part(indices), masks=self.masks.part(indices), counts=self.counts[indices])

    def of_each(self) -> Counts:
        """How many pixels there are of each id, int64 [256]."""
        found: Counts = np.bincount(self.ids, self.counts.sum(axis=0), minlength=IDS).astype(np.int64)
        return found

    def renumbered(self, numbers: npt.NDArray[np.int32]) -> MaskedSplit:
        """The same with another id for each class, int32 [classes]."""
        table = np.full(IDS, VOID, np.uint8)
        table[: len(numbers)] = numbers
        return replace(self, ids=table[self.ids])


def targets(split: Split, indices: Indices) -> Labels:
    """The labels of the images at `indices` [n], int32 [n], or their masks, int32 [n, H, W]."""
    return split.targets(indices) if isinstance(split, MaskedSplit) else split.labels[indices]


def laid_over(pixels: Images, masks: Labels) -> Images:
    """Images [n, H, W, C] with their masks as one more channel, in which 0 is void: what comes in black is void."""
    return np.concatenate([pixels, (masks + 1).astype(np.uint8)[..., np.newaxis]], axis=3)


def taken_apart(both: Images) -> tuple[Images, Labels]:
    """The images and the masks of `laid_over`."""
    return np.ascontiguousarray(both[..., :-1]), (both[..., -1].astype(np.int32) - 1) % IDS
