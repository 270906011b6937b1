"""A content-addressed store of compiled artefacts, shared by processes.

On disk, under the root::

    v1/entries/<digest>/artefact        what the compiler wrote
    v1/entries/<digest>/manifest.json   its key, size, SHA-256, and when and how long it was built
    v1/locks/<digest>.lock              held by the one process that builds or removes this entry
    v1/tmp/<digest>.<random>/           an entry while it is built or removed

An entry is a folder that is renamed into place when it is whole. What lies under `tmp` belongs to the holder
of its digest's lock; when that lock is free, its builder was killed, and the next one removes it.
Only digests name files; labels, targets and flags never do.

A compiled artefact is native code. The digests guard against accidents and not against people who can write
to the root; it is made readable and writable for its owner only.
"""

import errno
import hashlib
import json
import logging
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from netc.netspec.errors import NetcError, UserError
from netc.runtime.files import sha256_of, sync

FORMAT = 1
"""The version of the layout on disk; another version lives in another folder of the same root."""

Notice = Callable[[str], None]
"""Takes one sentence for the user."""

_log = logging.getLogger(__name__)

# What a call on the root ends with when it is not ours to write to.
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP})
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

# How a part of a key is spelled in a miss reason; the others are spelled as they are.
_SPELL: Mapping[str, Callable[[Any], str]] = {"text_sha256": lambda digest: digest[:12], "flags": " ".join}


@dataclass(frozen=True)
class CacheKey:
    """Everything that decides what an artefact is.

    `text_sha256` is the SHA-256 of the StableHLO text; `compiler` the name and version of the compiler;
    `target` the target word; `flags` the compiler's flags in order. `label` is for people (`resnet18 batch
    128`) and not part of the digest.
    """

    text_sha256: str
    compiler: str
    target: str
    flags: tuple[str, ...]
    label: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.flags, tuple):  # a str would be hashed as its letters
            raise TypeError(f"CacheKey.flags wants a tuple of str, got {self.flags!r}")

    @property
    def parts(self) -> Mapping[str, Any]:
        """The parts that are hashed, by name."""
        return {name: value for name, value in asdict(self).items() if name != "label"}

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the parts, as 64 hex digits."""
        canonical = json.dumps(self.parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One artefact in the cache.

    `path` is the file, `sha256` its digest, `bytes` its size, `created` when it was built (UTC), `seconds`
    how long that took. `hit` is False only when the call that returned this entry built it.
    """

    key: CacheKey
    path: Path
    sha256: str
    bytes: int
    created: datetime
    seconds: float
    hit: bool = True


class _DamagedError(Exception):
    """Why an entry cannot be used."""


def cache_root() -> Path:
    """The folder of everything that can be made again: `NETC_CACHE_DIR`, or the user's cache folder."""
    return Path(os.environ.get("NETC_CACHE_DIR") or platformdirs.user_cache_dir("netc")).expanduser().absolute()


class Cache:
    """The cache under `root`; by default that of the user, or `NETC_CACHE_DIR` where it is set.

    `on_wait` is told when another process is building what is asked for, `on_damage` when an entry is
    unusable and will be built again; by default both are logged as warnings. Making a `Cache` touches no
    file. A root that cannot be written still serves hits.
    """

    def __init__(
        self, root: Path | None = None, *, on_wait: Notice = _log.warning, on_damage: Notice = _log.warning
    ) -> None:
        self.root = root.expanduser().absolute() if root else cache_root()
        self._on_wait = on_wait
        self._on_damage = on_damage
        home = self.root / f"v{FORMAT}"
        self._entries, self._locks, self._tmp = home / "entries", home / "locks", home / "tmp"

    def lookup(self, key: CacheKey) -> Entry | None:
        """The entry for `key`, its artefact's digest verified, or None.

        A damaged entry is reported to `on_damage` and is None. Another process may `clear` the entry at any
        time after this returns.
        """
        try:
            return self._read(key.digest, verify=True)
        except _DamagedError as damage:
            self._report(_name(key), damage)
            return None

    def get_or_build(self, key: CacheKey, build: Callable[[Path], None]) -> Entry:
        """The entry for `key`, built by `build` when it is missing or damaged.

        `build(path)` writes the artefact to `path`, in an empty folder of its own on the same file system. Of
        several processes (or threads) that ask for one key, one builds and the others wait. Whatever `build`
        raises passes through and leaves nothing behind.

        Raises UserError when the root cannot be written and there is no entry; NetcError when the disk is
        full, or when `build` wrote no file.
        """
        # Damage is looked at again, and reported, when nobody else can be changing the entry.
        with suppress(_DamagedError):
            if entry := self._read(key.digest, verify=True):
                return entry
        with self._writing():
            self._make_folders()
            self._sweep_all()
        with self._locked(key):
            try:
                return self.lookup(key) or self._build(key, build)
            finally:
                self._sweep(key.digest)

    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first, by their manifests alone: no artefact is read or its digest verified.

        Entries whose manifest or size is wrong are reported to `on_damage` and left out.
        """
        found = []
        for digest in self._digests():
            try:
                if entry := self._read(digest):
                    found.append(entry)
            except _DamagedError as damage:
                self._report(digest[:12], damage)
        return tuple(sorted(found, key=lambda entry: (entry.created, entry.key.digest)))

    def clear(self, pattern: str | None = None, older_than: timedelta | None = None) -> int:
        """Remove entries and return the bytes freed.

        `pattern` is a shell pattern for the label or the digest (`resnet*`), `older_than` a least age; an
        entry goes when both agree, and None agrees with everything. Damaged entries have a digest only, and
        the age of their folder. What is being built is left alone; what killed builders left goes too.

        Raises UserError when the root cannot be written.
        """
        with self._writing():
            if not self.root.exists():
                return 0
            self._make_folders()
            freed = sum(self._remove(digest, pattern, older_than) for digest in self._digests())
            return freed + self._sweep_all()

    def miss_reason(self, key: CacheKey) -> str | None:
        """Why `key` is not in the cache, as one sentence; None when it is, or when its label is new.

        The sentence compares it with the nearest entry of the same label: the one that differs in the fewest
        parts, and of those the youngest.
        """
        try:
            if self._read(key.digest):
                return None
        except _DamagedError as damage:
            return f"the entry is damaged: {damage}"
        kin = [_differences(key, entry.key) for entry in self.entries() if entry.key.label == key.label]
        nearest = min(reversed(kin), key=len, default=[])
        return "; ".join(nearest) or None

    def _build(self, key: CacheKey, build: Callable[[Path], None]) -> Entry:
        folder = self._temporary(key.digest)
        final, whole, artefact = self._entries / key.digest, folder / "entry", folder / "artefact"
        with self._writing():
            folder.mkdir(mode=0o700)
        started = time.monotonic()
        with self._writing(_FULL):  # any other error is that of the build
            build(artefact)
        seconds = round(time.monotonic() - started, 3)
        if artefact.is_symlink() or not artefact.is_file() or not artefact.stat().st_size:
            raise NetcError(f"the build of {_name(key)} wants a file at {artefact}, got none; report this")
        with self._writing():
            # Only two files become the entry: the build may have left others beside its artefact.
            whole.mkdir(mode=0o700)
            artefact = artefact.rename(whole / "artefact")
            digest, size = sha256_of(artefact), artefact.stat().st_size
            entry = Entry(key, final / "artefact", digest, size, datetime.now(UTC), seconds, hit=False)
            (whole / "manifest.json").write_bytes(_to_manifest(entry))
            for path in (artefact, whole / "manifest.json", whole):
                sync(path)
            if final.exists():  # damaged, or it would have been a hit
                final.rename(self._temporary(key.digest))
            whole.rename(final)
            sync(self._entries)
        return entry

    def _read(self, digest: str, *, verify: bool = False) -> Entry | None:
        """The entry, its artefact's size and (`verify`) SHA-256 checked; None when there is none."""
        folder = self._entries / digest
        with self._writing():
            if not folder.exists():
                return None
        try:
            entry = _from_manifest((folder / "manifest.json").read_bytes(), folder)
            size = entry.path.stat().st_size
            found = sha256_of(entry.path) if verify else entry.sha256
        except OSError as error:
            if not folder.exists():
                return None  # cleared since
            raise _DamagedError(f"one of its files cannot be read ({error.strerror})") from error
        if size != entry.bytes:
            raise _DamagedError(f"its artefact wants {entry.bytes} bytes, got {size}")
        if found != entry.sha256:
            raise _DamagedError(f"its artefact wants SHA-256 {entry.sha256[:12]}, got {found[:12]}")
        return entry

    def _digests(self) -> list[str]:
        paths = self._entries.iterdir() if self._entries.is_dir() else ()
        return sorted(path.name for path in paths if _DIGEST.fullmatch(path.name))

    def _remove(self, digest: str, pattern: str | None, older_than: timedelta | None) -> int:
        """Remove one entry if it matches and its lock is free; the bytes freed."""
        folder = self._entries / digest
        try:
            with self._lock(digest).acquire(blocking=False):
                entry = None
                with suppress(_DamagedError):
                    entry = self._read(digest)
                label = entry.key.label if entry else digest
                created = entry.created.timestamp() if entry else folder.stat().st_mtime
                named = pattern is None or fnmatchcase(label, pattern) or fnmatchcase(digest, pattern)
                if not named or (older_than and time.time() - created < older_than.total_seconds()):
                    return 0
                folder.rename(self._temporary(digest))
                return self._sweep(digest)
        except (Timeout, FileNotFoundError):  # being built, or removed by somebody else
            return 0

    def _sweep(self, digest: str) -> int:
        """Remove what lies about for `digest`, whose lock is held; the bytes freed."""
        return sum(map(_discard, self._tmp.glob(f"{digest}.*")))

    def _sweep_all(self) -> int:
        freed = 0
        for digest in {path.name[:64] for path in self._tmp.iterdir() if _DIGEST.match(path.name)}:
            with suppress(Timeout), self._lock(digest).acquire(blocking=False):  # Timeout: its builder lives
                freed += self._sweep(digest)
        return freed

    def _make_folders(self) -> None:
        for folder in (self._entries, self._locks, self._tmp):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _temporary(self, digest: str) -> Path:
        return self._tmp / f"{digest}.{secrets.token_hex(8)}"

    def _lock(self, digest: str) -> FileLock:
        # Lock files stay: removing one while another process waits for it would let two hold "it" at once.
        return FileLock(self._locks / f"{digest}.lock")

    @contextmanager
    def _locked(self, key: CacheKey) -> Iterator[None]:
        lock = self._lock(key.digest)
        with self._writing():
            try:
                held = lock.acquire(blocking=False)
            except Timeout:
                self._on_wait(f"another process is building {_name(key)}; waiting for it")
                held = lock.acquire()
        with held:
            yield

    @contextmanager
    def _writing(self, expected: frozenset[int] = _FULL | _UNWRITABLE) -> Iterator[None]:
        """Turn a full or unwritable root into a sentence."""
        try:
            yield
        except OSError as error:
            got = f"got {self.root} ({error.strerror});"
            if error.errno in expected & _FULL:
                advice = "free some, or set NETC_CACHE_DIR to a folder on another disk"
                raise NetcError(f"the cache wants room for a compiled artefact, {got} {advice}") from error
            if error.errno in expected:
                advice = "set NETC_CACHE_DIR to one"
                raise UserError(f"the cache wants a folder that it can write to, {got} {advice}") from error
            raise

    def _report(self, name: str, damage: _DamagedError) -> None:
        self._on_damage(f"the cache entry {name} is damaged: {damage}; it is built again when needed")


def _name(key: CacheKey) -> str:
    return f"{(key.label or key.text_sha256[:12])!r} for {key.target!r}"


def _differences(here: CacheKey, there: CacheKey) -> list[str]:
    """One phrase for each part in which the keys differ."""
    phrases = []
    for part in here.parts:
        ours, theirs = here.parts[part], there.parts[part]
        if ours == theirs:
            continue
        if part == "flags" and set(ours) != set(theirs):  # name only those that the other lacks
            pairs = (ours, theirs), (theirs, ours)
            ours, theirs = ([flag for flag in a if flag not in b] or ["none"] for a, b in pairs)
        spell = _SPELL.get(part, str)
        phrases.append(f"{part} differs: {spell(ours)} here, {spell(theirs)} there")
    return phrases


def _to_manifest(entry: Entry) -> bytes:
    body = asdict(entry) | {"format": FORMAT, "created": entry.created.isoformat()}
    del body["path"], body["hit"]
    return json.dumps(body, indent=1, allow_nan=False).encode("ascii") + b"\n"


def _from_manifest(content: bytes, folder: Path) -> Entry:
    """Raises _DamagedError for anything that `_to_manifest` would not have written for this folder."""
    try:
        body = json.loads(content)
        parts = body["key"]
        flags = tuple(parts.pop("flags"))
        if body["format"] != FORMAT or not all(isinstance(text, str) for text in (*flags, *parts.values())):
            raise ValueError("a field of another type")
        entry = Entry(
            key=CacheKey(**parts, flags=flags),
            path=folder / "artefact",
            sha256=str(body["sha256"]),
            bytes=int(body["bytes"]),
            created=datetime.fromisoformat(body["created"]),
            seconds=float(body["seconds"]),
        )
        if entry.created.tzinfo is None or not math.isfinite(entry.seconds):
            raise ValueError("a time without a zone or an end")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise _DamagedError("its manifest is not one of ours") from error
    if entry.key.digest != folder.name:
        raise _DamagedError(f"its manifest is for another key, {entry.key.digest[:12]}")
    return entry


def _discard(path: Path) -> int:
    """Remove a folder or file; the bytes that its files had."""
    size = sum(file.lstat().st_size for file in (path, *path.rglob("*")) if not file.is_dir())
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
    return size
