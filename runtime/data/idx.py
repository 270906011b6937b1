"""IDX files, the format of MNIST (Y. LeCun, C. Cortes, C. Burges, "The MNIST database", file formats).

Four bytes of magic (0, 0, element type, rank), one big-endian uint32 for each dimension, then the elements
in C order. Here the element type is always 0x08, unsigned byte. A file may be gzipped; its first bytes tell.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.errors import DataError
from netc.runtime.files import opened

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
BYTE_LIMIT = 1 << 30
"""Bytes of elements in one file; refused before anything is allocated."""

UNPACKED = (32 << 20, 12)
"""A gzipped file of n bytes may hold 32 MiB + 12 n: MNIST's hold 5 n, and deflate could make 1,032 n of one."""

CHUNK = 1 << 20


def read_idx(path: Path, rank: int) -> npt.NDArray[np.uint8]:
    """Return the file's elements, uint8, with `rank` dimensions.

    Raises `DataError` when the file is missing, no IDX file of unsigned bytes of that rank, shorter or
    longer than its header says, absurdly large, or damaged as a gzip file.
    """
    try:
        with opened(path, BYTE_LIMIT + 16) as raw:
            if raw.peek(2)[:2] != GZIP_MAGIC:
                return _read(path, raw, rank, available=path.stat().st_size)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _read(path, unpacked, rank, available=UNPACKED[0] + UNPACKED[1] * path.stat().st_size)
    except (OSError, EOFError, zlib.error) as error:
        raise _wrong(path, "a readable IDX file", f"{type(error).__name__}: {error}") from error


def read_split(images: Path, labels: Path, size: tuple[int, int]) -> ArraySplit:
    """Return grey images of `size` = (H, W) from an IDX file of rank 3 and their labels from one of rank 1.

    Raises `DataError` as `read_idx` does, and for images of another size or another count than the labels.
    """
    pixels = read_idx(images, rank=3)
    if pixels.shape[1:] != size:
        raise _wrong(images, f"images of {size[0]} x {size[1]}", f"{pixels.shape[1]} x {pixels.shape[2]}")
    numbers = read_idx(labels, rank=1)
    if len(numbers) != len(pixels):
        raise _wrong(labels, f"{len(pixels)} labels, one for each image of {images.name}", str(len(numbers)))
    return ArraySplit(pixels[:, :, :, np.newaxis], numbers.astype(np.int32))


def _read(path: Path, file: BinaryIO | gzip.GzipFile, rank: int, available: int) -> npt.NDArray[np.uint8]:
    magic = file.read(4)
    if magic != bytes((0, 0, UNSIGNED_BYTE, rank)):
        wanted = f"an IDX file of unsigned bytes of rank {rank} (magic 0000080{rank})"
        raise _wrong(path, wanted, f"magic {magic.hex()}" if magic else "an empty file")
    header = file.read(4 * rank)
    if len(header) != 4 * rank:
        raise _wrong(path, f"{rank} dimensions", f"{len(header)} bytes where {4 * rank} should be")
    dims: tuple[int, ...] = struct.unpack(f">{rank}I", header)
    count = prod(dims)
    if count > BYTE_LIMIT or 0 in dims:
        raise _wrong(path, f"dimensions of at least 1 and at most {BYTE_LIMIT} bytes", f"dimensions {dims}")
    if count > available:
        packed = isinstance(file, gzip.GzipFile)
        got = "so small a gzip file (if it is right, unpack it first)" if packed else "a file too short to hold them"
        raise _wrong(path, f"{count} bytes for dimensions {dims}", got)
    data = np.zeros(count, np.uint8)
    at = 0
    while at < count and (chunk := file.read(min(CHUNK, count - at))):
        data[at : at + len(chunk)] = np.frombuffer(chunk, np.uint8)
        at += len(chunk)
    if at < count or file.read(1):
        got = f"{at} bytes" if at < count else "more bytes after the end"
        raise _wrong(path, f"exactly {count} bytes for dimensions {dims}", got)
    return data.reshape(dims)


def _wrong(path: Path, wanted: str, got: str) -> DataError:
    return DataError(f"{path}: wants {wanted}, got {got}; the file is damaged or another one: get it again")
