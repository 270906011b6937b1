"""Checkpoints: the state of a run in a folder that is whole or is not there.

A checkpoint `name` is a folder of two files::

    <folder>/<name>/state.safetensors   the tensors
    <folder>/<name>/manifest.json       format; tensor names in order, with dtypes and shapes; the caller's
                                        `meta`; size and SHA-256 of the state; and last the manifest's own

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
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from netc.netspec.errors import NetcError, UserError
from netc.runtime.files import opened, sync
from netc.traces.schema import JSON, plain

FORMAT = 1
"""The version of the format that this code writes and reads."""

STATE = "state.safetensors"
MANIFEST = "manifest.json"
LARGEST_MANIFEST = 4 << 20  # bytes; a net of 2,000 tensors needs 1 MB
LARGEST_STATE = 1 << 40

# The dtypes of safetensors that NumPy has too.
_FLOATS, _INTS = ("float64", "float32", "float16"), ("int64", "int32", "int16", "int8")
_DTYPES = (*_FLOATS, *_INTS, "uint64", "uint32", "uint16", "uint8", "bool")
_LONGEST_NAME = 200  # bytes; file systems allow 255 and the temporary names are longer


class CheckpointError(UserError):
    """A checkpoint that cannot be saved under that name, or loaded: wanted, got, do this."""


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
    content = safetensors.numpy.save({key: _storable(key, tensor) for key, tensor in tensors.items()})
    manifest = _manifest(content, tensors, meta)

    def fill(new: Path) -> None:
        _write(new / STATE, content)
        _write(new / MANIFEST, manifest)

    return _swapped(path, fill, _checked(older) if older else "")


def restate(folder: Path, name: str, meta: Mapping[str, JSON]) -> Path:
    """Give the checkpoint `folder/name`, which was just saved, another `meta`; its state is not written again.

    Raises as `save` does, and CheckpointError where there is no whole manifest.
    """
    path = folder / _checked(name)
    with _opened(path) as (handle, _):
        manifest = _parse(_read(handle, path / MANIFEST, LARGEST_MANIFEST), path / MANIFEST)
    sealed = _render({**manifest, "meta": _plain(meta)})

    def fill(new: Path) -> None:
        try:
            os.link(path / STATE, new / STATE)
        except OSError:  # a file system without hard links
            shutil.copyfile(path / STATE, new / STATE)
            sync(new / STATE)
        _write(new / MANIFEST, sealed)

    return _swapped(path, fill)


def _swapped(path: Path, fill: Callable[[Path], None], older: str = "") -> Path:
    """Put a folder that `fill` fills in the place of `path`, which is removed or called `older`."""
    folder, old = path.parent, _aside(path)
    new = folder / f".{path.name}.new-{secrets.token_hex(8)}"
    with _writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        _recover(path)
        try:
            new.mkdir()
            fill(new)
            sync(new)
            if path.exists():
                shutil.rmtree(old, ignore_errors=True)
                path.rename(old)
            new.rename(path)
            sync(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        if older and old.is_dir():
            remove(folder / older)
            old.rename(folder / older)
    shutil.rmtree(old, ignore_errors=True)
    return path


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
    return path.is_dir() and not path.is_symlink() and {inner.name for inner in path.iterdir()} <= {STATE, MANIFEST}


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


def _storable(name: str, tensor: np.ndarray) -> np.ndarray:
    if not isinstance(name, str) or not name or not name.isprintable() or name == "__metadata__":
        raise CheckpointError(f"a tensor wants a printable name other than '__metadata__', got {name!r}; rename it")
    if not isinstance(tensor, np.ndarray) or tensor.dtype.name not in _DTYPES:
        got = tensor.dtype if isinstance(tensor, np.ndarray) else type(tensor).__name__
        raise CheckpointError(
            f"tensor {name!r} wants a NumPy array of {', '.join(_DTYPES)}, got {got}; convert it first"
        )
    # safetensors takes the memory as it lies: it must be dense, and little-endian as the format is.
    return np.asarray(tensor, dtype=tensor.dtype.newbyteorder("<"), order="C")


def _manifest(content: bytes, tensors: Mapping[str, np.ndarray], meta: Mapping[str, JSON]) -> bytes:
    manifest = {
        "format": FORMAT,
        "files": {STATE: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}},
        "tensors": [_description(name, tensor) for name, tensor in tensors.items()],
    }
    return _render({**manifest, "meta": _plain(meta)})


def _plain(meta: Mapping[str, JSON]) -> JSON:
    try:
        copy = plain(meta, "meta")
        json.dumps(copy)
    except ValueError as error:  # a TraceError, or an int of more digits than Python agrees to print
        raise CheckpointError(str(error)) from error
    return copy


def _description(name: str, tensor: np.ndarray) -> dict[str, Any]:
    return {"name": name, "dtype": tensor.dtype.name, "shape": list(tensor.shape)}


def _render(manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest, closed with a digest of what stands above it."""
    body = json.dumps(manifest, indent=1, allow_nan=False)
    sealed = {**manifest, "manifest_sha256": hashlib.sha256(body.encode("ascii")).hexdigest()}
    return json.dumps(sealed, indent=1, allow_nan=False).encode("ascii") + b"\n"


def _load(handle: int, path: Path) -> Checkpoint:
    manifest = _parse(_read(handle, path / MANIFEST, LARGEST_MANIFEST), path / MANIFEST)
    content = _read(handle, path / STATE, LARGEST_STATE)
    wanted = manifest["files"][STATE]
    if len(content) != wanted["bytes"]:
        raise _altered(path / STATE, f"{wanted['bytes']} bytes", f"{len(content)}")
    if (digest := hashlib.sha256(content).hexdigest()) != wanted["sha256"]:
        raise _altered(path / STATE, f"SHA-256 {wanted['sha256'][:12]}", digest[:12])
    try:
        stored = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise _altered(path / STATE, "a safetensors file", str(error)) from error
    described = {tensor["name"]: tensor for tensor in manifest["tensors"]}
    if described.keys() != stored.keys():
        odd = ", ".join(sorted(map(repr, described.keys() ^ stored.keys())))
        raise _altered(path / STATE, "the tensors of the manifest", f"a difference in {odd}")
    for name, tensor in stored.items():
        if _description(name, tensor) != described[name]:
            wants = f"tensor {name!r} as {described[name]['dtype']}{described[name]['shape']}"
            raise _altered(path / STATE, wants, f"{tensor.dtype}{list(tensor.shape)}")
    return Checkpoint({name: stored[name] for name in described}, manifest["meta"])


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _altered(path, "JSON", str(error)) from error
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise _altered(path, "a manifest", "other JSON")
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"{path} wants format {FORMAT}, got {manifest['format']!r}; load it with the netc that wrote it"
        )
    manifest.pop("manifest_sha256", None)
    try:
        rendered = _render(manifest)
    except ValueError:  # a bare NaN, which Python reads and we never write
        rendered = b""
    if rendered != content:
        raise _altered(path, "a manifest that agrees with its own SHA-256", "one that does not")
    return manifest


def _altered(path: Path, wanted: str, got: str) -> CheckpointError:
    return CheckpointError(f"{path} wants {wanted}, got {got}; it was cut short or altered: use another checkpoint")


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
        raise _altered(path, "a file that can be read", str(error.strerror)) from error


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
        strangers = {inner.name for inner in path.iterdir()} - {STATE, MANIFEST}
    elif path.exists() or path.is_symlink():
        strangers = {path.name}
    if strangers:
        raise CheckpointError(
            f"{path} wants to be a checkpoint, got something else there ({min(strangers)!r}); choose another"
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
            " What was saved there before is as it was."
        ) from error
