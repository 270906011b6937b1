"""The manifest of a checkpoint: what it holds, in which files, closed with a digest of its own bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netc.netspec.errors import UserError
from netc.traces.schema import JSON, plain

WHOLE, PIECES = 1, 2
"""The formats that this code writes and reads: a state in one file, and one in a file of each process."""

STATE = "state.safetensors"
MANIFEST = "manifest.json"
LARGEST_MANIFEST = 64 << 20  # bytes; a net of 2,000 tensors needs 1 MB, 200 bytes more for each piece of a tensor
_FILE = re.compile(r"state(-\d{5}-of-\d{5})?\.safetensors")


class CheckpointError(UserError):
    """A checkpoint that cannot be saved under that name, or loaded: wanted, got, do this."""


def file_of(process: int, processes: int) -> str:
    """The name of the file in which one of several processes writes its pieces."""
    return f"state-{process:05}-of-{processes:05}.safetensors"


def is_ours(name: str) -> bool:
    """Whether a file of a checkpoint is called so."""
    return name == MANIFEST or _FILE.fullmatch(name) is not None


def seal_of(content: bytes) -> dict[str, Any]:
    """What a manifest says of a file's content."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def described(name: str, dtype: str, shape: Sequence[int]) -> dict[str, Any]:
    """What a manifest says of a tensor; `dtype` is NumPy's name of it."""
    return {"name": name, "dtype": dtype, "shape": list(shape)}


def plain_meta(meta: Mapping[str, JSON]) -> JSON:
    """A copy of a caller's `meta`; raises CheckpointError for what JSON cannot say."""
    try:
        copy = plain(meta, "meta")
        json.dumps(copy)
    except ValueError as error:  # a TraceError, or an int of more digits than Python agrees to print
        raise CheckpointError(str(error)) from error
    return copy


def rendered(manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest, closed with a digest of what stands above it."""
    body = json.dumps(manifest, indent=1, allow_nan=False)
    sealed = {**manifest, "manifest_sha256": hashlib.sha256(body.encode("ascii")).hexdigest()}
    return json.dumps(sealed, indent=1, allow_nan=False).encode("ascii") + b"\n"


def parsed(content: bytes, path: Path) -> dict[str, Any]:
    """The manifest of these bytes; raises CheckpointError for one that was cut short or altered."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise altered(path, "JSON", str(error)) from error
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise altered(path, "a manifest", "other JSON")
    if manifest["format"] not in (WHOLE, PIECES):
        raise CheckpointError(
            f"{path} wants format {WHOLE} or {PIECES}, got {manifest['format']!r}; load it with the netc that wrote it"
        )
    manifest.pop("manifest_sha256", None)
    try:
        again = rendered(manifest)
    except ValueError:  # a bare NaN, which Python reads and we never write
        again = b""
    if again != content:
        raise altered(path, "a manifest that agrees with its own SHA-256", "one that does not")
    return manifest


def altered(path: Path, wanted: str, got: str) -> CheckpointError:
    """The error of a file of a checkpoint that is not as it was written."""
    return CheckpointError(f"{path} wants {wanted}, got {got}; it was cut short or altered: use another checkpoint")
