"""One image file: its header looked at, and its pixels as 8-bit grey or RGB, upright and without transparency."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from netc.runtime.data.augment import Images
from netc.runtime.data.errors import REPAIR, DataError
from netc.runtime.data.frame import STRETCH, Fit, fitted

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

HELD = {"1": 1, "L": 1, "RGB": 4, "P": 9, "I;16": 8, "I;16L": 8, "I;16B": 8, "RGBA": 8, "CMYK": 8, "YCbCr": 8}
HELD_ELSE = 13
"""Bytes that a pixel takes while an image of that mode is made flat: Pillow's and our copies."""
COPIES = {"WEBP": 2}
"""How many times as much for a decoder that holds frames of its own.

WebP's holds twice that, and a progressive JPEG's twice what a plain one does; counted in full, photographs of 12
million pixels would be refused.
"""
SPARE, FOR_A_BYTE = 64 << 20, 16
"""An image may take so many bytes of memory, and so many more for each byte of its file; see `_reduced`."""

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


@dataclass(frozen=True)
class Encoded:
    """An image that lies in no file of its own: what messages call it, and its bytes."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def open(self) -> IO[bytes]:
        """The bytes, to be read."""
        return BytesIO(self.content)


Source = Path | Encoded


def decode(source: Source, shape: tuple[int, int, int], fit: Fit = STRETCH) -> Images:
    """Return one image file as uint8 [H, W, C] of `shape`; raises `DataError` when it is damaged.

    The first frame is turned upright as its EXIF orientation says, laid on white where it is transparent, converted to
    grey or RGB, and brought to the size as `fit` says: by default bilinearly, antialiased as Pillow does. A JPEG whose
    pixels would take far more memory than its file is decoded at a fraction of its size that is still twice the wanted
    one.
    """
    height, width, channels = shape
    if fit.crop_pct:
        image = fitted(picture(source, channels, 2 * max(height, width)), height, width, fit)
        return np.asarray(image if channels == 1 else image.convert("RGB")).reshape(shape)
    try:
        with _opened(source) as file:
            flat, number = _loaded(source, file, channels, 2 * max(height, width))
            stored = (height, width) if number in SIDEWAYS else (width, height)
            resized = flat.resize(stored, fit.resampling)
            # turned, and made RGB of grey, when it is small: that gives the same pixels sooner
            upright = resized.transpose(TURNS[number]) if number in TURNS else resized
            return np.asarray(upright if channels == 1 else upright.convert("RGB")).reshape(shape)
    except DAMAGE as error:
        raise damaged(source, error) from error


def picture(source: Source, channels: int, side: int) -> Image.Image:
    """Return one image file in its own size, upright, in mode L or, of colours where `channels` is 3, RGB.

    Of a JPEG whose pixels would take far more memory than its file both sides are at least `side`. Raises `DataError`.
    """
    try:
        with _opened(source) as file:
            flat, number = _loaded(source, file, channels, side)
            return flat.transpose(TURNS[number]) if number in TURNS else flat
    except DAMAGE as error:
        raise damaged(source, error) from error


def survey(source: Source) -> tuple[str, tuple[int, int, int]]:
    """Return the file's SHA-256 (hex) and its image's (H, W, C), from the header alone; raises `DataError`."""
    try:
        with _opened(source) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            file.seek(0)
            image, (height, width, channels) = _open_image(source, file)
            _reduced(image, source, 1)
            late = image.format == "PNG" and "exif" not in image.info  # may stand behind the pixels, which are not read
            sideways = not late and _orientation(image) in SIDEWAYS
            return digest, (width, height, channels) if sideways else (height, width, channels)
    except DAMAGE as error:
        raise damaged(source, error) from error


def _opened(source: Source) -> IO[bytes]:
    return source.open() if isinstance(source, Encoded) else source.open("rb")


def _size(source: Source) -> int:
    if isinstance(source, Encoded):
        return source.size
    return source.stat().st_size if source.is_file() else -1


def _loaded(source: Source, file: IO[bytes], channels: int, side: int) -> tuple[Image.Image, int]:
    """The pixels as they are stored, in L or RGB, and EXIF's orientation."""
    image, _ = _open_image(source, file)
    _reduced(image, source, side)
    image.load()
    number = _orientation(image)
    return _flat(image, channels), number


def damaged(path: Source, error: BaseException) -> DataError:
    """The sentence about a file that is no whole image, or that the system does not give."""
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{path}: cannot be read ({error.strerror}); check the path and its rights")
    empty = _size(path) == 0
    unknown = isinstance(error, UnidentifiedImageError)  # its own sentence names a Python object
    own = "a file that begins as none of these" if unknown else f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and not unknown:  # Pillow's own, which needs no name
        own = "one that was cut short" if "truncated" in str(error) else str(error)
    got = "an empty file" if empty else own
    return DataError(f"{path}: wants a whole image ({', '.join(FORMATS)}), got {got}; {REPAIR}")


def _open_image(path: Source, file: IO[bytes]) -> tuple[Image.Image, tuple[int, int, int]]:
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


def _reduced(image: Image.Image, path: Source, side: int) -> None:
    """Raise `DataError` for an image that takes far more memory than its file; have a large JPEG decoded smaller.

    A JPEG can be decoded at a half, a quarter or an eighth of its size: at one that leaves both sides at least `side`.
    """
    spare = SPARE + FOR_A_BYTE * _size(path)
    held = HELD.get(image.mode, HELD_ELSE) * COPIES.get(str(image.format), 1)
    if image.width * image.height * held > spare:
        image.draft(None, (side, side))  # does nothing where it is no JPEG
    if (pixels := image.width * image.height) * held > spare:
        raise DataError(
            f"{path}: wants an image of at most {spare // held:,} pixels in so small a file, got "
            f"{pixels:,}; it may be a decompression bomb: remove it or shrink it"
        )


def _flat(image: Image.Image, channels: int) -> Image.Image:
    """The image in L or RGB, on the ground where it is transparent; a grey one stays in L."""
    if image.mode in WIDE_GREY_MODES:
        image = Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        seen = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", image.size, GROUND)
        image.paste(seen, mask=seen)
    mode = "L" if channels == 1 or image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)
