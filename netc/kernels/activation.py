"""A function and its derivative, `f` and `f'`, as an activation of netc: its row, its rule and its reference.

The rule emits both as they are written; whether the second is the derivative of the first is for `netc certify` and
`netc oracle` to say, whose reference is the first alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.activation import TABLE
from netc.kernels.folding import TEXT, fold
from netc.kernels.ir import Binary, Call, Expr, KernelError, Select, expressions
from netc.kernels.lean_functions import functions_of
from netc.kernels.maker import Wrong
from netc.netspec.activations import ACTIVATIONS, Function
from netc.netspec.plugins import MARK, for_oracle, is_loaded
from netc.netspec.text_file import read_text

LARGEST_FILE = 1 << 20  # bytes
LONGEST_EQUATION = 200
COMPARISONS = {"<": "LT", "<=": "LE", ">": "GT", ">=": "GE", "==": "EQ", "!=": "NE"}


@dataclass(frozen=True)
class Pair:
    """A function of one number and what its author says is its derivative."""

    name: str
    value: Expr
    derivative: Expr
    file: str
    line: int


def load_lean(path: Path | str) -> None:
    """Add the pairs f and f' of a Lean file as activations, once. Raises UserError."""
    path = Path(path)
    name = f"{MARK}{path.stem}_lean"
    if is_loaded(name, path):
        return
    for pair in functions_of(read_text(path, LARGEST_FILE, "", "split it"), str(path)):
        add(Pair(*pair))
    module = ModuleType(name)
    module.__file__ = str(path.resolve())
    sys.modules[name] = module  # as `netc.load_plugin` remembers a plugin in Python, for the run's config file


def add(pair: Pair) -> None:
    """Add an activation. Raises KernelError for a function that no operations of netc compute, UserError for a word
    that is there already.
    """
    try:
        equation = fold(pair.value, TEXT, "x")
        fold(pair.derivative, TEXT, "x")
    except Wrong as error:
        raise KernelError(pair.file, pair.line, f"{pair.name} {error}") from None
    equation = equation[1:-1] if equation.startswith("(") and equation.endswith(")") else equation
    kinked = any(
        isinstance(e, Select) or (isinstance(e, Binary) and e.symbol in ("min", "max"))
        or (isinstance(e, Call) and e.name == "abs")
        for e in expressions(pair.value)
    )  # fmt: skip
    shown = equation if len(equation) <= LONGEST_EQUATION else f"{equation[:LONGEST_EQUATION]}.."
    ACTIVATIONS.add(pair.name, Function(shown, smooth=not kinked))
    TABLE[pair.name] = _rule(pair)
    for_oracle(lambda: _refer(pair))


def _rule(pair: Pair) -> Callable[[Builder, Value, float], tuple[Value, Callable[[Value], Value]]]:
    def rule(b: Builder, x: Value, slope: float) -> tuple[Value, Callable[[Value], Value]]:
        def pull(dy: Value) -> Value:
            return b.mul(dy, _whole(b, fold(pair.derivative, _emitting(b, x), x), x))  # dx = dy f'(x)

        return _whole(b, fold(pair.value, _emitting(b, x), x), x), pull

    return rule


def _whole(b: Builder, made: Value | float, x: Value) -> Value:
    """A number as a value, for every element."""
    return b.constant(made, x.type) if isinstance(made, float) else made


def _emitting(b: Builder, like: Value) -> dict[str, Callable[..., Any]]:
    """Operations of the builder, which takes a number beside a value; where both are numbers, one is made a value."""

    def both(emit: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        return lambda x, y: emit(_whole(b, x, like) if isinstance(y, float) else x, y)

    def one(kind: str) -> Callable[[Any], Any]:
        return lambda x: b.unary(kind, _whole(b, x, like))

    def compare(direction: str) -> Callable[[Any, Any], Any]:
        return both(lambda x, y: b.compare(direction, x, y))

    return {
        "+": both(b.add), "-": both(b.sub), "*": both(b.mul), "/": both(b.div),
        "min": both(b.minimum), "max": both(b.maximum), "neg": one("neg"),
        **{n: one(n) for n in ("exp", "log", "sqrt", "tanh", "sin", "cos", "logistic")},
        **{symbol: compare(direction) for symbol, direction in COMPARISONS.items()},
        "select": lambda c, x, y: both(partial(b.select, c))(x, y), "number": float,
    }  # fmt: skip


def _refer(pair: Pair) -> None:
    from netc.proofs_oracle.own_functions import OwnFunction
    from netc.proofs_oracle.references.activation import FUNCTIONS

    FUNCTIONS[pair.name] = OwnFunction(lambda table, x: fold(pair.value, table, x))
