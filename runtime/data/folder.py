"""Images in folders, one folder for each class: found, checked and hashed at once, decoded on demand.

Two layouts are read: PATH/train/CLASS/* with PATH/val/CLASS/* (or PATH/test/CLASS/* when there is no val),
and PATH/CLASS/*, where every fifth image in the order of relative paths is test (positions 4, 9, 14, ...).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from netc.runtime.data.dataset import Augment, Dataset, Images, Indices, Labels, Split
from netc.runtime.data.errors import DataError
from netc.runtime.data.kept import keep

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Pillow's readers that are let near a file; none of them starts another program."""

GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

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

TEST_FOLDERS = ("val", "test")
EVERY = 5


@dataclass(frozen=True, eq=False)
class FolderSplit:
    """Images in files: `files` are paths below `root`, with / between the parts; `shape` is (H, W, C).

    An image is decoded when asked for, converted to grey or RGB (transparency is dropped, a rotation written
    in EXIF is not applied), and resized to H x W bilinearly, antialiased as Pillow does.
    """

    root: Path
    files: tuple[str, ...]
    labels: Labels
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.files)

    def images(self, indices: Indices) -> Images:
        """Return the images at `indices` [n]: uint8 [n, H, W, C]; a damaged one raises `DataError`."""
        out = np.empty((len(indices), *self.shape), np.uint8)
        for target, index in zip(out, indices.tolist(), strict=True):
            target[:] = decode(self.root / self.files[index], self.shape)
        return out


def decode(path: Path, shape: tuple[int, int, int]) -> Images:
    """Return one image file as uint8 [H, W, C] of `shape`; raises `DataError` when it is damaged."""
    height, width, channels = shape
    try:
        with path.open("rb") as file:
            image, _ = _open_image(path, file)
            converted = image.convert("L" if channels == 1 else "RGB")
            resized = converted.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(resized).reshape(shape)
    except DAMAGE as error:
        raise _damaged(path, error) from error


def load_folder(path: Path, name: str) -> Dataset:
    """Return the images below `path`, whose native shape is the commonest of all images'.

    Every file is read once, for the digest and for its header; the pixels are decoded later. Names that
    begin with a dot are passed over; any other file must be an image. Raises `DataError` for a missing or
    empty folder, a file that is no image, and a link that leads out of `path`.
    """
    root = path.resolve()
    if not root.is_dir():
        raise DataError(f"{name}: wants a folder, got {path}, which is none; give imagefolder:PATH")
    classes, train, test, layout = _layout(path, root)
    sha = hashlib.sha256(b"netc folder 1")
    shapes: Counter[tuple[int, int, int]] = Counter()
    for role, files in (("train", train), ("test", test)):
        for relative in files:
            digest, shape = _survey(root / relative)
            shapes[shape] += 1
            sha.update(f"\0{role}\0{relative}\0{digest}".encode("utf-8", "surrogateescape"))
    (height, width, _), _ = shapes.most_common(1)[0]
    native = (height, width, max(channels for _, _, channels in shapes))
    number = {label: index for index, label in enumerate(classes)}

    def split(files: tuple[str, ...]) -> Split:
        labels = np.array([number[file.split("/")[-2]] for file in files], np.int32)
        return keep(FolderSplit(root, files, labels, native))

    return Dataset(
        name=name,
        train=split(train),
        test=split(test),
        classes=classes,
        digest=sha.hexdigest(),
        source=f"image folder {path} ({layout})",
        licence="its owner's",
        augment=Augment(flip=True),
        native=native,
    )


def _layout(path: Path, root: Path) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]:
    """Return classes, training files, test files, and a word on the layout."""
    if (root / "train").is_dir():
        held_out = next((folder for folder in TEST_FOLDERS if (root / folder).is_dir()), None)
        if held_out is None:
            raise DataError(
                f"{path}: wants val/ or test/ beside train/, got neither; add one, or put the class folders "
                f"straight into {path} to have every fifth image held out"
            )
        classes, train = _class_files(root, "train/")
        also, test = _class_files(root, f"{held_out}/")
        if unknown := sorted(set(also) - set(classes)):
            raise DataError(
                f"{path}: {held_out}/ wants the classes of train/, got also {', '.join(unknown)}; "
                "add them to train/ or take them away"
            )
        return classes, train, test, f"train, {held_out}"
    classes, files = _class_files(root, "")
    test = files[EVERY - 1 :: EVERY]
    if not test:
        raise DataError(f"{path}: wants at least {EVERY} images, got {len(files)}; add images")
    train = tuple(file for index, file in enumerate(files) if index % EVERY != EVERY - 1)
    return classes, train, test, "every fifth image is test"


def _class_files(root: Path, below: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sorted class names and the sorted relative paths of their images."""
    classes = _entries(root, root / below)
    if len(classes) < 2:
        raise DataError(
            f"{root / below}: wants at least two class folders, got {len(classes)}; make one folder for each class"
        )
    files: list[str] = []
    for label in classes:
        folder = root / below / label
        if not folder.is_dir():
            raise DataError(f"{folder}: wants a folder of images of one class, got a file; move it into a class folder")
        found = _entries(root, folder)
        if not found:
            raise DataError(f"{folder}: wants at least one image, got none; add images or remove the folder")
        files += [f"{below}{label}/{name}" for name in found]
    return classes, tuple(sorted(files))


def _entries(root: Path, folder: Path) -> tuple[str, ...]:
    """Return the sorted names in `folder` that do not begin with a dot; refuse links out of `root`."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: wants a folder that can be read, got {error}; see its rights") from error
    for entry in entries:
        if entry.is_symlink() and not entry.resolve().is_relative_to(root):
            raise DataError(f"{entry}: wants a file inside {root}, got a link that leads out; copy the file there")
    return tuple(sorted(entry.name for entry in entries))


def _survey(path: Path) -> tuple[str, tuple[int, int, int]]:
    """Return the file's SHA-256 (hex) and its image's (H, W, C), from the header alone."""
    if not path.is_file():
        raise DataError(f"{path}: wants an image file, got something else; class folders hold nothing but images")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            _, shape = _open_image(path, file)
            return digest, shape
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _open_image(path: Path, file: IO[bytes]) -> tuple[Image.Image, tuple[int, int, int]]:
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > PIXEL_LIMIT:
        raise DataError(
            f"{path}: wants an image of at most {PIXEL_LIMIT} pixels, got {image.width} x {image.height}; "
            "it may be a decompression bomb: remove it or shrink it"
        )
    if image.mode not in GREY_MODES + COLOUR_MODES:
        raise DataError(
            f"{path}: wants 8 bits a channel, grey or colour, got Pillow mode {image.mode}; "
            "convert it to an 8-bit PNG or JPEG"
        )
    return image, (image.height, image.width, 1 if image.mode in GREY_MODES else 3)


def _damaged(path: Path, error: BaseException) -> DataError:
    empty = path.is_file() and path.stat().st_size == 0
    got = "an empty file" if empty else f"{type(error).__name__}: {error}"
    return DataError(f"{path}: wants a whole image ({', '.join(FORMATS)}), got {got}; repair or remove the file")
