"""One mask: a PNG whose pixels are class ids, grey or by palette."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import VOID
from netc.runtime.data.image_file import DAMAGE, FORMATS, Encoded, damaged, survey
from netc.runtime.data.masked import IDS, Counts, Pixels


class NoMaskError(DataError):
    """A file is whole, and no mask."""


MODES = ("1", "L", "P", "I;16", "I")
DEPTH = 24  # where a PNG says how many bits a pixel has
STRETCHED = {2: 85, 4: 17}
"""Bits of a grey pixel -> the factor by which Pillow brings it to 8 bits."""


def read_mask(path: Path) -> tuple[Pixels, str]:
    """Return a mask's ids, uint8 [H, W], and the SHA-256 of its file; raises `DataError`.

    A palette's colours and transparency mean nothing: the id is the index.
    """
    try:
        content = path.read_bytes()
        digest, _ = survey(Encoded(str(path), content))
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.format != "PNG":
                raise NoMaskError(
                    f"{path}: wants a mask as PNG, got {image.format}, which may change ids; save it as PNG, grey or "
                    "with a palette"
                )
            if image.mode not in MODES:
                raise NoMaskError(
                    f"{path}: wants a mask of class ids, PNG in grey or with a palette, got {image.mode}; convert its "
                    "colours to ids"
                )
            ids = np.asarray(image).astype(np.int64)
            if image.mode == "L":
                ids //= STRETCHED.get(content[DEPTH], 1)
    except DAMAGE as error:
        raise damaged(path, error) from error
    if ids.max(initial=0) > VOID:
        raise NoMaskError(
            f"{path}: wants ids from 0 to {VOID - 1}, and {VOID} for no class, got {ids.max()}; number the "
            "classes from 0"
        )
    return ids.astype(np.uint8), digest


def refuse_unknown(path: Path, ids: Sequence[int], classes: int) -> None:
    """Raise NoMaskError for ids that are no class."""
    if above := [i for i in ids if classes <= i < VOID]:
        raise NoMaskError(
            f"{path}: wants ids from 0 to {classes - 1}, for the {classes} lines of classes.txt, or {VOID} for no "
            f"class, got {', '.join(map(str, above[:20]))}; add names, or mend the mask"
        )


def counted(ids: Pixels) -> Counts:
    """How many pixels have each id, int64 [256]."""
    found: Counts = np.bincount(ids.ravel(), minlength=IDS)
    return found
