"""CIFAR-10 in its binary version (A. Krizhevsky, "Learning multiple layers of features...", 2009).

Each record is one byte of label and 3072 bytes of pixels: the red plane, the green, the blue, each 32 rows
of 32. Read from a folder of .bin files, or from the .tar.gz as it is published, without unpacking it to
disk.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.errors import DataError
from netc.runtime.files import opened

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
FILES = TRAIN_FILES + TEST_FILES
ARCHIVE = "cifar-10-binary.tar.gz"
RECORD = 1 + 3 * 32 * 32
FILE_LIMIT = 10_000 * RECORD
"""Bytes of one file: 10,000 records, as published; refused above before it is read."""

MEMBER_LIMIT = 64
MOST_PACKED = 1 << 29
UNPACKED = (16 << 20, 4)
"""An archive of n bytes may hold 16 MiB + 4 n of images; as published it holds 1.1 n."""


class _Bounded:
    """A file that gives no more at once than a file of images has: tarfile believes what a header says of a size."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= FILE_LIMIT:
            raise tarfile.ReadError(f"a part of {size} bytes")
        return self._file.read(size)


def read_folder(folder: Path) -> tuple[ArraySplit, ArraySplit]:
    """Return training and test images from the .bin files in `folder`; a bad one raises `DataError`."""
    contents: dict[str, bytes] = {}
    for name in FILES:
        path = folder / name
        try:
            _check_size(str(path), path.stat().st_size)
            contents[name] = path.read_bytes()
        except OSError as error:
            raise _wrong(str(path), "a readable file", str(error)) from error
    return _splits(str(folder), contents)


def read_archive(path: Path) -> tuple[ArraySplit, ArraySplit]:
    """Return training and test images from the published archive at `path`, nothing written to disk.

    Raises `DataError` when the archive is damaged, holds a file of a wrong size, or lacks one.
    """
    contents: dict[str, bytes] = {}
    try:
        with (
            opened(path, MOST_PACKED) as raw,
            gzip.GzipFile(fileobj=raw) as unpacked,
            tarfile.open(fileobj=_Bounded(unpacked), mode="r:") as archive,  # type: ignore[call-overload]
        ):
            left = UNPACKED[0] + UNPACKED[1] * path.stat().st_size
            for seen, member in enumerate(archive):
                if seen >= MEMBER_LIMIT or member.size > FILE_LIMIT:
                    raise _wrong(str(path), f"the archive as published ({ARCHIVE})", f"a strange {member.name}")
                name = member.name.rsplit("/", 1)[-1]
                if name in FILES and member.isreg():
                    _check_size(f"{path}: {name}", member.size)
                    left -= member.size
                    if left < 0:
                        raise _wrong(str(path), "images that its size can hold", f"{name} of {member.size} bytes")
                    file = archive.extractfile(member)
                    contents[name] = file.read(FILE_LIMIT) if file else b""
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise _wrong(str(path), "a whole .tar.gz archive", f"{type(error).__name__}: {error}") from error
    return _splits(str(path), contents)


def _splits(where: str, contents: dict[str, bytes]) -> tuple[ArraySplit, ArraySplit]:
    if missing := [name for name in FILES if name not in contents]:
        raise _wrong(where, ", ".join(FILES), f"none of {', '.join(missing)}")
    return _decode(where, contents, TRAIN_FILES), _decode(where, contents, TEST_FILES)


def _decode(where: str, contents: dict[str, bytes], names: tuple[str, ...]) -> ArraySplit:
    for name in names:
        _check_size(f"{where}: {name}", len(contents[name]))
    records = np.concatenate([np.frombuffer(contents[name], np.uint8).reshape(-1, RECORD) for name in names])
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return ArraySplit(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int32))


def _check_size(where: str, size: int) -> None:
    if size == 0 or size % RECORD or size > FILE_LIMIT:
        raise _wrong(where, f"1 to {FILE_LIMIT // RECORD} records of {RECORD} bytes", f"{size} bytes")


def _wrong(where: str, wanted: str, got: str) -> DataError:
    return DataError(f"{where}: wants {wanted}, got {got}; get the binary version of CIFAR-10 again")
