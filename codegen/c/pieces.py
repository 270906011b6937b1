"""The C functions that a program may call: pieces of the files in support/, each with what it needs.

A piece is written once for both precisions: `REAL` is the type and `@` what libm's names end with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

FILES = ("maths", "products", "windows", "winograd", "rows")
TYPES = {"f": "float", "": "double"}
_HEAD = re.compile(r"/\* --- piece (?P<name>\S+?)(?:: (?P<needs>.*?))? \*/")


@dataclass(frozen=True)
class Piece:
    """C text of a function, or of a few, and the names of the pieces that must stand before it."""

    name: str
    needs: tuple[str, ...]
    text: str


@lru_cache(maxsize=1)
def pieces() -> dict[str, Piece]:
    """Every piece by its name, in an order in which none comes before what it needs."""
    found: dict[str, Piece] = {}
    for file in FILES:
        text = files("netc.codegen.c").joinpath("support", f"{file}.c.in").read_text(encoding="utf-8")
        heads = list(_HEAD.finditer(text))
        ends = [*(h.start() for h in heads[1:]), len(text)]
        for head, end in zip(heads, ends, strict=True):
            written = text[head.end() : end].strip() + "\n"
            for suffix, kind in TYPES.items() if "@" in head["name"] else (("", ""),):
                name, needs, own = (
                    t.replace("@", suffix).replace("REAL", kind) for t in (head["name"], head["needs"] or "", written)
                )
                found[name] = Piece(name, tuple(needs.split()), own)
    return found


def called_in(text: str) -> list[Piece]:
    """The pieces that a text calls, with all that they need, in order."""
    every = pieces()
    called = {word.removeprefix("net_") for word in re.findall(r"\bnet_\w+", text)}
    return _with_needs([name for name in every if name in called])


def _with_needs(names: Iterable[str]) -> list[Piece]:
    every, wanted = pieces(), set[str]()

    def add(name: str) -> None:
        if name not in wanted:
            wanted.add(name)
            for other in every[name].needs:
                add(other)

    for name in names:
        add(name)
    return [piece for name, piece in every.items() if name in wanted]
