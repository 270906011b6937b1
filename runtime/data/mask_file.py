"""One mask: a PNG whose pixels are class ids, grey or by palette."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import VOID
from netc.runtime.data.image_file import DAMAGE, FOR_A_BYTE, FORMATS, SPARE, damaged
from netc.runtime.data.masked import IDS, Counts, Pixels


class NoMaskError(DataError):
    """A file is whole, and no mask."""


HELD = {"1": 3, "L": 3, "P": 3, "I;16": 12, "I": 16}
"""The modes of masks, and the bytes that a pixel takes while one is read: Pillow's and our copies."""
BLOCK = 1 << 18  # pixels that are counted at a time, as numbers of 64 bits
DEPTH = 24  # where a PNG says how many bits a pixel has
STRETCHED = {2: 85, 4: 17}
"""Bits of a grey pixel -> the factor by which Pillow brings it to 8 bits."""


def read_mask(path: Path) -> tuple[Pixels, str]:
    """Return a mask's ids, uint8 [H, W], and the SHA-256 of its file; raises `DataError`.

    A palette's colours and transparency mean nothing: the id is the index.
    """
    try:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.format != "PNG":
                raise NoMaskError(
                    f"{path}: wants a mask as PNG, got {image.format}, which may change ids; save it as PNG, grey or "
                    "with a palette"
                )
            if image.mode not in HELD:
                raise NoMaskError(
                    f"{path}: wants a mask of class ids, PNG in grey or with a palette, got {image.mode}; convert its "
                    "colours to ids"
                )
            most = (SPARE + FOR_A_BYTE * len(content)) // HELD[image.mode]
            if image.width * image.height > most:
                raise NoMaskError(
                    f"{path}: wants a mask of at most {most:,} pixels in so small a file, got "
                    f"{image.width * image.height:,}; it may be a decompression bomb: remove it or shrink it"
                )
            ids = np.asarray(image)
            if image.mode == "L" and content[DEPTH] in STRETCHED:
                ids = ids // STRETCHED[content[DEPTH]]
    except DAMAGE as error:
        raise damaged(path, error) from error
    if ids.max(initial=0) > VOID:
        raise NoMaskError(
            f"{path}: wants ids from 0 to {VOID - 1}, and {VOID} for no class, got {ids.max()}; number the "
            "classes from 0"
        )
    return ids.astype(np.uint8, copy=False), digest


def refuse_unknown(path: Path, ids: Sequence[int], classes: int) -> None:
    """Raise NoMaskError for ids that are no class."""
    if above := [i for i in ids if classes <= i < VOID]:
        raise NoMaskError(
            f"{path}: wants ids from 0 to {classes - 1}, for the {classes} lines of classes.txt, or {VOID} for no "
            f"class, got {', '.join(map(str, above[:20]))}; add names, or fix the mask"
        )


def counted(ids: Pixels) -> Counts:
    """How many pixels have each id, int64 [256]."""
    flat, found = ids.ravel(), np.zeros(IDS, np.int64)
    for start in range(0, len(flat), BLOCK):
        found += np.bincount(flat[start : start + BLOCK], minlength=IDS)
    return found
