"""A function of one number, as an expression, computed by whatever a table of operations says: a builder, JAX, a text.

Shared parts are computed once. A condition is no value of its own: `if a && b` is a choice in a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netc.kernels.ir import Binary, Call, Cast, Const, Expr, Select, Unary, Var
from netc.kernels.maker import Wrong

Table = Mapping[str, Callable[..., Any]]
"""`+ - * / min max neg exp log sqrt tanh sin cos logistic`; comparisons of two values;
`select` of a condition and two values; `number` of a float."""
MOST_POWER = 16


def fold(e: Expr, table: Table, x: Any) -> Any:
    """What the expression is at x. Raises Wrong for what no function of one number can have."""
    return _Fold(table, x).value(e)


class _Fold:
    def __init__(self, table: Table, x: Any) -> None:
        self.table, self.x = table, x
        self.known: dict[int, Any] = {}

    def value(self, e: Expr) -> Any:
        if id(e) not in self.known:
            self.known[id(e)] = self._computed(e)
        return self.known[id(e)]

    def _computed(self, e: Expr) -> Any:
        if isinstance(e, Var):
            return self.x
        if isinstance(e, Const):
            return self.table["number"](float(e.value))
        if isinstance(e, Unary) and e.symbol == "-":
            return self.table["neg"](self.value(e.value))
        if isinstance(e, Select):
            return self._chosen(e.condition, lambda: self.value(e.left), lambda: self.value(e.right))
        if isinstance(e, Call):
            return self._called(e)
        if (of := logistic(e)) is not None:
            return self.table["logistic"](self.value(of))
        if isinstance(e, Binary) and e.symbol in self.table:
            return self.table[e.symbol](self.value(e.left), self.value(e.right))
        what = "a conversion" if isinstance(e, Cast) else getattr(e, "symbol", type(e).__name__.lower())
        raise Wrong(f"wants a function of one float, got {what}; write it with floats only")

    def _called(self, e: Call) -> Any:
        if e.name == "abs":
            x = self.value(e.args[0])
            return self.table["max"](x, self.table["neg"](x))
        if e.name == "pow":
            power = e.args[1]
            if not isinstance(power, Const) or power.value != int(power.value) or not 1 <= power.value <= MOST_POWER:
                raise Wrong(f"pow wants a whole power, 1 to {MOST_POWER}; write exp (y * log x) for others")
            base = made = self.value(e.args[0])
            for _ in range(int(power.value) - 1):
                made = self.table["*"](made, base)
            return made
        if e.name not in self.table:
            raise Wrong(f"{e.name} has no rule for its derivative; write the function without it")
        return self.table[e.name](self.value(e.args[0]))

    def _chosen(self, condition: Expr, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        if isinstance(condition, Unary):
            return self._chosen(condition.value, no, yes)
        if not isinstance(condition, Binary):
            raise Wrong("`if` wants a comparison, such as x > 0, got another boolean; write one")
        left, right = condition.left, condition.right
        if condition.symbol == "&&":
            return self._chosen(left, lambda: self._chosen(right, yes, no), no)
        if condition.symbol == "||":
            return self._chosen(left, yes, lambda: self._chosen(right, yes, no))
        compared = self.table[condition.symbol](self.value(left), self.value(right))
        return self.table["select"](compared, yes(), no())


def logistic(e: Expr) -> Expr | None:
    """z, where the expression is 1 / (1 + exp (-z)): backends have it as an operation that does not overflow."""
    if not (isinstance(e, Binary) and e.symbol == "/" and isinstance(e.left, Const) and e.left.value == 1):
        return None
    below = e.right
    if not (isinstance(below, Binary) and below.symbol == "+"):
        return None
    for one, other in ((below.left, below.right), (below.right, below.left)):
        if isinstance(one, Const) and one.value == 1 and isinstance(other, Call) and other.name == "exp":
            power = other.args[0]
            return power.value if isinstance(power, Unary) and power.symbol == "-" else None
    return None


TEXT: dict[str, Callable[..., str]] = {
    **{s: (lambda a, b, s=s: f"({a} {s} {b})") for s in ("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=")},
    **{n: (lambda a, n=n: f"{n}({a})") for n in ("exp", "log", "sqrt", "tanh", "sin", "cos")},
    "min": lambda a, b: f"min({a}, {b})",
    "max": lambda a, b: f"max({a}, {b})",
    "neg": lambda a: f"(-{a})",
    "select": lambda c, a, b: f"({a} if {c} else {b})",
    "logistic": lambda a: f"sigmoid({a})",
    "number": lambda v: f"{v:g}" if float(f"{v:g}") == v else repr(v),
}
"""As the documentation prints it."""
