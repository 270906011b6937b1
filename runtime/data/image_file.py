"""One image file: its header looked at, and its pixels as 8-bit grey or RGB, upright and without transparency."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image

from netc.runtime.data.dataset import Images
from netc.runtime.data.errors import DataError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Pillow's readers that are let near a file; none of them starts another program."""

GREY_MODES = ("1", "L", "LA")
WIDE_GREY_MODES = ("I;16", "I;16L", "I;16B", "I")
"""16 bits, of which the upper 8 are kept, as Pillow does for 16-bit colours; I holds 16 bits in PNG and PPM only."""
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

GROUND = (255, 255, 255)
"""What is seen through a transparent pixel: white."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation (tag 274) -> what makes such an image upright."""
SIDEWAYS = (5, 6, 7, 8)  # of these, height and width change places

PIXEL_LIMIT = (1 << 30) // 4 // 3
"""Pixels of one image, Pillow's own limit; Pillow only warns there, here it is an error."""

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow's readers raise on damaged files."""


def decode(path: Path, shape: tuple[int, int, int]) -> Images:
    """Return one image file as uint8 [H, W, C] of `shape`; raises `DataError` when it is damaged.

    The first frame is turned upright as its EXIF orientation says, laid on white where it is transparent, converted to
    grey or RGB, and resized bilinearly, antialiased as Pillow does.
    """
    height, width, channels = shape
    try:
        with path.open("rb") as file:
            image, _ = _open_image(path, file)
            image.load()
            turn = TURNS.get(_orientation(image))
            flat = _flat(image, "L" if channels == 1 else "RGB")
            upright = flat if turn is None else flat.transpose(turn)
            resized = upright.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(resized).reshape(shape)
    except DAMAGE as error:
        raise damaged(path, error) from error


def survey(path: Path) -> tuple[str, tuple[int, int, int]]:
    """Return the file's SHA-256 (hex) and its image's (H, W, C), from the header alone; raises `DataError`."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            image, (height, width, channels) = _open_image(path, file)
            late = image.format == "PNG" and "exif" not in image.info  # may stand behind the pixels, which are not read
            sideways = not late and _orientation(image) in SIDEWAYS
            return digest, (width, height, channels) if sideways else (height, width, channels)
    except DAMAGE as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: BaseException) -> DataError:
    """The sentence about a file that is no whole image, or that the system does not give."""
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{path}: cannot be read ({error.strerror}); check the path and its rights")
    empty = path.is_file() and path.stat().st_size == 0
    got = "an empty file" if empty else f"{type(error).__name__}: {error}"
    return DataError(f"{path}: wants a whole image ({', '.join(FORMATS)}), got {got}; repair or remove the file")


def _open_image(path: Path, file: IO[bytes]) -> tuple[Image.Image, tuple[int, int, int]]:
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > PIXEL_LIMIT:
        raise DataError(
            f"{path}: wants an image of at most {PIXEL_LIMIT} pixels, got {image.width} x {image.height}; "
            "it may be a decompression bomb: remove it or shrink it"
        )
    wide = image.mode in WIDE_GREY_MODES and (image.mode != "I" or image.format in ("PNG", "PPM"))
    if not wide and image.mode not in GREY_MODES + COLOUR_MODES:
        raise DataError(
            f"{path}: wants 8 or 16 bits a channel, grey or colour, got Pillow mode {image.mode}; "
            "convert it to an 8-bit PNG or JPEG"
        )
    return image, (image.height, image.width, 1 if wide or image.mode in GREY_MODES else 3)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 (upright) where it is not said, or cannot be read; Pillow turns TIFF by itself."""
    if image.format == "TIFF":
        return 1
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGE:  # the pixels are whole all the same
        return 1


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """The image in `mode`, L or RGB, on the ground where it is transparent."""
    if image.mode in WIDE_GREY_MODES:
        image = Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, GROUND)
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return image.convert(mode)
