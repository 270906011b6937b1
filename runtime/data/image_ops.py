"""Operations on one image, as torchvision and timm define them: a row of OPS each.

An operation takes an image in mode L or RGB and one number in its own unit, and gives an image of the same size and
mode. Pillow does the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
AFFINE = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
"""What Pillow can turn and shear by; others are bicubic there."""


@dataclass(frozen=True)
class Ground:
    """How images are turned and shifted: the resampling, and the grey levels of what comes in from outside."""

    resampling: Image.Resampling = Image.Resampling.BILINEAR
    fill: tuple[int, ...] = (0, 0, 0)

    def of(self, image: Image.Image) -> int | tuple[int, ...]:
        """The fill of an image's mode."""
        return self.fill[0] if image.mode == "L" else (self.fill * 3)[:3]

    @property
    def affine(self) -> Image.Resampling:
        """The resampling that Pillow has for affine maps."""
        return self.resampling if self.resampling in AFFINE else Image.Resampling.BICUBIC


Op = Callable[[Image.Image, float, Ground], Image.Image]


def _affine(image: Image.Image, matrix: tuple[float, ...], ground: Ground) -> Image.Image:
    """The image whose pixel (x, y) is that at (a x + b y + c, d x + e y + f) of the old one."""
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=ground.affine, fillcolor=ground.of(image)
    )


def _rotate(image: Image.Image, degrees: float, ground: Ground) -> Image.Image:
    return image.rotate(degrees, resample=ground.affine, fillcolor=ground.of(image))


def _posterize(image: Image.Image, bits: float, ground: Ground) -> Image.Image:
    if bits < 1:  # a level that RandAugment knows, and Pillow refuses
        return image.point([0] * 256 * len(image.getbands()))
    return image if bits >= 8 else ImageOps.posterize(image, int(bits))


def _solarize_add(image: Image.Image, more: float, ground: Ground) -> Image.Image:
    table = [min(255, level + int(more)) if level < 128 else level for level in range(256)]
    return image.point(table * len(image.getbands()))


def _desaturate(image: Image.Image, amount: float, ground: Ground) -> Image.Image:
    return ImageEnhance.Color(image).enhance(min(1.0, max(0.0, 1.0 - amount)))


def shift_hue(image: Image.Image, turns: float) -> Image.Image:
    """The image with its hue turned by so many turns, -1/2 to 1/2, in Pillow's HSV; a grey one is as it was."""
    if image.mode != "RGB":
        return image
    hue, saturation, value = image.convert("HSV").split()
    turned = (np.asarray(hue).astype(np.int16) + int(turns * 255)) % 256
    return Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8)), saturation, value)).convert("RGB")


OPS: dict[str, Op] = {
    "Identity": lambda image, _, ground: image,
    "AutoContrast": lambda image, _, ground: ImageOps.autocontrast(image),
    "Equalize": lambda image, _, ground: ImageOps.equalize(image),
    "Invert": lambda image, _, ground: ImageOps.invert(image),
    "Rotate": _rotate,  # degrees, anticlockwise
    "Posterize": _posterize,  # bits that stay
    "Solarize": lambda image, level, ground: ImageOps.solarize(image, level),  # type: ignore[arg-type, unused-ignore]
    "SolarizeAdd": _solarize_add,  # levels, to those below 128
    "Color": lambda image, factor, ground: ImageEnhance.Color(image).enhance(factor),
    "Contrast": lambda image, factor, ground: ImageEnhance.Contrast(image).enhance(factor),
    "Brightness": lambda image, factor, ground: ImageEnhance.Brightness(image).enhance(factor),
    "Sharpness": lambda image, factor, ground: ImageEnhance.Sharpness(image).enhance(factor),
    "ShearX": lambda image, tangent, ground: _affine(image, (1, tangent, 0, 0, 1, 0), ground),
    "ShearY": lambda image, tangent, ground: _affine(image, (1, 0, 0, tangent, 1, 0), ground),
    "TranslateX": lambda image, pixels, ground: _affine(image, (1, 0, pixels, 0, 1, 0), ground),
    "TranslateY": lambda image, pixels, ground: _affine(image, (1, 0, 0, 0, 1, pixels), ground),
    "Desaturate": _desaturate,  # 1 is grey
    "Blur": lambda image, radius, ground: image.filter(ImageFilter.GaussianBlur(radius)),  # pixels
}


def filled(mean: tuple[float, ...], resampling: str) -> Ground:
    """The ground of images whose mean is `mean`, each channel of the full scale 0 to 1."""
    return _ground(tuple(min(255, round(255 * value)) for value in mean) or (0,), resampling)


@cache
def _ground(fill: tuple[int, ...], resampling: str) -> Ground:
    return Ground(RESAMPLING[resampling], fill)
