"""Files that are read only if they end, and files that are whole or not there."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO


@contextmanager
def opened(path: Path, largest: int, folder: int | None = None) -> Iterator[BufferedReader]:
    """A regular file of at most `largest` bytes, open for reading; with `folder`, an open one, that of its name in it.

    Raises OSError: EINVAL for what is no regular file (a device or a pipe may never end), EFBIG for one that is larger.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe without a writer would wait for one
    handle = os.open(path, flags) if folder is None else os.open(path.name, flags, dir_fd=folder)
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise OSError(errno.EISDIR, "a folder", str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        if found.st_size > largest:
            raise OSError(errno.EFBIG, f"more than {largest:,} bytes", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def read_regular(path: Path, largest: int) -> bytes:
    """The bytes of a regular file of at most `largest` bytes; raises OSError as `opened` does."""
    with opened(path, largest) as file:
        return file.read()


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write beside `path`, which becomes `path` at the end, or is removed where that is not reached.

    It is always a new file, under a name that nobody can guess: no link that somebody planted is followed, and of two
    writers the last one stays. An OSError on the way names `path`, which is then as it was.
    """
    temporary = path.with_name(f".{path.name}.new-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
