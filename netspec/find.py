"""Any net by what a user writes for it: a name of the zoo, or a file in one of the formats of `FORMATS`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from netc.netspec import toml
from netc.netspec.errors import UserError
from netc.netspec.nearest import did_you_mean
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import ZOO
from netc.netspec.zoo.sizes import chosen, sized


def _toml(name: str) -> NetSpec:
    return toml.load(Path(name))


def _lean(name: str) -> NetSpec:
    from netc.netspec.lean import file

    return file.find(name)


NO_SIZES: Mapping[str, int | None] = {}

# how the name of a file ends -> what reads the net
FORMATS: dict[str, Callable[[str], NetSpec]] = {r"\.toml$": _toml, r"\.lean(:|$)": _lean}


def reader_of(name: str) -> Callable[[str], NetSpec] | None:
    """What reads the net from the file that `name` names; None where it names no file of a format in `FORMATS`."""
    return next((read for ending, read in FORMATS.items() if re.search(ending, name)), None)


def find(name: str, sizes: Mapping[str, int | None] = NO_SIZES) -> NetSpec:
    """The net of that name, of these sizes in place of its own, or the spec in that .toml or .lean file.

    Raises UserError, for a name that there is not with the nearest ones, and for sizes that the net has not.
    """
    stated = chosen(sizes)
    if word := name if name in ZOO else None if reader_of(name) else ZOO.word(name):
        return sized(word, ZOO[word], stated, [other for other in ZOO if ZOO[other].sizes])
    if read := reader_of(name):
        refuse_sizes(stated, name)
        return read(name)
    hint = did_you_mean(name, ZOO, "see `netc ls`")
    raise UserError(f"NET wants a name that `netc ls` shows, a .toml or a .lean file, got {name!r}; {hint}")


def refuse_sizes(sizes: Mapping[str, int | None], net: str) -> None:
    """Raise UserError for sizes of a net that somebody wrote, whose layers say them."""
    if sizes:
        word = next(iter(sizes))
        raise UserError(f"`{word}` is a size of nets that `netc ls` shows, got it for {net}; change the spec itself")
