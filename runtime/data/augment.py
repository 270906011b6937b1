"""How training images are changed: a row of AUGMENTATIONS for each field of Augment (netspec/augment.py).

Draws come in the order of the rows, from one generator a step, and a row that is off draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.netspec.augment import Augment
from netc.netspec.errors import UserError

Images = npt.NDArray[np.uint8]
"""uint8 [N, H, W, C], 0 to 255, C = 1 (grey) or 3 (RGB)."""


Apply = Callable[[Images, Any, np.random.Generator], Images]


@dataclass(frozen=True)
class Augmentation:
    """How a field is done: `apply(pixels, value, generator)` may change `pixels` itself; `said` tells it at the start.

    `problem` says why a value does not fit images of a size, or nothing; `resized` is the value for other images.
    """

    apply: Apply
    said: Callable[[Any], str]
    problem: Callable[[Any, tuple[int, ...]], str] = lambda value, size: ""
    resized: Callable[[Any, float], Any] = lambda value, ratio: value


def _crop(pixels: Images, pad: int, generator: np.random.Generator) -> Images:
    count, height, width, channels = pixels.shape
    tops, lefts = generator.integers(0, 2 * pad + 1, (2, count))
    frame = np.zeros((count, height + 2 * pad, width + 2 * pad, channels), np.uint8)
    frame[:, pad : pad + height, pad : pad + width] = pixels
    windows = np.lib.stride_tricks.sliding_window_view(frame, (height, width, channels), axis=(1, 2, 3))
    cut: Images = windows[np.arange(count), tops, lefts, 0]
    return cut


def _crop_problem(pad: int, size: tuple[int, ...]) -> str:
    most = min(size)
    return "" if 0 <= pad <= most else f"`crop` wants from 0 to {most} pixels, got {pad}; give a smaller one"


def _flip(pixels: Images, flip: bool, generator: np.random.Generator) -> Images:
    flipped = np.flatnonzero(generator.integers(0, 2, len(pixels)))
    pixels[flipped] = pixels[flipped, :, ::-1]
    return pixels


AUGMENTATIONS: dict[str, Augmentation] = {
    "crop": Augmentation(
        _crop,
        lambda pad: f"randomly cropped after {pad} pixels of padding (`crop=0` turns this off)",
        _crop_problem,
        lambda pad, ratio: round(pad * ratio),
    ),
    "flip": Augmentation(_flip, lambda flip: "flipped left to right half of the time (`flip=False` turns this off)"),
}


def augmented(pixels: Images, augment: Augment, generator: np.random.Generator) -> Images:
    """Return `pixels`, uint8 [N, H, W, C], as the rows change them; may change `pixels` itself."""
    for name, row in AUGMENTATIONS.items():
        if value := getattr(augment, name):
            pixels = row.apply(pixels, value, generator)
    return pixels


def chosen(augment: Augment, words: Mapping[str, Any], size: tuple[int, ...]) -> Augment:
    """What the words say in the place of `augment`'s, for images of `size` (H, W); raises UserError for a misfit."""
    made = Augment(**{**vars(augment), **{name: value for name, value in words.items() if value is not None}})
    for name, row in AUGMENTATIONS.items():
        if problem := row.problem(getattr(made, name), size):
            raise UserError(problem)
    return made


def resized(augment: Augment, ratio: float) -> Augment:
    """The same for images that are so many times as wide."""
    return Augment(**{name: row.resized(getattr(augment, name), ratio) for name, row in AUGMENTATIONS.items()})


def said(augment: Augment) -> Iterator[str]:
    """What happens to the images, and how to have it not happen."""
    for name, row in AUGMENTATIONS.items():
        if value := getattr(augment, name):
            yield row.said(value)
