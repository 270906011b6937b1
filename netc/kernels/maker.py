"""Expressions are made here and nowhere else: types are inferred, literals take the type of what they meet.

The functions raise Wrong, a sentence without a place: the reader of a language knows where its text stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from netc.kernels.ir import (
    ATOMICS,
    COMPARISONS,
    FLOATS,
    FUNCTIONS,
    INTEGERS,
    LOGIC,
    SPOKEN,
    Array,
    Atomic,
    Binary,
    Call,
    Cast,
    Const,
    Expr,
    Kernel,
    KernelError,
    Load,
    Number,
    Select,
    Store,
    Type,
    Unary,
    parts,
    statements,
)
from netc.netspec.errors import UserError
from netc.netspec.nearest import did_you_mean

LIMITS: dict[Type, tuple[int, int]] = {"i32": (-(2**31), 2**31 - 1), "u8": (0, 255)}
DEEPEST = 150  # expressions in each other
DEEP = f"wants expressions at most {DEEPEST} deep in each other; name parts of them"
LARGEST_FLOAT = 3.4028234663852886e38


class Wrong(UserError):  # noqa: N818 (it is not yet what a user sees)
    """What is wrong with a piece of a kernel; the reader adds where it stands."""


def literal(value: Number, line: int) -> Const:
    """A number as it is written; a whole one is an int32 until it meets another type."""
    if isinstance(value, bool):
        return Const("bool", line, value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Wrong(f"wants a number that a float holds, got {value}")
        return Const("f32", line, value, free=True)
    if not -(2**53) <= value <= 2**53:
        raise Wrong(f"wants a number below 2^53, got {value}")
    return Const("i32", line, value, free=True)


def into(value: Expr, wanted: Type, what: str) -> Expr:
    """The value where a type is wanted: a literal takes it, anything else has it. Raises Wrong."""
    if isinstance(value, Const) and value.free and wanted != "bool":
        whole = isinstance(value.value, int) or float(value.value).is_integer()
        if wanted in FLOATS:
            if wanted == "f32" and abs(value.value) > LARGEST_FLOAT:
                raise Wrong(f"{what} wants {SPOKEN[wanted]}, at most {LARGEST_FLOAT:g}, got {value.value:g}")
            return replace(value, type=wanted, value=float(value.value), free=False)
        if whole and value.type in INTEGERS:
            low, high = LIMITS[wanted]
            if not low <= value.value <= high:
                raise Wrong(f"{what} wants {SPOKEN[wanted]}, {low} to {high}, got {value.value}")
            return replace(value, type=wanted, value=int(value.value), free=False)
    if value.type != wanted:
        raise Wrong(f"{what} wants {SPOKEN[wanted]}, got {SPOKEN[value.type]}; convert it")
    return settled(value)


def settled(value: Expr) -> Expr:
    """A literal that met nothing has the type that it was born with."""
    return into(value, value.type, "a number") if isinstance(value, Const) and value.free else value


def together(what: str, left: Expr, right: Expr) -> tuple[Expr, Expr]:
    """Two values of one type. Raises Wrong."""
    if _is_free(left) and _is_free(right):
        both: Type = "f32" if "f32" in (left.type, right.type) else "i32"
        return _free(left, both), _free(right, both)
    if _is_free(left):
        return into(left, right.type, what), right
    if _is_free(right):
        return left, into(right, left.type, what)
    if left.type != right.type:
        raise Wrong(
            f"{what} wants two values of one type, got {SPOKEN[left.type]} and {SPOKEN[right.type]}; convert one"
        )
    return left, right


def _is_free(value: Expr) -> bool:
    return isinstance(value, Const) and value.free


def _free(value: Expr, wanted: Type) -> Expr:
    assert isinstance(value, Const)
    return replace(value, type=wanted, value=float(value.value) if wanted == "f32" else value.value)


def binary(symbol: str, left: Expr, right: Expr, line: int) -> Expr:
    """`left symbol right`. Raises Wrong."""
    if symbol in LOGIC:
        return Binary("bool", line, symbol, into(left, "bool", symbol), into(right, "bool", symbol))
    left, right = together(symbol, left, right)
    if symbol in COMPARISONS:
        return Binary("bool", line, symbol, settled(left), settled(right))
    if left.type == "bool":
        raise Wrong(f"{symbol} wants numbers, got a boolean")
    if symbol == "%" and left.type in FLOATS:
        raise Wrong(f"% wants integers, got {SPOKEN[left.type]}; write x - floor(x / y) * y")
    if isinstance(left, Const) and isinstance(right, Const) and left.free and right.free:
        return _folded(symbol, left, right, line)
    return Binary(left.type, line, symbol, left, right)


def _folded(symbol: str, left: Const, right: Const, line: int) -> Const:
    """Two literals are one, such as the size 16 * 16."""
    a, b = left.value, right.value
    if symbol in ("/", "%") and b == 0:
        raise Wrong(f"{symbol} wants a divisor, got 0")
    whole = left.type == "i32"
    found: Number
    if symbol == "/":
        found = int(a / b) if whole else a / b
    else:
        found = {"+": a + b, "-": a - b, "*": a * b, "min": min(a, b), "max": max(a, b)}.get(symbol, 0)
        if symbol == "%":
            found = int(math.fmod(a, b))
    return replace(literal(found if whole else float(found), line))


def negative(value: Expr, line: int) -> Expr:
    """`-value`. Raises Wrong."""
    if value.type == "bool":
        raise Wrong("- wants a number, got a boolean")
    if isinstance(value, Const) and value.free:
        return replace(value, value=-value.value)
    return Unary(value.type, line, "-", value)


def negated(value: Expr, line: int) -> Expr:
    """`not value`. Raises Wrong."""
    return Unary("bool", line, "!", into(value, "bool", "not"))


def select(condition: Expr, left: Expr, right: Expr, line: int) -> Expr:
    """`if condition then left else right`. Raises Wrong."""
    left, right = together("if", left, right)
    left, right = settled(left), settled(right)
    return Select(left.type, line, into(condition, "bool", "if"), left, right)


def call(name: str, args: tuple[Expr, ...], line: int) -> Expr:
    """A function of its arguments. Raises Wrong."""
    if name in ("min", "max"):
        counted(name, args, 2)
        return binary(name, args[0], args[1], line)
    if name not in FUNCTIONS:
        raise Wrong(f"wants a function, got {name}; {meant(name, (*FUNCTIONS, 'min', 'max'))}")
    counted(name, args, 2 if name == "pow" else 1)
    if name == "pow":
        args = together(name, *args)
    if name == "abs" and args[0].type == "i32" and not _is_free(args[0]):
        return Call("i32", line, name, args)
    args = tuple(into(a, "f32", name) if _is_free(a) else a for a in args)
    if args[0].type not in FLOATS:
        raise Wrong(f"{name} wants a float or double, got {SPOKEN[args[0].type]}; convert it")
    return Call(args[0].type, line, name, args)


def counted(name: str, args: tuple[object, ...], wanted: int) -> None:
    """Raise Wrong unless there are so many arguments."""
    if len(args) != wanted:
        raise Wrong(f"{name} wants {wanted} argument{'s' if wanted > 1 else ''}, got {len(args)}")


def cast(value: Expr, wanted: Type, line: int) -> Expr:
    """The value in another type."""
    if isinstance(value, Const) and value.free and (wanted in FLOATS or value.type == wanted):
        return into(value, wanted, SPOKEN[wanted])
    value = settled(value)
    return value if value.type == wanted else Cast(wanted, line, value)


def load(array: Array, index: Expr, line: int) -> Load:
    """An element. Raises Wrong."""
    return Load(array.type, line, array.name, _index(array, index))


def store(array: Array, index: Expr, value: Expr, line: int) -> Store:
    """Write an element. Raises Wrong."""
    return Store(line, array.name, _index(array, index), into(value, array.type, f"{array.name}, which holds it,"))


def atomic(name: str, array: Array, index: Expr, value: Expr, line: int) -> Atomic:
    """Change an element in one. Raises Wrong."""
    if name not in ATOMICS:
        raise Wrong(f"wants an atomic operation, {', '.join(ATOMICS)}, got {name}")
    if array.type == "u8" or (name != "add" and array.type != "i32"):
        raise Wrong(
            f"atomic {name} wants an array of int32{', float or double' if name == 'add' else ''}, got one of "
            f"{SPOKEN[array.type]}: GPUs have no other"
        )
    return Atomic(line, name, array.name, _index(array, index), into(value, array.type, array.name))


def _index(array: Array, index: Expr) -> Expr:
    if index.type == "u8":
        index = Cast("i32", index.line, index)
    return into(index, "i32", f"an index of {array.name}")


def refuse_deep(kernel: Kernel) -> Kernel:
    """The kernel, if the printers and the simulation can go down its expressions. Raises KernelError."""
    for s in statements(kernel.body):
        below = tuple(parts(s))
        for _ in range(DEEPEST):
            below = tuple(inner for one in below for inner in parts(one))
        if below:
            raise KernelError(kernel.file, s.line, DEEP)
    return kernel


def meant(name: str, known: Iterable[str]) -> str:
    """What to do about a name that there is not."""
    known = tuple(known)
    return did_you_mean(name, known, f"there are {', '.join(known) or 'none'}")
