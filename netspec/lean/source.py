"""Places in a Lean file, errors that show them, and the values that a specification's text evaluates to."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from netc.netspec.errors import UserError

WIDEST = 120  # characters of a source line that an error shows


@dataclass(frozen=True)
class Span:
    """A piece of one line: `line` and `column` count from 1, `end` is the column just after the last character."""

    line: int
    column: int
    end: int


class Misread(UserError):  # noqa: N818 (it is not yet what a user sees)
    """Something is wrong at `span`; `sentence` says wanted, got, do this. The file front adds file, line and caret."""

    def __init__(self, span: Span, sentence: str) -> None:
        self.span = span
        self.sentence = sentence
        super().__init__(sentence)


class LeanError(UserError):
    """`file:line:col: sentence`, the source line, and a caret under the place."""

    def __init__(self, name: str, text: str, span: Span, sentence: str) -> None:
        self.span = span
        self.sentence = sentence
        super().__init__("\n".join((f"{name}:{span.line}:{span.column}: {sentence}", *_pointed(text, span))))


def _pointed(text: str, span: Span) -> tuple[str, ...]:
    """The source line, cut around the place if it is long, and the carets under it."""
    lines = _lines(text)
    if not 1 <= span.line <= len(lines):
        return ()
    line = lines[span.line - 1].rstrip("\r")
    first = span.column - 1
    start = 0 if first < WIDEST else first - WIDEST // 2
    shown = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line[start : start + WIDEST])
    before = "".join("\t" if c == "\t" else " " * _width(c) for c in shown[: first - start])
    marked = shown[first - start : max(span.end - 1, first + 1) - start]
    return shown, before + "^" * max(1, sum(map(_width, marked)))


@lru_cache(maxsize=2)
def _lines(text: str) -> list[str]:
    """The lines of a file that may be wrong in many places."""
    return text.split("\n")


def _width(character: str) -> int:
    """Columns that a terminal gives the character."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Closure:
    """A function, as a value: never part of a finished spec."""


class Integer(int):
    """A Lean `Int`; a plain `int` is a `Nat`, whose subtraction stops at zero."""


@dataclass(frozen=True)
class Product:
    """A tuple `(a, b)` or `⟨a, b⟩` of no declared structure."""

    items: tuple[Value, ...]


@dataclass(frozen=True)
class Built:
    """A constructor applied: `.dense 784 512 .relu`, or `Layer.dense ..`, has the head "dense"; `.relu` takes nothing.

    `at` is the place of the head, `spans` those of `args`, `named_spans` those of `named`, the arguments given as
    `(causalMask := true)`. Places do not count when two values are compared.
    """

    head: str
    args: tuple[Value, ...]
    named: Mapping[str, Value]
    at: Span = field(compare=False)
    spans: tuple[Span, ...] = field(compare=False, default=())
    named_spans: Mapping[str, Span] = field(compare=False, default_factory=dict)


@dataclass(frozen=True)
class Record:
    """A structure's value: each field by name, in the order written, with the place of its value; `with` is merged."""

    fields: Mapping[str, tuple[Value, Span]]
    at: Span = field(compare=False)


# a list is a tuple; `some x` and `none` are Built
Value: TypeAlias = "int | float | str | bool | tuple[Value, ...] | Product | Built | Record | Closure"
