"""What rules, patterns and library functions ask of the evaluator, which calls them."""

from __future__ import annotations

from typing import Protocol

from netc.netspec.lean.functions import Env, Given
from netc.netspec.lean.names import Globals
from netc.netspec.lean.source import Value
from netc.netspec.lean.tokens import Token
from netc.netspec.lean.tree import Node, Type
from netc.netspec.lean.values import LONGEST_LIST


class Evaluation(Protocol):
    """An evaluation that is under way; what each does is said where it is done, in `evaluate.Evaluator`."""

    known: Globals

    def spend(self, steps: int, at: Token) -> None:
        """Count work."""

    def sized(self, length: int, at: Token, longest: int = LONGEST_LIST) -> None:
        """Count the making of a list or string."""

    def evaluate(self, node: Node, env: Env, want: Type = ()) -> Value:
        """The value of an expression."""

    def typed(self, node: Node, env: Env, words: Type) -> Value:
        """The value of an expression at a declared type."""

    def settled(self, value: Value, at: Token) -> Value:
        """A function whose parameters all have defaults, applied to them."""

    def call(self, function: Value, values: list[Value], at: Token) -> Value:
        """`function` applied to values by position."""

    def apply(self, function: Value, given: list[Given], at: Token) -> Value:
        """`function` applied to arguments."""

    def wants(self, function: Value, names: list[str]) -> list[Type]:
        """The types that a function's arguments should have."""

    def function(self, node: Node, env: Env) -> Value:
        """The value of what arguments follow."""
