"""Images as small files, for a page to hold."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from netc.runtime.data.augment import Images

LONGEST = 160  # of an edge: larger ones are made smaller
SHORTEST = 64  # smaller ones are made larger, each pixel a square


def png(pixels: Images, most: int = LONGEST) -> bytes:
    """A PNG of an image, uint8 [H, W, 1 or 3], whose longer edge is at most `most`."""
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    if (longest := max(picture.size)) > most:
        picture.thumbnail((most, most))
    elif longest < SHORTEST:
        times = SHORTEST // longest
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    file = io.BytesIO()
    picture.save(file, "png", optimize=True)
    return file.getvalue()
