"""Which line of netc's source made each operation: seen while a program is emitted and lowered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from netc.codegen import builder, ir
from netc.codegen.ir import Op, Value

HELPERS = frozenset({builder.__file__, ir.__file__, __file__})  # they make operations for whoever calls them


class SourceLine(NamedTuple):
    """A line of a file, counted from 1."""

    file: str
    number: int


@contextmanager
def recorded() -> Iterator[dict[Value, SourceLine]]:
    """The table of what is made inside the `with`: each value, and the line of the rule that it comes from.

    What a pass puts in the place of an operation has the line of that operation: its mathematics are the same.
    """
    found: dict[Value, SourceLine] = {}

    def watch(op: Op, instead_of: Op | None) -> None:
        inherited = found.get(instead_of.result) if instead_of is not None else None
        line = inherited or _caller()
        for value in op.results:
            found[value] = line

    builder.WATCHERS.append(watch)
    try:
        yield found
    finally:
        builder.WATCHERS.remove(watch)


def _caller() -> SourceLine:
    """The innermost line that is no helper's."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename in HELPERS and frame.f_back is not None:
        frame = frame.f_back
    return SourceLine(frame.f_code.co_filename, frame.f_lineno)
