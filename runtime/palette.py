"""The colours of class ids in pictures of masks: the same for the same id, whatever the data."""

from __future__ import annotations

import colorsys
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

IDS = 256
VOID_COLOUR = (255, 255, 255)
TURN = (5**0.5 - 1) / 2  # of hues, so that neighbours are far apart and none comes twice


@cache
def palette() -> tuple[tuple[int, int, int], ...]:
    """A colour for each id, RGB from 0 to 255: 0 is black, as a background mostly is, and 255, no class, white."""
    found = [(0, 0, 0)]
    for number in range(IDS - 2):
        shade = (1.0, 0.75, 0.55)[number // 12 % 3]
        red, green, blue = colorsys.hsv_to_rgb(number * TURN % 1, 0.85, shade)
        found.append((round(255 * red), round(255 * green), round(255 * blue)))
    return (*found, VOID_COLOUR)


def mask_picture(ids: npt.NDArray[np.uint8]) -> Image.Image:
    """A mask, uint8 [H, W], as a picture whose pixels are its ids and whose palette shows them."""
    picture = Image.fromarray(ids, "P")
    picture.putpalette([level for colour in palette() for level in colour])
    return picture


def coloured(ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A mask, uint8 [H, W], in its colours: uint8 [H, W, 3]."""
    return np.array(palette(), np.uint8)[ids]


def hexadecimal(index: int) -> str:
    """The colour of an id, as `#d92626`."""
    return "#{:02x}{:02x}{:02x}".format(*palette()[index])
