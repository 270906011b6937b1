"""Files from the network, pinned by size and SHA-256, and put in place only when whole."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from netc.runtime.data.errors import DataError
from netc.runtime.files import sha256_of, sync

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 18
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Remote:
    """A file to download: the name it gets, where it is, its size in bytes and its SHA-256 (hex)."""

    file: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Progress:
    """How far a download is: `done` of `total` bytes of `file`."""

    file: str
    done: int
    total: int


def fetch_files(
    remotes: tuple[Remote, ...],
    folder: Path,
    *,
    progress: Callable[[Progress], None] | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> tuple[Path, ...]:
    """Download what `folder` does not hold yet and return the paths, in the order of `remotes`.

    A file that is there with the right SHA-256 is kept; another one is replaced. Each download goes to a
    temporary name, is checked, written through to the disk and renamed, so that a broken one leaves nothing
    behind. `timeout` is in seconds for each wait on the network. Raises `DataError` when the network or the
    server fails, when the content is not what is pinned, and when the folder cannot be written.
    """
    return tuple(_fetch(remote, folder, progress, timeout) for remote in remotes)


def _fetch(remote: Remote, folder: Path, progress: Callable[[Progress], None] | None, timeout: float) -> Path:
    target = folder / remote.file
    try:
        if target.is_file() and sha256_of(target) == remote.sha256:
            return target
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{remote.file}.", dir=folder)
    except OSError as error:
        raise DataError(f"{target}: wants a folder to write to, got {error}; choose another cache folder") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            _receive(remote, out, folder, progress, timeout)
            out.flush()
            os.fsync(out.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
        sync(folder)
    except OSError as error:
        raise DataError(f"{target} could not be written completely ({error}); free some disk space") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _receive(
    remote: Remote,
    out: IO[bytes],
    folder: Path,
    progress: Callable[[Progress], None] | None,
    timeout: float,
) -> None:
    """Copy the URL's content to `out`; raises `DataError` unless it is exactly what is pinned."""
    import urllib.request  # here: with ssl and email behind it, it would slow down every command that reads data
    from http.client import HTTPException

    sha, done = hashlib.sha256(), 0
    request = urllib.request.Request(remote.url, headers={"User-Agent": "netc"})
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(remote, folder, error) from error
    with response:
        while done <= remote.size:
            try:
                chunk = response.read(CHUNK)
            except (OSError, HTTPException) as error:
                raise _unreachable(remote, folder, error) from error
            if not chunk:
                break
            done += len(chunk)
            sha.update(chunk)
            out.write(chunk)
            if progress:
                progress(Progress(remote.file, done, remote.size))
    if done != remote.size or sha.hexdigest() != remote.sha256:
        got = f"{'more' if done > remote.size else done} bytes with SHA-256 {sha.hexdigest()}"
        raise DataError(
            f"{remote.url}: wants {remote.size} bytes with SHA-256 {remote.sha256}, got {got}; try again; "
            "if that does not help, the file was replaced, or a proxy answers instead"
        )


def _unreachable(remote: Remote, folder: Path, error: Exception) -> DataError:
    import urllib.error

    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    code = f"HTTP {error.code} " if isinstance(error, urllib.error.HTTPError) else ""
    return DataError(
        f"{remote.url}: wants to be downloaded, got {code}{reason or type(error).__name__}; "
        f"check the network (a proxy is taken from https_proxy), "
        f"or bring the file {remote.file} yourself and put it into {folder}"
    )
