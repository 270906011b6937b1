"""Checkpoints: the state of a run in a folder that is whole or is not there.

A checkpoint `name` is a folder of two files::

    <folder>/<name>/state.safetensors   the tensors
    <folder>/<name>/manifest.json       format; tensor names in order, with dtypes and shapes; the caller's
                                        `meta`; size and SHA-256 of the state; and last the manifest's own

Where several processes have a state in pieces, each writes a `state-00000-of-00002.safetensors` of its own into the
folder that `begin` made, and `bind` writes the manifest of all of them (pieces.py).

safetensors has no checksum inside and loads most bit flips silently, hence the digests. The manifest's own is
over its bytes without that field, and its bytes must be exactly those that `save` writes, so no flipped bit
passes.

`save` writes a new folder beside the old one and swaps them with two renames. A crash between the renames
leaves no `<name>` but its predecessor as `.<name>.old`, which `load` reads in its place and the next `save`
puts back. One process may save a name at a time; any number may load it meanwhile. What a killed process left
behind goes with `tidy`.
"""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from netc.netspec.errors import NetcError
from netc.runtime.backends.protocol import Array, Piece
from netc.runtime.files import opened, sync
from netc.runtime.run.checkpoint_manifest import (
    LARGEST_MANIFEST,
    MANIFEST,
    PIECES,
    STATE,
    WHOLE,
    CheckpointError,
    altered,
    described,
    file_of,
    is_ours,
    parsed,
    plain_meta,
    rendered,
    seal_of,
)
from netc.runtime.run.pieces import Written, bound, places, stored, together
from netc.runtime.run.tensor_bytes import content_of, tensors_of
from netc.traces.schema import JSON

__all__ = [
    "MANIFEST", "STATE", "Checkpoint", "CheckpointError", "begin", "bind", "digest_of", "exists", "load",
    "remove", "restate", "save", "tidy", "want_room", "write_pieces",
]  # fmt: skip

LARGEST_STATE = 1 << 40
_LONGEST_NAME = 200  # bytes; file systems allow 255 and the temporary names are longer


@dataclass(frozen=True)
class Checkpoint:
    """What was saved: the tensors by name, in the order in which they were given to `save`, and `meta`."""

    tensors: dict[str, np.ndarray]
    meta: dict[str, JSON]


def save(
    folder: Path, name: str, tensors: Mapping[str, np.ndarray], meta: Mapping[str, JSON], *, older: str = ""
) -> Path:
    """Write the checkpoint `folder/name`, in place of the one that is there, and return its path.

    The one that was there is removed, or is called `older`.

    `tensors` may have any shapes and the dtypes bool, int8 to int64, uint8 to uint64 and float16 to float64;
    `meta` is plain JSON with finite floats (tuples become lists, keys are sorted). When this returns, the
    checkpoint is on the disk; when it raises or the machine stops, the one before it still is.

    Raises CheckpointError for a name that is no plain file name, a dtype or `meta` that cannot be stored, and
    where something that is no checkpoint has the name or `folder` cannot be written; NetcError when the disk
    is full.
    """
    path = folder / _checked(name)
    content = content_of(tensors)
    manifest = rendered({
        "format": WHOLE, "files": {STATE: seal_of(content)},
        "tensors": [described(name, t.dtype.name, t.shape) for name, t in tensors.items()], "meta": plain_meta(meta),
    })  # fmt: skip

    def fill(new: Path) -> None:
        _write(new / STATE, content)
        _write(new / MANIFEST, manifest)

    return _swapped(path, fill, _checked(older) if older else "")


def begin(folder: Path, name: str) -> Path:
    """A folder beside `folder/name` for the files of all processes, until `bind` or `remove`; raises as `save`."""
    path = folder / _checked(name)
    with _writing(path):
        return _begun(path)


def write_pieces(new: Path, process: int, processes: int, pieces: Mapping[str, Sequence[Piece]]) -> Written:
    """Write what one of the processes has of the state into the folder of `begin`; raises as `save` does."""
    name, content = file_of(process, processes), content_of(stored(pieces))
    with _writing(new):
        _write(new / name, content)
    return Written(name, seal_of(content), places(pieces))


def bind(
    new: Path, name: str, written: Sequence[Written], tensors: Sequence[Mapping[str, Any]], meta: Mapping[str, JSON],
    *, older: str = "",
) -> Path:  # fmt: skip
    """Make the checkpoint `name` of what all processes wrote into `new`, in place of the one that is there, as `save`.

    `tensors` are the whole ones as a manifest describes them, in order.
    """
    path = new.parent / _checked(name)
    manifest = rendered({
        "format": PIECES, "files": {w.file: w.seal for w in written},
        "tensors": [bound(tensor, written) for tensor in tensors], "meta": plain_meta(meta),
    })  # fmt: skip
    with _writing(path):
        _write(new / MANIFEST, manifest)
        _switch(path, new, _checked(older) if older else "")
    shutil.rmtree(_aside(path), ignore_errors=True)
    return path


def restate(folder: Path, name: str, meta: Mapping[str, JSON]) -> Path:
    """Give the checkpoint `folder/name`, which was just saved, another `meta`; its state is not written again.

    Raises as `save` does, and CheckpointError where there is no whole manifest.
    """
    path = folder / _checked(name)
    with _opened(path) as (handle, _):
        manifest = parsed(_read(handle, path / MANIFEST, LARGEST_MANIFEST), path / MANIFEST)
    sealed = rendered({**manifest, "meta": plain_meta(meta)})

    def fill(new: Path) -> None:
        for file in manifest["files"]:
            try:
                os.link(path / file, new / file)
            except OSError:  # a file system without hard links
                shutil.copyfile(path / file, new / file)
                sync(new / file)
        _write(new / MANIFEST, sealed)

    return _swapped(path, fill)


def digest_of(path: Path) -> str:
    """The SHA-256 of a checkpoint's state; of one in several files, of their SHA-256 in order. Raises as `load`."""
    with _opened(path) as (handle, found):
        manifest = parsed(_read(handle, found / MANIFEST, LARGEST_MANIFEST), found / MANIFEST)
    digests = [str(seal["sha256"]) for seal in manifest["files"].values()]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _swapped(path: Path, fill: Callable[[Path], None], older: str = "") -> Path:
    """Put a folder that `fill` fills in the place of `path`, which is removed or called `older`."""
    with _writing(path):
        new = _begun(path)
        try:
            fill(new)
            _switch(path, new, older)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(_aside(path), ignore_errors=True)
    return path


def _begun(path: Path) -> Path:
    """A new folder beside that of a checkpoint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _recover(path)
    new = path.parent / f".{path.name}.new-{secrets.token_hex(8)}"
    new.mkdir()
    return new


def _switch(path: Path, new: Path, older: str) -> None:
    """Put the folder `new` in the place of `path`, which is called `older`, or lies aside to be removed."""
    folder, old = path.parent, _aside(path)
    sync(new)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    new.rename(path)
    sync(folder)
    if older and old.is_dir():
        remove(folder / older)
        old.rename(folder / older)


def remove(path: Path) -> None:
    """Remove the checkpoint at `path`, if there is one; a crash leaves it whole or leaves what `tidy` removes."""
    gone = path.parent / f".{path.name}.new-{secrets.token_hex(8)}"
    with _writing(path):
        if path.is_dir():
            path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Remove what killed processes left in a folder of checkpoints: half-written ones, and ones that were replaced.

    One that was about to be replaced is put back. Nobody else may write there meanwhile.
    """
    with _writing(folder):
        for leftover in folder.glob(".*.new-*"):
            _discard(leftover)
        for old in folder.glob(".*.old"):
            path = folder / old.name.removeprefix(".").removesuffix(".old")
            if _is_ours(old) and not path.exists():
                old.rename(path)
            else:
                _discard(old)


def _discard(path: Path) -> None:
    """Remove a checkpoint's folder of another name, and not what it links to; anything else stays."""
    if path.is_symlink():
        path.unlink()
    elif _is_ours(path):
        shutil.rmtree(path, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and all(is_ours(inner.name) for inner in path.iterdir())


def want_room(path: Path, size: int) -> None:
    """Make the folder of a checkpoint that is to come, of `size` bytes; raise NetcError if its disk has less left."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    left = shutil.disk_usage(path.parent)
    if left.total and left.free < size:  # some file systems say nothing of themselves but zeros
        raise NetcError(
            f"the checkpoint {path} wants {size / 1e6:,.0f} MB of its disk, got {left.free / 1e6:,.0f} MB; free some"
        )


def load(path: Path) -> Checkpoint:
    """Read the checkpoint at `path`, as `save` returned it, after checking every byte of it.

    Raises CheckpointError when it is missing, cut short or altered, is of another format, or when its tensors
    are not those of its manifest.
    """
    while True:
        with _opened(path) as (handle, found):
            try:
                return _load(handle, found)
            except CheckpointError:
                # A `save` may have swapped the folder while it was being read. It empties the old one only
                # when the new one is in place: what is wrong there counts only while `path` is missing.
                superseded = found != path and path.exists()
                if not superseded and _is_current(handle, found):
                    raise


def exists(path: Path) -> bool:
    """Whether `load(path)` would find a checkpoint, whole or damaged; a crashed `save` is seen through."""
    return path.is_dir() or _aside(path).is_dir()


def _checked(name: str) -> str:
    plain_name = (
        name == name.strip()
        and name.isprintable()  # no control characters, and no lone surrogates
        and not name.startswith(".")  # '.', '..', and the names of our own temporary folders
        and not set(name) & set("/\\")
        and 0 < len(name.encode()) <= _LONGEST_NAME
    )
    if not plain_name:
        raise CheckpointError(
            f"a checkpoint wants a plain file name of at most {_LONGEST_NAME} bytes, got {name[:80]!r};"
            " leave out separators, a leading dot, spaces at the ends and control characters"
        )
    return name


def _load(handle: int, path: Path) -> Checkpoint:
    manifest = parsed(_read(handle, path / MANIFEST, LARGEST_MANIFEST), path / MANIFEST)
    files = {name: _stored(handle, path / name, seal) for name, seal in manifest["files"].items() if is_ours(name)}
    if manifest["format"] == PIECES:
        found = {t["name"]: together(t, files, path) for t in manifest["tensors"]}
        return Checkpoint(found, manifest["meta"])
    held, meant = files[STATE], {tensor["name"]: tensor for tensor in manifest["tensors"]}
    if meant.keys() != held.keys():
        odd = ", ".join(sorted(map(repr, meant.keys() ^ held.keys())))
        raise altered(path / STATE, "the tensors of the manifest", f"a difference in {odd}")
    for name, tensor in held.items():
        if described(name, tensor.dtype.name, tensor.shape) != meant[name]:
            wants = f"tensor {name!r} as {meant[name]['dtype']}{meant[name]['shape']}"
            raise altered(path / STATE, wants, f"{tensor.dtype}{list(tensor.shape)}")
    return Checkpoint({name: held[name] for name in meant}, manifest["meta"])


def _stored(handle: int, path: Path, seal: Mapping[str, JSON]) -> dict[str, Array]:
    """The arrays of one file, of whose bytes the manifest says this."""
    content = _read(handle, path, LARGEST_STATE)
    if len(content) != seal["bytes"]:
        raise altered(path, f"{seal['bytes']} bytes", f"{len(content)}")
    if (digest := hashlib.sha256(content).hexdigest()) != seal["sha256"]:
        raise altered(path, f"SHA-256 {str(seal['sha256'])[:12]}", digest[:12])
    return tensors_of(content, path)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, Path]]:
    """A handle on the checkpoint's folder and where it was found.

    What is read through the handle belongs to one `save`, whatever is renamed meanwhile.
    """
    # Between the renames of a `save` only the second exists; the third look is for a swap done since.
    for candidate in (path, _aside(path), path):
        try:
            handle = os.open(candidate, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise CheckpointError(f"{path} wants a folder that can be read, got: {error.strerror}") from error
        try:
            yield handle, candidate
        finally:
            os.close(handle)
        return
    raise CheckpointError(f"{path} wants a checkpoint, got none; look for its name in {path.parent}")


def _is_current(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _read(handle: int, path: Path, largest: int) -> bytes:
    try:
        with opened(path, largest, handle) as file:
            return file.read()
    except OSError as error:
        raise altered(path, "a file that can be read", str(error.strerror)) from error


def _aside(path: Path) -> Path:
    return path.parent / f".{path.name}.old"


def _recover(path: Path) -> None:
    """Finish or undo what a crashed `save` left, and refuse to replace what is no checkpoint."""
    for leftover in path.parent.glob(f".{escape(path.name)}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if not path.exists() and _aside(path).is_dir():
        _aside(path).rename(path)
    strangers: set[str] = set()
    if path.is_dir() and not path.is_symlink():
        strangers = {inner.name for inner in path.iterdir() if not is_ours(inner.name)}
    elif path.exists() or path.is_symlink():
        strangers = {path.name}
    if strangers:
        raise CheckpointError(
            f"{path} must be a checkpoint, got something else there ({min(strangers)!r}); choose another"
            " name, or move that away"
        )


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind, wanted, advice = (
            (NetcError, "room on its disk", "free some")
            if full
            else (CheckpointError, "a folder that it can write to", "choose another")
        )
        raise kind(
            f"the checkpoint {path} wants {wanted}, got: {error.strerror}; {advice}."
            " What was saved there before is unchanged."
        ) from error
