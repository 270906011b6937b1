"""Holding an artefact from the moment a process has its path until it has loaded the file: a shared `flock` on it."""

import fcntl
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

HELD: deque[BinaryIO] = deque(maxlen=8)
"""What this process took last; the lock ends when the file is closed, at the latest with the process."""


def hold(file: BinaryIO) -> bool:
    """Keep an artefact open under a shared lock; False when somebody is removing it."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    except OSError:
        pass  # a file system without locks: nothing to hold by
    HELD.append(file)
    return True


def is_still(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is the one that has the name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


@contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Whether nobody holds the artefact; while this lasts, nobody can begin to."""
    try:
        file = path.open("rb")
    except OSError:
        yield True  # there is nothing to hold
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # a file system without locks
        yield True
