"""What a file may be that is no .safetensors, told from how it begins, and the line that converts it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOKED_AT = 512  # bytes

# Each is run by the user, in their own environment: netc itself never reads a pickle.
TORCH = (
    "import sys, torch; from safetensors.torch import save_file; "
    'd = torch.load(sys.argv[1], map_location="cpu", weights_only=True); '
    'd = next((d[k] for k in ("state_dict", "model_state_dict", "model") if k in d), d); '
    "save_file({k: v.contiguous().clone() for k, v in d.items()}, sys.argv[2])"
)
NUMPY = (
    "import sys, numpy; from safetensors.numpy import save_file; "
    "d = numpy.load(sys.argv[1]); save_file({k: numpy.ascontiguousarray(d[k]) for k in d}, sys.argv[2])"
)


@dataclass(frozen=True)
class Kind:
    """A kind of file: how one begins, what it is, and what to do: a Python program that converts it, or a sentence."""

    begins: Callable[[bytes], bool]
    what: str
    program: str = ""
    advice: str = "write one with safetensors.torch.save_file(model.state_dict(), FILE)"


def _with(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(beginnings)


def _first_member(head: bytes) -> bytes:
    """The name of a ZIP archive's first member: its length is at byte 26 (APPNOTE 4.3.7)."""
    length = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + length] if head.startswith(b"PK\x03\x04") else b""


PICKLE = "a pickle (torch.save), which can run code and is never read"
KINDS: tuple[Kind, ...] = (
    Kind(lambda head: _first_member(head).endswith(b".npy"), "an archive of NumPy arrays (.npz)", NUMPY),
    Kind(_with(b"PK", *(bytes((0x80, protocol)) for protocol in range(2, 6))), PICKLE, TORCH),
    Kind(_with(b"\x93NUMPY"), "one NumPy array (.npy)", advice="a net has many: save them by their names"),
    Kind(_with(b"\x89HDF\r\n\x1a\n"), "an HDF5 file (.h5)"),
    Kind(_with(b"GGUF"), "a GGUF file"),
    Kind(
        _with(b"version https://git-lfs"),
        "the pointer that Git LFS leaves in a file's place",
        advice="get the file itself with git lfs pull",
    ),
    Kind(
        lambda head: head.lstrip().lower().startswith((b"<!doctype", b"<html")),
        "a web page",
        advice="get the file itself, not the page that shows it",
    ),
)


def describe(path: Path, head: bytes) -> str | None:
    """`what; do this` for the file at `path` that begins with `head`, or None where nothing known begins so."""
    for kind in KINDS:
        if kind.begins(head):
            names = f"{shlex.quote(str(path))} {shlex.quote(str(path.with_suffix('.safetensors')))}"
            convert = f"convert it with: python -c {shlex.quote(kind.program)} {names}"
            return f"{kind.what}; {convert if kind.program else kind.advice}"
    return None
