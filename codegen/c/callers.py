"""What the C of an operation asks of the function that it stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from netc.codegen.c.nests import Scope
from netc.codegen.ir import Op, Value


class Caller(Scope, Protocol):
    """What a statement asks of the function that it stands in, besides what a nest does."""

    def address(self, root: Value, index: str) -> str:
        """Where an element of a root lies."""

    def pointer(self, v: Value) -> str:
        """Where a value that lies in order begins."""

    def argument(self, v: Value) -> str:
        """A value as an argument: a number, or where it begins."""

    def scratch(self, op: Op) -> str:
        """Memory that an operation needs besides its result."""

    def lies_at(self, begin: Value, v: Value) -> bool:
        """Whether what a loop begins with lies already where it is carried."""

    def called(self, op: Op, carried: Sequence[str], given: Sequence[str], outputs: Sequence[str]) -> list[str]:
        """A call of a function of the module; `given` are its arguments after those that are carried."""


Statement = Callable[[Caller, Op], list[str]]
