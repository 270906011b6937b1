"""The kernels of a file, and the one that `FILE.lean:NAME` means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netc.kernels.ir import Kernel
from netc.kernels.lean import kernels_of as lean_kernels
from netc.kernels.maker import meant
from netc.kernels.python import kernels_of as python_kernels
from netc.netspec.errors import UserError
from netc.netspec.text_file import read_text

LARGEST_FILE = 1 << 20  # bytes; a kernel is text that somebody wrote
READERS: dict[str, Callable[[str, str], tuple[Kernel, ...]]] = {".lean": lean_kernels, ".py": python_kernels}
"""The end of a file's name -> who reads it."""


def divided(name: str) -> tuple[Path, str]:
    """`FILE.lean:name` in its two parts; the second is empty where it is not given."""
    for suffix in READERS:
        path, mark, wanted = name.rpartition(f"{suffix}:")
        if mark:
            return Path(path + suffix), wanted
    return Path(name), ""


def kernels_in(path: Path) -> tuple[Kernel, ...]:
    """The kernels of a file. Raises UserError for one that cannot be read or has none."""
    if path.suffix not in READERS:
        raise UserError(f"`kernel` wants FILE{' or FILE'.join(READERS)}, got {path}; write FILE.lean:NAME")
    found = READERS[path.suffix](read_text(path, LARGEST_FILE, "", "split it"), str(path))
    if not found:
        raise UserError(f"{path} holds no kernel; write one: device_kernel in Lean, @kernel in Python")
    return found


def find(name: str) -> Kernel:
    """The kernel of that name, of which a unique ending is enough, or the file's only one. Raises UserError."""
    path, wanted = divided(name)
    found = kernels_in(path)
    if not wanted and len(found) == 1:
        return found[0]
    ends = [k for k in found if k.name == wanted] or [k for k in found if k.name.endswith(f".{wanted}")]
    if wanted and len(ends) == 1:
        return ends[0]
    names = [k.name for k in ends or found]
    if not wanted or ends:
        raise UserError(f"{path} holds {', '.join(names)}; name one: {path}:{names[0]}")
    raise UserError(f"{path} holds no kernel {wanted[:60]}; {meant(wanted[:60], names)}")
