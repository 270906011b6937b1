"""Literals: which number a float in the text stands for.

A float is a dyadic rational. But 1/3 in a program is the float nearest to 1/3, and 3 fl(1/3) = 1 only up to rounding.
So a literal is read as the number that it rounds, where that is plain: a short fraction, a short decimal, or one of
the constants of GELU. Every literal that is read so is listed in the certificate. `exact` reads none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

SHORT = 1 << 12  # an odd part below this is no accident of rounding
UNIT = 1 << 21  # the largest n of 1/n and n/(n - 1) for float32, whose neighbours are 2^-24 apart
DIGITS = 6  # of a decimal that a float32 of 7 digits can stand for
HEIGHT = 1 << 14  # numerator times denominator of any other fraction


@dataclass(frozen=True)
class Number:
    """fraction * sqrt(1/2)^root * (2/sqrt(pi))^pi * log(2)^ln2; `text` is how a certificate shows it.

    `plain`: the literal is that number by its looks; else its exact value was taken for want of a better one.
    """

    fraction: Fraction
    text: str
    root: int = 0
    pi: int = 0
    ln2: int = 0
    plain: bool = True


# The constants of GELU and its tanh form, and of powers and logarithms of 2; 2^k times them are found as well.
NAMED = (
    (math.sqrt(0.5), (1, 0, 0), "sqrt(1/2)"),
    (2 / math.sqrt(math.pi), (0, 1, 0), "2/sqrt(pi)"),
    (math.sqrt(math.pi) / 2, (0, -1, 0), "sqrt(pi)/2"),
    (math.sqrt(2 / math.pi), (1, 1, 0), "sqrt(2/pi)"),
    (math.log(2), (0, 0, 1), "log(2)"),
    (1 / math.log(2), (0, 0, -1), "1/log(2)"),
)


def read(value: float, dtype: str, exact: bool = False) -> Number:
    """The number that a finite literal of that element type stands for."""
    value = float(np.float32(value)) if dtype == "f32" else float(value)
    plain = Fraction(value)
    if exact or _is_short(plain):
        return Number(plain, repr(value))
    with np.errstate(over="ignore"):
        digits = 24 if dtype == "f32" or float(np.float32(value)) == value else 53
    return _named(value, digits) or _rational(value, digits) or Number(plain, repr(value), plain=False)


def _is_short(value: Fraction) -> bool:
    odd = abs(value.numerator)
    odd >>= (odd & -odd).bit_length() - 1 if odd else 0
    return odd < SHORT or (value.denominator == 1 and odd < 1 << 24)


def _named(value: float, digits: int) -> Number | None:
    size, exponent = math.frexp(abs(value))
    for number, powers, name in NAMED:
        own, own_exponent = math.frexp(number)
        # 1 unit in the last place: what Python's own sqrt and division may be off by
        if abs(size - own) <= math.ldexp(0.5 if digits == 24 else 1.0, -digits):
            factor = Fraction(2) ** (exponent - own_exponent) * (1 if value > 0 else -1)
            return Number(factor, name if factor == 1 else f"{factor} {name}", *powers)
    return None


def _rational(value: float, digits: int) -> Number | None:
    def near(candidate: Fraction) -> bool:
        if digits == 24:
            return bool(np.float32(float(candidate)) == np.float32(value))
        return abs(float(candidate) - value) <= 4 * math.ulp(value)  # such as 1 - 0.9, computed in Python

    size = abs(value)
    inverse = round(1 / size) if size < 1 and 1 / size < UNIT else 0
    off = round(1 / (size - 1)) if 1 < size < 2 and 1 / (size - 1) < UNIT else 0
    sign = 1 if value > 0 else -1
    guesses = [
        *([Fraction(sign, inverse)] if inverse > 1 else []),
        Fraction(f"{value:.{DIGITS - 1}e}"),
        *([Fraction(sign * (off + 1), off)] if off > 1 else []),
        Fraction(value).limit_denominator(math.isqrt(HEIGHT)),
    ]
    for guess in guesses:
        if guess and near(guess):
            return Number(guess, str(guess))
    return None
