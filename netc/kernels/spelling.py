"""Expressions of a kernel in a language of C's family, which is a table: types, places, functions, elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from netc.codegen.c.expressions import number as float_number
from netc.kernels.ir import (
    FLOATS,
    SPOKEN,
    Assign,
    Binary,
    Call,
    Cast,
    Const,
    Expr,
    Kernel,
    Load,
    Place,
    Select,
    Stmt,
    Type,
    Unary,
    Var,
    expressions,
    parts,
    statements,
)
from netc.netspec.types import DType

LEVELS = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6}
"""How close an operator binds; what is no operator is 9, a sign 7."""
ATOM, SIGN = 9, 7
WIDE: dict[Type, DType] = {"f32": "f32", "f64": "f64"}


def _helper(signature: str, value: str) -> str:
    return f"{{static}} {signature}\n{{{{\n    return {value};\n}}}}\n"


# the name -> its text, where {static} is what a function of the language has before it
HELPERS: dict[str, str] = {
    "netc_div": _helper("{i32} netc_div({i32} a, {i32} b)", "b == 0 ? 0 : b == -1 ? ({i32})(0u - ({u32})a) : a / b"),
    "netc_rem": _helper("{i32} netc_rem({i32} a, {i32} b)", "b == 0 ? a : b == -1 ? 0 : a % b"),
    "netc_abs": _helper("{i32} netc_abs({i32} a)", "a < 0 ? ({i32})(0u - ({u32})a) : a"),
    "netc_i32": _helper(
        "{i32} netc_i32({wide} a)",
        "a != a ? 0 : a <= -2147483648.0{f} ? -2147483647 - 1 : a >= 2147483648.0{f} ? 2147483647 : ({i32})a",
    ),
    "netc_u8": _helper("{u8} netc_u8({wide} a)", "a != a || a <= 0.0{f} ? 0 : a >= 255.0{f} ? 255 : ({u8})a"),
    **{  # min and max
        f"netc_{name}_{kind}": _helper(
            f"{{{kind}}} netc_{name}_{kind}({{{kind}}} a, {{{kind}}} b)", f"a {symbol} b ? a : b"
        )
        for name, symbol in (("min", "<"), ("max", ">"))
        for kind in ("f32", "f64", "i32", "u8")
    },
}


@dataclass(frozen=True)
class Language:
    """How C, CUDA C++ or OpenCL C says things."""

    types: dict[Type, str]
    unsigned: str
    static: str
    place: Callable[[str, int], str]
    function: Callable[[str, Type], str]
    element: Callable[[str, str, int], str]
    variable: Callable[[str], str] = str


def number(value: float, kind: Type) -> str:
    """A constant, with the fewest digits that give it back."""
    if kind == "bool":
        return "true" if value else "false"
    if kind in WIDE:
        return float_number(value, WIDE[kind])
    return str(value) if value != -(2**31) else "(-2147483647 - 1)"


class Speller:
    """Spells expressions in a language; `helpers` grows by the functions that they need."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.helpers: set[str] = set()

    def text(self, e: Expr) -> str:
        """The expression."""
        return self._leveled(e)[0]

    def _inside(self, e: Expr, level: int) -> str:
        text, own = self._leveled(e)
        return text if own >= level else f"({text})"

    def _helper(self, name: str, *args: Expr) -> str:
        self.helpers.add(name)
        return f"{name}({', '.join(self.text(a) for a in args)})"

    def _leveled(self, e: Expr) -> tuple[str, int]:
        """The text, and how close its outermost operator binds."""
        return _SPELLED[type(e)](self, e)

    def _const(self, e: Const) -> tuple[str, int]:
        return number(e.value, e.type), SIGN if e.value < 0 else ATOM

    def _var(self, e: Var) -> tuple[str, int]:
        return self.language.variable(e.name), ATOM

    def _place(self, e: Place) -> tuple[str, int]:
        return self.language.place(e.name, e.axis), ATOM

    def _unary(self, e: Unary) -> tuple[str, int]:
        return self._narrow(f"{e.symbol}{self._inside(e.value, ATOM)}", e.type, SIGN)

    def _binary(self, e: Binary) -> tuple[str, int]:
        kind = e.left.type
        if e.symbol in ("min", "max"):
            return self._helper(f"netc_{e.symbol}_{kind}", e.left, e.right), ATOM
        if e.symbol in ("/", "%") and kind not in FLOATS:
            name = "netc_div" if e.symbol == "/" else "netc_rem"
            return self._narrow(self._helper(name, e.left, e.right), e.type, ATOM)
        level = LEVELS[e.symbol]
        mixed = e.symbol == "||"  # compilers warn of && in || without brackets
        left, right = self._inside(e.left, level + mixed * 2), self._inside(e.right, level + 1 + mixed)
        return self._narrow(f"{left} {e.symbol} {right}", e.type, level)

    def _narrow(self, text: str, kind: Type, level: int) -> tuple[str, int]:
        """C computes in int what is smaller."""
        return (f"({self.language.types['u8']})({text})", SIGN) if kind == "u8" else (text, level)

    def _select(self, e: Select) -> tuple[str, int]:
        return f"{self._inside(e.condition, 1)} ? {self._inside(e.left, 1)} : {self._inside(e.right, 0)}", 0

    def _call(self, e: Call) -> tuple[str, int]:
        if e.name == "abs" and e.type == "i32":
            return self._helper("netc_abs", *e.args), ATOM
        return f"{self.language.function(e.name, e.type)}({', '.join(self.text(a) for a in e.args)})", ATOM

    def _cast(self, e: Cast) -> tuple[str, int]:
        if e.value.type in FLOATS and e.type not in FLOATS:
            return self._helper(f"netc_{e.type}", e.value), ATOM
        return f"({self.language.types[e.type]}){self._inside(e.value, ATOM)}", SIGN

    def _load(self, e: Load) -> tuple[str, int]:
        return self.language.element(e.array, self.text(e.index), e.line), ATOM

    def helper_texts(self, wide: bool = True) -> str:
        """The functions that were needed; `wide`: floats become integers by way of double."""
        t = self.language.types
        words = {str(kind): text for kind, text in t.items()}
        words |= {"static": self.language.static, "u32": self.language.unsigned}
        words |= {"wide": t["f64"] if wide else t["f32"], "f": "" if wide else "f"}
        return "\n".join(text.format(**words) for name, text in HELPERS.items() if name in self.helpers)


_SPELLED: dict[type[Expr], Callable[[Speller, Any], tuple[str, int]]] = {
    Const: Speller._const,
    Var: Speller._var,
    Place: Speller._place,
    Unary: Speller._unary,
    Binary: Speller._binary,
    Select: Speller._select,
    Call: Speller._call,
    Cast: Speller._cast,
    Load: Speller._load,
}


def used(body: Iterable[Stmt]) -> set[str]:
    """The variables and scalar arguments that statements read or assign."""
    every = tuple(statements(tuple(body)))
    read = {e.name for s in every for part in parts(s) for e in expressions(part) if isinstance(e, Var)}
    return read | {s.name for s in every if isinstance(s, Assign)}


def changed(body: tuple[Stmt, ...]) -> set[str]:
    """The variables that statements assign."""
    return {s.name for s in statements(body) if isinstance(s, Assign)}


def steady(e: Expr, mutable: set[str]) -> bool:
    """Whether the expression is one word that stays as it is, so that a loop may ask it each time."""
    return isinstance(e, Const) or (isinstance(e, Var) and e.name not in mutable)


def libm(name: str, kind: Type) -> str:
    """A function as libm calls it, and CUDA."""
    return ("fabs" if name == "abs" else name) + ("f" if kind == "f32" else "")


def about(kernel: Kernel) -> str:
    """A line that says where a kernel is from and what it takes."""
    takes = [f"{s.name}: {SPOKEN[s.type]}" for s in kernel.scalars]
    takes += [f"{a.name}: {SPOKEN[a.type]}[]" for a in kernel.globals]
    file = "".join(c if c.isprintable() else "?" for c in kernel.file.rpartition("/")[2]).replace("*", "?")
    return f"{kernel.name}({', '.join(takes)}), from {file}:{kernel.line}"


def plain_name(kernel: Kernel) -> str:
    """The name of the function: a kernel's own, without its namespaces."""
    return kernel.name.rpartition(".")[2]
