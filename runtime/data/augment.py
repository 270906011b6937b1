"""How training images are changed: a row of AUGMENTATIONS for each field of Augment (netspec/augment.py).

Rows of three kinds. A row that frames cuts a window out of the image as it is stored. A row of the batch changes all
images of a step at once: its draws come in the order of the rows, from one generator a step, and a row that is off
draws nothing. A row of the image changes one image after that, by the image's own generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

from netc.netspec.augment import Augment, shown
from netc.netspec.errors import UserError
from netc.netspec.policies import parse_policy
from netc.netspec.vocabulary import default_of, options_of
from netc.runtime.data.frame import Window
from netc.runtime.data.image_ops import Ground, shift_hue
from netc.runtime.data.part import WHOLE, Part
from netc.runtime.data.policies import applier

Images = npt.NDArray[np.uint8]
"""uint8 [N, H, W, C], 0 to 255, C = 1 (grey) or 3 (RGB)."""


Generator = np.random.Generator
Draw = Callable[[int, int], npt.NDArray[np.int64]]
"""draw(high, rows): numbers from 0 to below `high`, int64 [rows, N], for N images of a batch."""
Apply = Callable[[Images, Any, Draw], Images]
ApplyOne = Callable[[Image.Image, Augment, Generator, Ground], Image.Image]
ApplyPolicy = Callable[[Image.Image, Generator, Ground], Image.Image]


@dataclass(frozen=True)
class Augmentation:
    """How a field is done; a row with neither function is of the framing, which `window_of` reads.

    `apply(pixels, value, draw)`, of the batch, may change `pixels` itself; it only moves pixels, so that masks may
    go through it. `one(image, augment, generator, ground)` is of the image. `said` tells it at the start; "" says
    nothing. `masks`: whether it may be done to images with masks. `problem` says why a value does not fit images of a
    size, or nothing; `resized` is the value for other images.
    """

    said: Callable[[Any], str]
    apply: Apply | None = None
    one: ApplyOne | None = None
    masks: bool = True
    problem: Callable[[Any, tuple[int, ...]], str] = lambda value, size: ""
    resized: Callable[[Any, float], Any] = lambda value, ratio: value


def _crop(pixels: Images, pad: int, draw: Draw) -> Images:
    count, height, width, channels = pixels.shape
    tops, lefts = draw(2 * pad + 1, 2)
    frame = np.zeros((count, height + 2 * pad, width + 2 * pad, channels), np.uint8)
    frame[:, pad : pad + height, pad : pad + width] = pixels
    windows = np.lib.stride_tricks.sliding_window_view(frame, (height, width, channels), axis=(1, 2, 3))
    cut: Images = windows[np.arange(count), tops, lefts, 0]
    return cut


def _crop_problem(pad: int, size: tuple[int, ...]) -> str:
    most = min(size)
    return "" if 0 <= pad <= most else f"`crop` wants from 0 to {most} pixels, got {pad}; give a smaller one"


def _flip(pixels: Images, flip: bool, draw: Draw) -> Images:
    flipped = np.flatnonzero(draw(2, 1)[0])
    pixels[flipped] = pixels[flipped, :, ::-1]
    return pixels


def _vflip(pixels: Images, flip: bool, draw: Draw) -> Images:
    flipped = np.flatnonzero(draw(2, 1)[0])
    pixels[flipped] = pixels[flipped, ::-1]
    return pixels


def _policy(image: Image.Image, augment: Augment, generator: Generator, ground: Ground) -> Image.Image:
    return _applier(augment.auto_augment)(image, generator, ground)


@cache
def _applier(text: str) -> ApplyPolicy:
    policy = parse_policy(text)
    assert policy is not None  # the row is off otherwise
    return applier(policy)


def _jitter(image: Image.Image, augment: Augment, generator: Generator, ground: Ground) -> Image.Image:
    """As torchvision's ColorJitter: in an order that is drawn, each by a factor that is drawn."""
    reach = augment.jitter
    factors = [max(0.0, 1.0 - r) + (1.0 + r - max(0.0, 1.0 - r)) * generator.random() for r in reach[:3]]
    turns = reach[3] * (2.0 * generator.random() - 1.0)
    return jittered(image, generator.permutation(4).tolist(), (*factors, turns), reach)


def jittered(image: Image.Image, order: Sequence[int], drawn: Sequence[float], reach: Sequence[float]) -> Image.Image:
    """Brightness, contrast and saturation (0, 1, 2) by their factors and the hue (3) by turns, in an order.

    What does not reach is left out.
    """
    for index in order:
        if not reach[index]:
            continue
        image = shift_hue(image, drawn[3]) if index == 3 else ENHANCE[index](image).enhance(drawn[index])
    return image


ENHANCE = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def _grayscale(image: Image.Image, augment: Augment, generator: Generator, ground: Ground) -> Image.Image:
    return image.convert("L").convert(image.mode) if generator.random() < augment.grayscale else image


def _blur(image: Image.Image, augment: Augment, generator: Generator, ground: Ground) -> Image.Image:
    chance, radius = generator.random(2).tolist()
    return image.filter(ImageFilter.GaussianBlur(0.1 + 1.9 * radius)) if chance < augment.blur else image


AUGMENTATIONS: dict[str, Augmentation] = {
    "crop": Augmentation(
        lambda pad: f"randomly cropped after {pad} pixels of padding (`crop=0` turns this off)",
        _crop,
        problem=_crop_problem,
        resized=lambda pad, ratio: round(pad * ratio),
    ),
    "flip": Augmentation(lambda flip: "flipped left to right half of the time (`flip=False` turns this off)", _flip),
    "vflip": Augmentation(lambda flip: "flipped top to bottom half of the time (`vflip=False` turns this off)", _vflip),
    "rrc_scale": Augmentation(
        lambda scale: f"cut out at random, {shown(scale)} of the area (`rrc_scale=0` turns this off)"
    ),
    "rrc_ratio": Augmentation(lambda ratio: ""),
    "auto_augment": Augmentation(
        lambda policy: f"changed by the policy {policy} (`auto_augment=none` turns this off)", one=_policy, masks=False
    ),
    "color_jitter": Augmentation(
        lambda reach: f"jittered in colour by up to {shown(reach)} (`color_jitter=0` turns this off)", one=_jitter
    ),
    "grayscale": Augmentation(
        lambda chance: f"made grey with probability {chance:g} (`grayscale=0` turns this off)", one=_grayscale
    ),
    "blur": Augmentation(lambda chance: f"blurred with probability {chance:g} (`blur=0` turns this off)", one=_blur),
    "train_size": Augmentation(
        lambda size: f"brought to a height of {size}, test images to the net's input (`train_size=0` trains at it, too)"
    ),
}


def augmented(pixels: Images, augment: Augment, generator: Generator, part: Part = WHOLE) -> Images:
    """Return `pixels`, uint8 [N, H, W, C], as the rows of the batch change them; may change `pixels` itself.

    They are that part of a batch: what is drawn is drawn for all of it, so that its parts are those of the whole.
    """
    batch = len(pixels) * part.count

    def draw(high: int, rows: int) -> npt.NDArray[np.int64]:
        return generator.integers(0, high, (rows, batch))[:, part.rows(batch)]

    for name, row in AUGMENTATIONS.items():
        if row.apply and (value := getattr(augment, name)):
            pixels = row.apply(pixels, value, draw)
    return pixels


def window_of(augment: Augment) -> Window | None:
    """What is cut out of the image as it is stored, if anything is."""
    return Window(augment.rrc_area, augment.rrc_ratio) if augment.rrc_scale else None


def of_one(augment: Augment) -> tuple[ApplyOne, ...]:
    """What changes single images."""
    return tuple(row.one for name, row in AUGMENTATIONS.items() if row.one and getattr(augment, name))


def by_image(augment: Augment) -> bool:
    """Whether an image's own generator is wanted."""
    return bool(of_one(augment)) or window_of(augment) is not None


def chosen(augment: Augment, words: Mapping[str, Any], size: tuple[int, ...]) -> Augment:
    """What the words say in the place of `augment`'s, for images of `size` (H, W); raises UserError for a misfit.

    The data set's own `crop` gives way to a random resized crop that is asked for.
    """
    stated = {name: value for name, value in words.items() if value is not None}
    own = vars(augment) if not stated.get("rrc_scale") else {**vars(augment), "crop": 0}
    made = Augment(**{**own, **stated})
    for name, row in AUGMENTATIONS.items():
        if problem := row.problem(getattr(made, name), size):
            raise UserError(problem)
    return made


def resized(augment: Augment, ratio: float) -> Augment:
    """The same for images that are so many times as wide."""
    return Augment(**{name: row.resized(getattr(augment, name), ratio) for name, row in AUGMENTATIONS.items()})


def said(augment: Augment) -> Iterator[str]:
    """What happens to the images, and how to have it not happen."""
    plain = {name: default_of(f) for name, f in options_of(Augment).items()}
    for name, row in AUGMENTATIONS.items():
        value = getattr(augment, name)
        if value and value != plain[name] and (text := row.said(value)):
            yield text
