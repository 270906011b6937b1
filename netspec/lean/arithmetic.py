"""Lean's arithmetic: Nat stops at zero, Int divides as Euclid, Float is IEEE; `x / 0` of the first two is zero."""

from __future__ import annotations

import math
from collections.abc import Callable

from netc.netspec.lean.source import Integer, Misread, Span, Value
from netc.netspec.lean.values import MOST_BITS, described

NAT, INT, FLOAT = range(3)  # an expression is computed in the largest type among its parts


def rank(value: Value, symbol: str, at: Span) -> int:
    """The type of a number; raises Misread for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; join strings and lists with ++" if isinstance(value, str | tuple) and symbol == "+" else ""
        hint = hint or ("; write (-1) for a negative argument" if symbol == "-" else "")
        raise Misread(at, f"{symbol} wants numbers, got {described(value)}{hint}")
    return FLOAT if isinstance(value, float) else INT if isinstance(value, Integer) else NAT


def raised(value: int | float, to: int) -> int | float:
    """The number in that type."""
    return float(value) if to == FLOAT else Integer(value) if to == INT else int(value)


def compute(symbol: str, left: int | float, right: int | float, at: Span) -> int | float:
    """`left symbol right`, both of one type (the right of `^` is a Nat, or a Float); raises Misread where too large."""
    if isinstance(left, float):
        try:
            return _FLOAT[symbol](left, float(right))
        except OverflowError:
            return math.inf
        except ValueError:  # a negative number to a power that is not whole, an infinite remainder
            return math.nan
    assert isinstance(right, int) or symbol == "^"
    if isinstance(right, float) or (right < 0 and symbol == "^"):
        raise Misread(at, f"^ wants a Nat as its exponent here, got {described(right)}")
    if symbol == "^" and left.bit_length() * right > MOST_BITS and abs(left) > 1:
        raise Misread(at, f"wants integers of at most {MOST_BITS} bits, got {left} ^ {right}")
    table = _INT if isinstance(left, Integer) else _NAT
    result = table[symbol](int(left), int(right))
    if result.bit_length() > MOST_BITS:
        raise Misread(at, f"wants integers of at most {MOST_BITS} bits, got {result.bit_length()}")
    return Integer(result) if isinstance(left, Integer) else result


def divided(left: float, right: float) -> float:
    """IEEE division."""
    if right:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except ValueError:
        return math.inf if left == 0 else math.nan


def _euclid(left: int, right: int) -> int:
    """The quotient whose remainder is not negative: Lean's `/` on Int."""
    return 0 if right == 0 else left // right if right > 0 else -(left // -right)


_NAT: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: max(0, a - b),
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b if b else 0,
    "%": lambda a, b: a % b if b else a,
    "^": lambda a, b: int(a**b),
}
_INT = _NAT | {
    "-": lambda a, b: a - b,
    "/": _euclid,
    "%": lambda a, b: a % abs(b) if b else a,
}
_FLOAT: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": divided,
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
    "^": _power,
}


def checked(value: int | float, at: Span) -> int | float:
    """A literal's value; raises Misread for one too large."""
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise Misread(at, f"wants integers of at most {MOST_BITS} bits, got {value.bit_length()}")
    return value
