"""The text of a spec's file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from netc.netspec.errors import UserError


def read_regular(path: Path, largest: int) -> bytes:
    """The bytes of a regular file of at most `largest` bytes; traces/files.py has its own: no room lies below both.

    Raises OSError: EINVAL for what is no regular file (a device or a pipe may never end), EFBIG for one that is larger.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer would wait for one
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise OSError(errno.EISDIR, "a folder", str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        if found.st_size > largest:
            raise OSError(errno.EFBIG, f"{found.st_size} bytes", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def read_bytes(path: Path, largest: int, what: str, advice: str) -> bytes:
    """The bytes of a regular file of at most `largest` bytes; raises UserError for any other, or one not to be read.

    A file that is too large `wants {what}at most ..; {advice}`.
    """
    try:
        return read_regular(path, largest)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise UserError(f"{path}: wants {what}at most {largest} bytes, got {error.strerror}; {advice}") from error
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from error


def read_text(path: Path, largest: int, what: str, advice: str) -> str:
    """The UTF-8 text of a file, without a byte order mark; raises UserError as `read_bytes` does."""
    try:
        return read_bytes(path, largest, what, advice).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: wants UTF-8 text, got byte {error.object[error.start]:#04x} at {error.start}; save it as UTF-8"
        ) from error
