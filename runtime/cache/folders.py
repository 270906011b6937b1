"""Where the cache lies on disk: its folders, their locks, and what killed builders left there.

Under the root::

    v1/entries/<digest>/artefact        what the compiler wrote
    v1/entries/<digest>/manifest.json   its key, size, SHA-256, and when and how long it was built
    v1/locks/<digest>.lock              held by the one process that builds or removes this entry
    v1/tmp/<digest>.<random>/           an entry while it is built or removed

An entry is a folder that is renamed into place when it is whole. What lies under `tmp` belongs to the holder
of its digest's lock; when that lock is free, its builder was killed, and the next one removes it.
Only digests name files; labels, targets and flags never do.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from netc.netspec.errors import NetcError, UserError
from netc.runtime.cache.entry import FORMAT

_DIGEST = re.compile(r"[0-9a-f]{64}")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# What a call on the root ends with when it is not ours to write to.
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP})


def cache_root() -> Path:
    """The folder of everything that can be made again: `NETC_CACHE_DIR`, or the user's cache folder."""
    return Path(os.environ.get("NETC_CACHE_DIR") or platformdirs.user_cache_dir("netc")).expanduser().absolute()


def data_cache() -> Path:
    """The folder that downloaded data sets lie in: `data` in NETC_CACHE_DIR, or in the user's cache folder."""
    return cache_root() / "data"


class Folders:
    """The folders under a root. Making it touches no file."""

    def __init__(self, root: Path) -> None:
        self.root, self.home = root, root / f"v{FORMAT}"
        self.entries, self.locks, self.tmp = self.home / "entries", self.home / "locks", self.home / "tmp"

    def digests(self) -> list[str]:
        """The names of the entries."""
        paths = self.entries.iterdir() if self.entries.is_dir() else ()
        return sorted(path.name for path in paths if _DIGEST.fullmatch(path.name))

    def sweep(self, digest: str) -> int:
        """Remove what lies about for `digest`, whose lock is held; the bytes freed."""
        return sum(map(_discard, self.tmp.glob(f"{digest}.*")))

    def sweep_all(self) -> int:
        """Remove what killed builders left; the bytes freed."""
        freed = 0
        for digest in {path.name[:64] for path in self.tmp.iterdir() if _DIGEST.match(path.name)}:
            with suppress(Timeout), self.lock(digest).acquire(blocking=False):  # Timeout: its builder lives
                freed += self.sweep(digest)
        return freed

    def make(self) -> None:
        """Make the folders that are not there."""
        for folder in (self.root, self.home, self.entries, self.locks, self.tmp):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def temporary(self, digest: str) -> Path:
        """A new path under `tmp`."""
        return self.tmp / f"{digest}.{secrets.token_hex(8)}"

    def lock(self, digest: str) -> FileLock:
        """The lock of an entry. Its file stays: removing it while another process waits would let two hold "it"."""
        return FileLock(self.locks / f"{digest}.lock")

    @contextmanager
    def writing(self, expected: frozenset[int] = FULL | _UNWRITABLE) -> Iterator[None]:
        """Turn a full or unwritable root into a sentence."""
        try:
            yield
        except OSError as error:
            got = f"got {self.root} ({error.strerror});"
            if error.errno in expected & FULL:
                advice = "free some, or set NETC_CACHE_DIR to a folder on another disk"
                raise NetcError(f"the cache wants room for a compiled artefact, {got} {advice}") from error
            if error.errno in expected:
                advice = "set NETC_CACHE_DIR to one"
                raise UserError(f"the cache wants a folder that it can write to, {got} {advice}") from error
            raise


def _discard(path: Path) -> int:
    """Remove a folder or file; the bytes that its files had."""
    size = sum(file.lstat().st_size for file in (path, *path.rglob("*")) if not file.is_dir())
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
    return size
