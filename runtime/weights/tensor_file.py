"""Reading a .safetensors file that somebody else wrote: nothing in it is believed before it is checked.

The format: 8 bytes, little-endian: the length n of the header; n bytes of JSON, from each tensor's name to its
"dtype", "shape" and "data_offsets" [begin, end), counted from the end of the header; then the data, without holes.
Nothing in the file is ever executed. Source: the format's own description (huggingface/safetensors, README).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.netspec.errors import UserError
from netc.runtime.files import opened
from netc.runtime.weights.foreign_file import LOOKED_AT, describe

Floats = npt.NDArray[np.float32]

LARGEST_FILE = 1 << 44  # bytes
LONGEST_HEADER = 4 << 20  # bytes; a net of 2,000 tensors needs 250 kB
LARGEST_RANK = 8
MOST_ELEMENTS = 1 << 40  # of one tensor; more is a lie whatever the file's size

# dtype -> how its bytes are read; floats become float32
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
WIDTHS = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8,
    "I64": 8, **{name: np.dtype(form).itemsize for name, form in FLOATS.items()},
}  # fmt: skip


class TensorFileError(UserError):
    """A file that is no safetensors file, is cut short, or says what cannot be: wanted, got, do this."""


@dataclass(frozen=True)
class Stored:
    """A tensor as the header of the file `path` describes it; `begin` is counted from the file's start, in bytes."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int


@dataclass(frozen=True)
class TensorFile:
    """A checked header, or those of all `parts` of an index. `read` takes one tensor at a time: no file twice.

    `metadata` is what its writer says of it, unchecked.
    """

    path: Path
    tensors: dict[str, Stored]
    parts: tuple[Path, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)

    def read(self, name: str) -> Floats:
        """The tensor as float32 of its shape; raises TensorFileError if it is of no float type, or not all there."""
        stored = self.tensors[name]
        if stored.dtype not in FLOATS:
            raise TensorFileError(
                f"{stored.path}: {name} wants one of {', '.join(FLOATS)}, got {stored.dtype}; save it as float32"
            )
        count = math.prod(stored.shape)
        with stored.path.open("rb") as file:
            file.seek(stored.begin)
            data = file.read(count * WIDTHS[stored.dtype])
        if len(data) != count * WIDTHS[stored.dtype]:
            raise _broken(stored.path, f"{count * WIDTHS[stored.dtype]:,} bytes of {name}", f"{len(data):,}")
        raw = np.frombuffer(data, FLOATS[stored.dtype])
        with np.errstate(all="ignore"):  # a float64 beyond float32 becomes infinite, which the caller refuses
            if stored.dtype == "BF16":  # the upper half of a float32
                return (raw.astype(np.uint32) << 16).view(np.float32).reshape(stored.shape)
            return raw.astype(np.float32).reshape(stored.shape)

    def sha256(self) -> str:
        """The digest of the whole file, as 64 hex digits; of an index that of its own and its parts' digests."""
        digests = []
        for path in (self.path, *self.parts):
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        return digests[0] if not self.parts else hashlib.sha256("".join(digests).encode()).hexdigest()


def open_tensors(path: Path) -> TensorFile:
    """Read and check the header of a .safetensors file, or those of all files that an index (.json) names.

    Raises TensorFileError, and OSError if a file cannot be read.
    """
    size = path.stat().st_size if path.is_file() else -1
    if size < 0:
        fault = "a folder; give a file in it" if path.is_dir() else "which does not exist; check the path"
        raise TensorFileError(f"FILE wants a .safetensors file, got {path}, {fault}")
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
        # the length of a header that is read has zeros in its upper bytes, which no text has
        if head.lstrip().startswith(b"{") and not _readable(head) and size <= LONGEST_HEADER:
            return _of_index(path, _parsed(path, head + file.read(LONGEST_HEADER)))
    return _of_file(path)


def _readable(head: bytes) -> bool:
    return len(head) >= 8 and 2 <= int.from_bytes(head[:8], "little") <= LONGEST_HEADER


def _of_file(path: Path) -> TensorFile:
    with opened(path, LARGEST_FILE) as file:
        head = file.read(LOOKED_AT)
        length = int.from_bytes(head[:8], "little")
        if not _readable(head):
            raise TensorFileError(f"{path} wants a .safetensors file, got {_guess(path, head, length)}")
        file.seek(8)
        text = file.read(length)
    if len(text) != length:
        raise _broken(path, f"a header of {length:,} bytes", f"{len(text):,}")
    table = _parsed(path, text)
    said = table.pop("__metadata__", None)
    metadata = {k: v for k, v in said.items() if isinstance(v, str)} if isinstance(said, dict) else {}
    return TensorFile(path, _checked(path, table, 8 + length, path.stat().st_size), metadata=metadata)


def _guess(path: Path, head: bytes, length: int) -> str:
    """What a file may be that begins so, and what to do."""
    if found := describe(path, head):
        return found
    few = f"a header of {length:,} bytes, where 2 to {LONGEST_HEADER:,} are read" if len(head) >= 8 else "too few bytes"
    return f"{few}; write one with safetensors.torch.save_file(model.state_dict(), FILE)"


def _of_index(path: Path, table: dict[str, Any]) -> TensorFile:
    """The tensors of the files beside an index: {"weight_map": {name of a tensor: name of its file}}."""
    places = table.get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
        raise TensorFileError(
            f"{path} wants a .safetensors file or an index of several, got JSON without a weight_map; give the weights"
        )
    parts = sorted(set(places.values()))
    if outside := [name for name in parts if not _is_name(name)]:
        raise TensorFileError(f"{path} wants names of files beside it, got {_shown(outside[0])}; check the index")
    tensors: dict[str, Stored] = {}
    for name in parts:
        part = path.with_name(name)
        if not part.is_file():
            raise TensorFileError(f"{path} wants {_shown(name)} beside it, got none; get all {len(parts)} parts")
        found = _of_file(part)
        listed = {tensor for tensor, place in places.items() if place == name}
        if found.tensors.keys() != listed:
            off = sorted(found.tensors.keys() ^ listed)[:1]
            raise _broken(part, f"the {len(listed):,} tensors that {path.name} lists", f"others ({_shown(*off)})")
        tensors |= found.tensors
    return TensorFile(path, tensors, tuple(path.with_name(name) for name in parts))


def _is_name(name: str) -> bool:
    """Whether a file in the same folder can have the name."""
    return name == Path(name).name and name not in ("", ".", "..") and len(name.encode("utf-8", "replace")) <= 255


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a name stands twice")
        return table

    try:
        table = json.loads(text.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise _broken(path, "a header of JSON", str(error)[:200]) from error
    if not isinstance(table, dict):
        raise _broken(path, "a JSON object", type(table).__name__)
    return table


def _checked(path: Path, table: dict[str, Any], start: int, size: int) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in table.items():
        shown = _shown(name)
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise _broken(path, f"dtype, shape and data_offsets of {shown}", str(entry)[:80])
        dtype, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in WIDTHS:
            raise _broken(path, f"a known dtype of {shown}", repr(dtype)[:40])
        if not _whole(shape) or len(shape) > LARGEST_RANK or math.prod(shape) > MOST_ELEMENTS:
            raise _broken(path, f"a shape of {shown}", repr(shape)[:80])
        if not _whole(span) or len(span) != 2 or span[1] - span[0] != math.prod(shape) * WIDTHS[dtype]:
            raise _broken(path, f"{math.prod(shape) * WIDTHS[dtype]:,} bytes of {shown}", f"the span {span!r:.80}")
        spans.append((span[0], span[1]))
        found[name] = Stored(path, dtype, tuple(shape), start + span[0])
    end = 0
    for begin, after in sorted(spans):
        if begin != end:
            raise _broken(path, "data without holes or overlaps", f"a span that begins at {begin:,}, not {end:,}")
        end = after
    if start + end != size:
        raise _broken(path, f"{start + end:,} bytes", f"{size:,}")
    return found


def _whole(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 1 << 62 for v in values)


def _shown(name: str) -> str:
    """A tensor's name as a message may show it."""
    return re.sub(r"[^ -~]", "?", name)[:120] or "a tensor without a name"


def _broken(path: Path, wanted: str, got: str) -> TensorFileError:
    return TensorFileError(f"{path} wants {wanted}, got {got}; it was cut short or altered: get it again")
