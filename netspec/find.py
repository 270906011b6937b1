"""Any net by what a user writes for it: a name of the zoo, or a file in one of the formats of `FORMATS`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path

from netc.netspec import toml
from netc.netspec.errors import UserError
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import ZOO


def _toml(name: str) -> NetSpec:
    return toml.load(Path(name))


def _lean(name: str) -> NetSpec:
    from netc.netspec.lean import file

    return file.find(name)


# how the name of a file ends -> what reads the net
FORMATS: dict[str, Callable[[str], NetSpec]] = {r"\.toml$": _toml, r"\.lean(:|$)": _lean}


def reader_of(name: str) -> Callable[[str], NetSpec] | None:
    """What reads the net from the file that `name` names; None where it names no file of a format in `FORMATS`."""
    return next((read for ending, read in FORMATS.items() if re.search(ending, name)), None)


def find(name: str) -> NetSpec:
    """The net of that name, or the spec in that .toml or .lean file; raises UserError with the nearest names."""
    if name in ZOO:
        return ZOO[name].make()
    if read := reader_of(name):
        return read(name)
    if word := ZOO.word(name):
        return ZOO[word].make()
    near = [known for known in ZOO if name.lower() in known][:4] if len(name) > 1 else []
    near = near or difflib.get_close_matches(name, ZOO, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see `netc ls`"
    raise UserError(f"NET wants a name that `netc ls` shows, a .toml or a .lean file, got {name!r}; {hint}")
