"""What every reader and writer of files needs: bounds on what is read, digests, files that are whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_regular(path: Path, largest: int) -> bytes:
    """The bytes of a regular file of at most `largest` bytes.

    Raises OSError: EINVAL for what is none (a device or a pipe may never end), EFBIG for one that is larger.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer would wait for one
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"larger than {largest:,} bytes", str(path))
    return content


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


def write_whole(path: Path, content: str) -> None:
    """Write a text file that is either as it was or as it should be, whatever happens on the way."""
    with whole(path) as file:
        file.write(content.encode("utf-8"))


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file to one that is either as it was or as it should be."""
    with source.open("rb") as given, whole(path) as file:
        shutil.copyfileobj(given, file)
