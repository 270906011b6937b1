"""An image brought to a size: stretched, cut out of its middle, or cut out at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from netc.netspec.augment import RATIO, shown
from netc.netspec.preprocess import PLAIN, Preprocess
from netc.runtime.data.image_ops import RESAMPLING

TRIES = 10  # of a window that fits into the image


@dataclass(frozen=True)
class Fit:
    """How an image is brought to a size: `crop_pct` and `interpolation` of Preprocess."""

    crop_pct: float = 0.0
    interpolation: str = "bilinear"

    @property
    def resampling(self) -> Image.Resampling:
        """Pillow's word for the interpolation."""
        return RESAMPLING[self.interpolation]


STRETCH = Fit()


def fit_of(preprocess: Preprocess) -> Fit:
    """The fit that a Preprocess says."""
    return Fit(preprocess.crop_pct, preprocess.interpolation)


@dataclass(frozen=True)
class Window:
    """What is cut out of an image at random: a part of its area, `area` (least, most), with sides in `ratio`."""

    area: tuple[float, float]
    ratio: tuple[float, ...] = RATIO


Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


def resized_size(size: tuple[int, int], height: int, width: int, crop_pct: float) -> tuple[int, int]:
    """(width, height) of the whole image, of `size` (width, height), before its middle is cut out.

    The shorter side, or that which is short of its share, is floor(side / crop_pct), as timm's; the other is in
    proportion, rounded down, as torchvision's.
    """
    whole_width, whole_height = size
    tall, wide = math.floor(height / crop_pct), math.floor(width / crop_pct)
    if tall * whole_width >= wide * whole_height:
        return max(tall * whole_width // whole_height, width), tall
    return wide, max(wide * whole_height // whole_width, height)


def middle(size: tuple[int, int], height: int, width: int) -> Box:
    """The box of height x width in the middle of an image of `size` (width, height), as torchvision rounds it."""
    left, top = round((size[0] - width) / 2.0), round((size[1] - height) / 2.0)
    return left, top, left + width, top + height


def fitted(image: Image.Image, height: int, width: int, fit: Fit = STRETCH) -> Image.Image:
    """The image at height x width, stretched or cut out of its middle."""
    if not fit.crop_pct:
        return image.resize((width, height), fit.resampling)
    whole = resized_size(image.size, height, width, fit.crop_pct)
    resized = image if whole == image.size else image.resize(whole, fit.resampling)
    return resized.crop(middle(whole, height, width))


def random_box(size: tuple[int, int], window: Window, generator: np.random.Generator) -> Box:
    """The box of a random resized crop, drawn as torchvision draws it: area uniform, ratio uniform in its logarithm.

    After ten boxes that did not fit, the largest in the middle whose ratio is allowed.
    """
    width, height = size
    low, high = (math.log(ratio) for ratio in window.ratio)
    for _ in range(TRIES):
        area, ratio, x, y = generator.random(4).tolist()
        target = width * height * (window.area[0] + (window.area[1] - window.area[0]) * area)
        aspect = math.exp(low + (high - low) * ratio)
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(x * (width - w + 1)), int(y * (height - h + 1))
            return left, top, left + w, top + h
    return middle_box(size, window)


def middle_box(size: tuple[int, int], window: Window) -> Box:
    """The largest box in the middle of an image whose ratio is one of the window's."""
    width, height = size
    least, most = window.ratio
    w, h = width, height
    if width / height < least:
        h = max(round(w / least), 1)
    elif width / height > most:
        w = max(round(h * most), 1)
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def framed_in(image: Image.Image, box: Box, height: int, width: int, fit: Fit) -> Image.Image:
    """A box of the image, at height x width."""
    cut = image.crop(box)  # first, so that nothing outside is blended in
    return cut.resize((width, height), fit.resampling)


def said_of_all(preprocess: Preprocess) -> Iterator[str]:
    """What every image goes through, where that was asked for."""
    if part := preprocess.crop_pct:
        yield f"resized to the net's size over {part:g}, and the middle is cut out (`crop_pct=0` stretches)"
    if preprocess.interpolation != PLAIN.interpolation:
        yield f"resized by {preprocess.interpolation} interpolation"
    if preprocess.mean:
        yield f"normalised by mean {shown(preprocess.mean)} and std {shown(preprocess.std)}"
    elif preprocess.normalise != PLAIN.normalise:
        yield f"normalised by the mean and std of {preprocess.normalise}"
    if preprocess.skips:
        yield "skipped where they are damaged (`on_damaged=refuse` refuses them)"
