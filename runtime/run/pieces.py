"""A state that several processes have in pieces: each writes a file of its own, and a manifest binds them.

A piece is stored under its tensor's name and the place where it begins, as `kernel@64,0`. The manifest says of each
tensor which pieces it has, so it can be put together again for any other number of processes or devices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netc.runtime.backends.protocol import Array, Piece
from netc.runtime.run.checkpoint_manifest import altered


@dataclass(frozen=True)
class Written:
    """What a process wrote: its file, the file's size and SHA-256, and where each piece of a tensor is and how large.

    `broken` names a tensor with a number that is not finite.
    """

    file: str
    seal: Mapping[str, Any]
    pieces: Mapping[str, Sequence[Mapping[str, Sequence[int]]]]
    broken: str = ""

    def to_json(self) -> str:
        """As other processes read it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Written:
        """What `to_json` wrote."""
        return cls(**json.loads(text))


def stored(pieces: Mapping[str, Sequence[Piece]]) -> dict[str, Array]:
    """The arrays of a process's file."""
    return {_key(name, p.start): p.array for name, own in pieces.items() for p in own}


def places(pieces: Mapping[str, Sequence[Piece]]) -> dict[str, list[dict[str, list[int]]]]:
    """Where each piece of each tensor begins, and its shape."""
    return {n: [{"start": list(p.start), "shape": list(p.array.shape)} for p in own] for n, own in pieces.items()}


def bound(tensor: Mapping[str, Any], written: Sequence[Written]) -> dict[str, Any]:
    """What a manifest says of a tensor, with the pieces that the processes wrote of it."""
    name = tensor["name"]
    return {**tensor, "pieces": [{"file": w.file, **piece} for w in written for piece in w.pieces.get(name, ())]}


def together(tensor: Mapping[str, Any], files: Mapping[str, Mapping[str, Array]], path: Path) -> Array:
    """The whole tensor that a manifest describes; raises CheckpointError where its pieces are not all of it, once."""
    whole = np.empty(tensor["shape"], tensor["dtype"])
    covered = np.zeros(tensor["shape"], bool)
    for piece in tensor["pieces"]:
        start, shape, key = piece["start"], piece["shape"], _key(tensor["name"], piece["start"])
        array = files.get(piece["file"], {}).get(key)
        if array is None or list(array.shape) != shape or array.dtype != whole.dtype:
            got = "nothing" if array is None else f"{array.dtype}{list(array.shape)}"
            raise altered(path / piece["file"], f"{key!r} as {tensor['dtype']}{shape}", got)
        if not (
            len(start) == len(shape) == whole.ndim
            and all(0 <= a <= size - n for a, n, size in zip(start, shape, whole.shape, strict=True))
        ):
            raise altered(path, f"{key!r} within {tensor['shape']}", f"a piece of {shape}")
        place = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
        if covered[place].any():
            raise altered(path, f"each number of {tensor['name']!r} once", f"{key!r} over another piece")
        whole[place], covered[place] = array, True
    if not covered.all():
        raise altered(path, f"all {whole.size} numbers of {tensor['name']!r}", f"pieces of {covered.sum()}")
    return whole


def _key(name: str, start: Sequence[int]) -> str:
    return f"{name}@{','.join(map(str, start))}"
