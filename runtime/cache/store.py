"""A content-addressed store of compiled artefacts, shared by processes.

The folders and locks on disk are those of folders.py.

A compiled artefact is native code. The digests guard against accidents and not against people who can write
to the root: it is made readable and writable for its owner only, and nothing is loaded from one that somebody
else could write to (cache_trust.py).

The time of an artefact's file is that of its last use. When a build makes the store larger than its limit
(cache_limit.py), those that were not used for longest go. Who takes an artefact holds a shared `flock` on it,
and what is held is not evicted.
"""

import hashlib
import logging
import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from filelock import Timeout

from netc.netspec.errors import NetcError
from netc.runtime.cache import limit as cache_limit
from netc.runtime.cache.entry import (
    CacheKey,
    DamagedError,
    Entry,
    OutdatedError,
    differences,
    from_manifest,
    to_manifest,
)
from netc.runtime.cache.folders import FULL, Folders, cache_root
from netc.runtime.cache.hold import hold, is_still, unused
from netc.runtime.cache.trust import refuse_foreign
from netc.runtime.files import read_regular, sha256_of, sync

__all__ = ["Cache", "CacheKey", "Entry", "Notice"]

Notice = Callable[[str], None]
"""Takes one sentence for the user."""

_log = logging.getLogger(__name__)

_LARGEST_MANIFEST = 1 << 20  # bytes


class Cache:
    """The cache under `root`; by default that of the user, or `NETC_CACHE_DIR` where it is set.

    `on_wait` is told when another process is building what is asked for, `on_damage` when an entry is
    unusable and will be built again; by default both are logged as warnings. `on_build` gives the context in
    which an entry is built, for whoever watches; who builds one tells `on_progress`, where there is one, how far it
    is, from another thread. Making a `Cache` touches no file. A root that cannot be
    written still serves hits. `limit` is the bytes of artefacts that it may hold after a build, by default what
    `NETC_CACHE_LIMIT` says.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        on_wait: Notice = _log.warning,
        on_damage: Notice = _log.warning,
        on_build: Callable[[CacheKey], AbstractContextManager[object]] = nullcontext,
        on_progress: Notice | None = None,
        limit: int | None = None,
    ) -> None:
        self.root = root.expanduser().absolute() if root else cache_root()
        self._on_wait = on_wait
        self._on_damage = on_damage
        self._on_build = on_build
        self.on_progress = on_progress
        self._limit = limit
        self._at = Folders(self.root)

    def lookup(self, key: CacheKey, mark: str = "") -> Entry | None:
        """The entry for `key`, its artefact's digest verified, or None.

        A damaged entry is reported to `on_damage` and is None; so is one whose artefact does not contain the ASCII
        text `mark`. Another process may `clear` the entry at any time after this returns. Raises UserError where
        somebody else could have written it.
        """
        try:
            return self._take(key.digest, mark)
        except DamagedError as damage:
            self._report(key.name, damage)
            return None

    def get_or_build(self, key: CacheKey, build: Callable[[Path], None], mark: str = "") -> Entry:
        """The entry for `key`, built by `build` when it is missing or damaged.

        `build(path)` writes the artefact to `path`, in an empty folder of its own on the same file system. Of
        several processes (or threads) that ask for one key, one builds and the others wait. Whatever `build`
        raises passes through and leaves nothing behind. `mark` is as in `lookup`: what tells that an artefact was
        built for this key. After a build the least recently used entries go where the store is over its limit.

        Raises UserError when the root cannot be written and there is no entry, and when somebody else could have
        written what is there; NetcError when the disk is full, or when `build` wrote no file.
        """
        # Damage is looked at again, and reported, when nobody else can be changing the entry.
        with suppress(DamagedError):
            if entry := self._take(key.digest, mark):
                return entry
        most = self._limit if self._limit is not None else cache_limit.limit()  # a wrong one is said before the build
        with self._at.writing():
            self._at.make()
            refuse_foreign(self.root, self._at.home)  # now, not when it is next taken from
            self._at.sweep_all()
        with self._locked(key):
            try:
                if entry := self.lookup(key, mark):
                    return entry
                with self._on_build(key):
                    entry = self._build(key, build)
            finally:
                self._at.sweep(key.digest)
        self._evict(most, None, spared=key.digest)
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first, by their manifests alone: no artefact is read or its digest verified.

        Entries whose manifest or size is wrong are reported to `on_damage` and left out; what an earlier netc wrote in
        another form is removed.
        """
        found = []
        for digest in self._at.digests():
            try:
                if entry := self._read(digest):
                    found.append(entry)
            except OutdatedError:
                with suppress(OSError):  # a root that cannot be written
                    self._remove(digest, digest, None, held_too=False)
            except DamagedError as damage:
                self._report(digest[:12], damage)
        return tuple(sorted(found, key=lambda entry: (entry.created, entry.key.digest)))

    def clear(self, pattern: str | None = None, older_than: timedelta | None = None) -> int:
        """Remove entries and return the bytes freed.

        `pattern` is a shell pattern for the label or the digest (`resnet*`), `older_than` a least age; an
        entry goes when both agree, and None agrees with everything. Damaged entries have a digest only, and
        the age of their folder. What is being built is left alone; what killed builders left goes too.

        Raises UserError when the root cannot be written.
        """
        with self._at.writing():
            if not self.root.exists():
                return 0
            self._at.make()
            freed = sum(self._remove(digest, pattern, older_than) for digest in self._at.digests())
            return freed + self._at.sweep_all()

    def prune(self, most: int | None = None, unused_for: timedelta | None = None) -> int:
        """Remove the least recently used entries and return the bytes freed.

        First those that nobody used for `unused_for`, then until at most `most` bytes of artefacts are left; None
        asks for nothing. What is being built, or was taken by a process that may be loading it, is left alone.

        Raises UserError when the root cannot be written.
        """
        with self._at.writing():
            if not self.root.exists():
                return 0
            self._at.make()
            return self._at.sweep_all() + self._evict(most, unused_for)

    def last_used(self, entry: Entry) -> datetime:
        """When an entry was last taken (UTC); that of a cache that cannot be written does not move."""
        try:
            return datetime.fromtimestamp(entry.path.stat().st_mtime, UTC)
        except OSError:
            return entry.created

    def miss_reason(self, key: CacheKey) -> str | None:
        """Why `key` is not in the cache, as one sentence; None when it is, or when its label is new.

        The sentence compares it with the nearest entry of the same label: the one that differs in the fewest
        parts, and of those the youngest.
        """
        try:
            if self._read(key.digest):
                return None
        except OutdatedError as damage:
            return str(damage)
        except DamagedError as damage:
            return f"the entry is damaged: {damage}"
        kin = [differences(key, entry.key) for entry in self.entries() if entry.key.label == key.label]
        nearest = min(reversed(kin), key=len, default=[])
        return "; ".join(nearest) or None

    def _build(self, key: CacheKey, build: Callable[[Path], None]) -> Entry:
        folder = self._at.temporary(key.digest)
        final, whole, artefact = self._at.entries / key.digest, folder / "entry", folder / "artefact"
        with self._at.writing():
            folder.mkdir(mode=0o700)
        started = time.monotonic()
        with self._at.writing(FULL):  # any other error is that of the build
            build(artefact)
        seconds = round(time.monotonic() - started, 3)
        if artefact.is_symlink() or not artefact.is_file() or not artefact.stat().st_size:
            raise NetcError(f"the build of {key.name} wants a file at {artefact}, got none; report this")
        with self._at.writing():
            # Only two files become the entry: the build may have left others beside its artefact.
            whole.mkdir(mode=0o700)
            artefact = artefact.rename(whole / "artefact")
            digest, size = sha256_of(artefact), artefact.stat().st_size
            entry = Entry(key, final / "artefact", digest, size, datetime.now(UTC), seconds, hit=False)
            (whole / "manifest.json").write_bytes(to_manifest(entry))
            for path in (artefact, whole / "manifest.json"):
                path.chmod(0o644)  # whatever the umask is
                sync(path)
            sync(whole)
            hold(artefact.open("rb"))
            if final.exists():  # damaged, or it would have been a hit
                final.rename(self._at.temporary(key.digest))
            whole.rename(final)
            sync(self._at.entries)
        return entry

    def _take(self, digest: str, mark: str) -> Entry | None:
        """The entry, checked to the last byte and held; None when there is none."""
        folder = self._at.entries / digest
        with self._at.writing():
            if not folder.exists():
                return None
        refuse_foreign(self.root, self._at.home, self._at.entries, folder, *folder.glob("*"))
        entry = self._read(digest)
        if entry is None:
            return None
        try:
            file = entry.path.open("rb")
        except OSError as error:
            if not folder.exists():
                return None  # cleared since
            raise DamagedError(f"its artefact cannot be read ({error.strerror})") from error
        if not hold(file) or not is_still(file, entry.path):
            return None  # on its way out
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = hashlib.sha256(content).hexdigest()
            if found != entry.sha256:
                raise DamagedError(f"its artefact wants SHA-256 {entry.sha256[:12]}, got {found[:12]}")
            if content.find(mark.encode("ascii")) < 0:
                raise DamagedError("its artefact was compiled from another program, or for another target")
        with suppress(OSError):  # a root that cannot be written
            os.utime(file.fileno())
        return entry

    def _read(self, digest: str) -> Entry | None:
        """The entry by its manifest, and its artefact's size checked; None when there is none."""
        folder = self._at.entries / digest
        with self._at.writing():
            if not folder.exists():
                return None
        try:
            entry = from_manifest(read_regular(folder / "manifest.json", _LARGEST_MANIFEST), folder)
            size = entry.path.stat().st_size
        except OSError as error:
            if not folder.exists():
                return None  # cleared since
            raise DamagedError(f"one of its files cannot be read ({error.strerror})") from error
        if size != entry.bytes or not size:
            raise DamagedError(f"its artefact wants {entry.bytes} bytes, got {size}")
        return entry

    def _evict(self, most: int | None, unused_for: timedelta | None, spared: str = "") -> int:
        """Remove what `cache_limit.to_evict` names but `spared`, if nobody builds or holds it; the bytes freed."""
        uses = []
        for digest in self._at.digests():
            with suppress(OSError):  # damaged, or removed since
                found = (self._at.entries / digest / "artefact").stat()
                uses.append(cache_limit.Use(digest, found.st_mtime, found.st_size))
        before = time.time() - unused_for.total_seconds() if unused_for is not None else None
        gone = (use.digest for use in cache_limit.to_evict(uses, most, before))
        return sum(self._remove(digest, digest, None, held_too=False) for digest in gone if digest != spared)

    def _remove(self, digest: str, pattern: str | None, older_than: timedelta | None, *, held_too: bool = True) -> int:
        """Remove one entry if it matches and its lock is free, one in use only with `held_too`; the bytes freed."""
        folder = self._at.entries / digest
        try:
            with self._at.lock(digest).acquire(blocking=False):
                entry = None
                with suppress(DamagedError):
                    entry = self._read(digest)
                label = entry.key.label if entry else digest
                created = entry.created.timestamp() if entry else folder.stat().st_mtime
                named = pattern is None or fnmatchcase(label, pattern) or fnmatchcase(digest, pattern)
                if not named or (older_than and time.time() - created < older_than.total_seconds()):
                    return 0
                with unused(folder / "artefact") as free:
                    if not free and not held_too:
                        return 0
                    folder.rename(self._at.temporary(digest))
                return self._at.sweep(digest)
        except (Timeout, FileNotFoundError):  # being built, or removed by somebody else
            return 0

    @contextmanager
    def _locked(self, key: CacheKey) -> Iterator[None]:
        lock = self._at.lock(key.digest)
        with self._at.writing():
            try:
                held = lock.acquire(blocking=False)
            except Timeout:
                self._on_wait(f"another process is building {key.name}; waiting for it")
                held = lock.acquire()
        with held:
            yield

    def _report(self, name: str, damage: DamagedError) -> None:
        if not isinstance(damage, OutdatedError):
            self._on_damage(f"the cache entry {name} is damaged: {damage}; it is built again when needed")
