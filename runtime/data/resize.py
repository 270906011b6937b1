"""Images of another size: stretched or cut out of the middle, grey to RGB and back, kept once computed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from PIL import Image

from netc.runtime.data.augment import Images
from netc.runtime.data.augment import resized as resized_augment
from netc.runtime.data.dataset import CHANNELS, Dataset, of_images, picture_of
from netc.runtime.data.errors import DataError
from netc.runtime.data.folder import FolderSplit
from netc.runtime.data.frame import STRETCH, Fit, fitted
from netc.runtime.data.kept import KeptSplit, keep
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.split import Indices, Labels, Split

MODES = {1: "L", 3: "RGB"}
"""Channels to Pillow's mode. RGB to grey is Pillow's: L = (299 R + 587 G + 114 B) / 1000 (ITU-R 601-2)."""


@dataclass(frozen=True, eq=False)
class ResizedSplit:
    """`base` with each image brought to `shape` as `fit` says (antialiased when it shrinks, as Pillow does)."""

    base: Split
    shape: tuple[int, int, int]
    fit: Fit = STRETCH

    @property
    def labels(self) -> Labels:
        """The labels, int32 [N]."""
        return self.base.labels

    def __len__(self) -> int:
        return len(self.base)

    def images(self, indices: Indices) -> Images:
        """Return the images at `indices` [n]: uint8 [n, H, W, C]."""
        height, width, channels = self.shape
        grey = self.base.shape[2] == 1
        source = self.base.images(indices)
        out = np.empty((len(source), *self.shape), np.uint8)
        for target, pixels in zip(out, source, strict=True):
            image = picture_of(pixels)
            # grey becomes RGB after the resizing, which gives the same bits sooner; RGB becomes grey before it
            image = image if grey else of_mode(image, channels)
            target[:] = np.asarray(of_mode(fitted(image, height, width, self.fit), channels)).reshape(self.shape)
        return out

    def part(self, indices: Indices) -> ResizedSplit:
        """Return the split of the images at `indices` [n] alone."""
        return ResizedSplit(self.base.part(indices), self.shape, self.fit)

    def picture(self, index: int) -> Image.Image:
        """Return one image in its own size."""
        return self.base.picture(index)


def of_mode(image: Image.Image, channels: int) -> Image.Image:
    """The image as grey (1 channel) or RGB (3)."""
    return image if image.mode == MODES[channels] else image.convert(MODES[channels])


def resized(
    dataset: Dataset, shape: tuple[int, int, int], fit: Fit = STRETCH, train: tuple[int, int, int] | None = None
) -> Dataset:
    """Return `dataset` with images of `shape` = (H, W, C), C = 1 or 3; `dataset` itself if it has it already.

    `train` is the shape of training images, where it is another. An image is stretched to H x W unless `fit` says
    otherwise. The work is done when an image is first asked for and
    kept up to `KEEP_BYTES` a split. The crop's padding grows with the width. Digest and native size stay those of the
    data as stored. Raises `DataError` for a shape that no image can have.
    """
    height, width, channels = shape
    if height < 1 or width < 1 or channels not in CHANNELS:
        raise DataError(
            f"{dataset.name}: images want (H, W, C) with H, W of at least 1 and C 1 (grey) or 3 (RGB), got "
            f"{shape}; give the net such an input"
        )
    if not (of_images(dataset.train) and of_images(dataset.test)):
        raise DataError(f"{dataset.name} is text, and the net takes images; choose a net of token ids, or other data")
    train = train or shape
    if dataset.train.shape == train and dataset.test.shape == shape and fit == STRETCH:
        return dataset
    return dataclasses.replace(
        dataset,
        train=_resized_split(dataset.train, train, fit),
        test=_resized_split(dataset.test, shape, fit),
        augment=resized_augment(dataset.augment, train[1] / dataset.train.shape[1]),
        apart=train != shape,
    )


def _resized_split(split: Split, shape: tuple[int, int, int], fit: Fit) -> Split:
    """Resize from the original, not from an image that was resized before."""
    if isinstance(split, MaskedSplit):
        nearest = Fit(fit.crop_pct, "nearest")
        masks = _resized_split(split.masks, (*shape[:2], 1), nearest)
        return dataclasses.replace(split, base=_resized_split(split.base, shape, fit), masks=masks)
    origin = split
    while isinstance(origin, KeptSplit | ResizedSplit):
        origin = origin.base
    view: Split = origin
    if isinstance(origin, FolderSplit):
        view = dataclasses.replace(origin, shape=shape, fit=fit)
    elif origin.shape != shape or fit.crop_pct:
        view = ResizedSplit(origin, shape, fit)
    else:
        return origin
    return keep(view)
