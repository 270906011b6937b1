"""One writer a folder: a lock that dies with the process that holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netc.netspec.errors import NetcError, UserError

LOCK = ".lock"
"""The file in the folder that is locked; it says who holds it, and goes when its holder is done."""

# what `flock` ends with on a file system that has no locks
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
_LONGEST = 200  # bytes of who holds a lock


class LockedError(NetcError):
    """Another process writes in the folder."""


@contextmanager
def only_writer(folder: Path, noted: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the lock of `folder`, which is made if need be and goes again if nothing was put in it.

    The lock is `flock`'s, which the system takes back when the process ends in whatever way; Linux hands it on to the
    server of an NFS folder, so that it holds between hosts. `noted` is told of a file system without locks. Raises
    LockedError at once if another process holds it, UserError if the folder cannot be written; neither changes a file.
    """
    made = _made(folder)
    try:
        handle = _locked(folder, noted)
        try:
            yield
        finally:
            # While it is held: another process that opened this very file sees that the name is gone, and looks anew.
            if _is_at(handle, folder / LOCK):
                (folder / LOCK).unlink()
            os.close(handle)
    finally:
        if made:
            _leave_if_empty(folder)


def _made(folder: Path) -> bool:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(folder, error) from error
    return True


def _leave_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # it holds what was made in it
        return


def _locked(folder: Path, noted: Callable[[str], None]) -> int:
    path = folder / LOCK
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                who = os.pread(handle, _LONGEST, 0).decode("ascii", "replace").strip()
                os.close(handle)
                raise _taken(folder, who, error) from error
            noted(f"{folder} lies on a file system without locks: see to it that no other process writes there")
        if _is_at(handle, path):
            break
        os.close(handle)  # its holder was done since it was opened, and took the name away
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()} {socket.gethostname()}\n".encode("ascii", "replace"), 0)
    return handle


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _taken(folder: Path, who: str, error: OSError) -> NetcError:
    if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
        return NetcError(f"{folder} wants a lock, got: {error.strerror}; choose a folder on another disk")
    pid, _, host = who.partition(" ")
    known = pid.isdigit() and host.isprintable() and host
    holder = f"process {pid} on {host}" if known else "another process"
    return LockedError(
        f"{folder} wants one process that writes there, got a second: {holder} is at it; "
        "wait until it is done, stop it, or choose another folder"
    )


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(f"{folder} wants to be a folder that can be written, got: {error.strerror}; choose another")
