"""Functions that are not rational, each by the differential identity that defines it.

A row gives, for x, the value f(x) and the slope f'(x), both without tangents. The value is what `unknown` says: a
random element of the field that only the operand decides. What is used of a function is its row and nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from netc.proofs_oracle.certificate.degree import VARIABLE
from netc.proofs_oracle.certificate.dual import Dual, DualField
from netc.proofs_oracle.certificate.reading import Number
from netc.proofs_oracle.certificate.residues import Array

Slope = Callable[[], Dual]
Row = Callable[[DualField, Dual], tuple[Dual, Slope]]


def _one(A: DualField, x: Dual) -> Dual:
    return A.number(1, x)


def _half(A: DualField, x: Dual, factor: int = 1) -> Dual:
    res = A.field.column(A.field.fraction(Fraction(factor, 2)), x.real.ndim)
    return Dual(np.broadcast_to(factor / 2, x.real.shape), np.broadcast_to(res, x.res.shape), None, A.number(1, x).deg)


def _bare_real(x: Dual) -> Dual:
    """The same residues beside ones: what follows has no float run of its own."""
    return Dual(np.broadcast_to(np.float64(1.0), x.real.shape), x.res, None, x.deg)


def _sign(x: Dual) -> Array:
    """1 or -1, opposite for x and -x: the sign of the first residue that is not 0; 1 for x = 0."""
    sign = np.zeros(x.res.shape[1:])
    for row in x.res:
        sign = np.where(sign == 0, np.sign(row), sign)
    return np.where(sign == 0, 1.0, sign)


def _odd(A: DualField, function: str, x: Dual) -> Dual:
    """f(-x) = -f(x)."""
    sign = _sign(x)
    y = A.unknown(function, replace(x, res=x.res * sign))
    res = y.res * np.where((x.res == 0).all(axis=0), 0.0, sign)
    return replace(_bare_real(y), res=res)


def _even(A: DualField, function: str, x: Dual) -> Dual:
    """f(-x) = f(x)."""
    return _bare_real(A.unknown(function, replace(x, res=x.res * _sign(x))))


def _exp(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """exp' = exp; exp(-infinity) = 0."""
    if A.identities.additive:
        from netc.proofs_oracle.certificate.exponent import exponential

        y = exponential(A, x)
    elif A.identities.tied:
        from netc.proofs_oracle.certificate.tied import falling

        e = falling(A, x)
        y = e if (x.real <= 0).all() else A.select(x.real <= 0, e, A.div(_one(A, e), e))
    else:
        y = A.unknown("exp", x)
    gone = np.isneginf(x.real)
    if gone.any():
        y = A.select(gone, A.number(0, y), y)
    return y, lambda: y


def _logistic(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = y (1 - y); logistic(-x) = 1 - logistic(x)."""
    if A.identities.tied:
        from netc.proofs_oracle.certificate.tied import rising

        u = rising(A, x)
        y = A.select(x.real <= 0, A.sub(_one(A, u), u), u)
    else:
        sign = _sign(x)
        y = _bare_real(A.unknown("logistic", replace(x, res=x.res * sign)))
        y = A.select(sign > 0, y, A.sub(_one(A, y), y))
    return y, lambda: A.mul(y, A.sub(_one(A, y), y))


def _tanh(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = 1 - y², odd."""
    y = _odd(A, "tanh", x)
    return y, lambda: A.sub(_one(A, y), A.mul(y, y))


def _log(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """log'(x) = 1/x."""
    return A.unknown("log", x), lambda: A.div(_one(A, x), x)


def _log1p(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """log1p(x) = log(1 + x)."""
    return _log(A, A.add(_one(A, x), x))


def _sqrt(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = 1 / (2 y)."""
    y = _bare_real(A.unknown("sqrt", x))
    return y, lambda: A.div(_half(A, y), y)


def _rsqrt(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = -y³/2, or -y/(2 x)."""
    y = _bare_real(A.unknown("rsqrt", x))
    if A.identities.quotient:
        return y, lambda: A.div(A.mul(_half(A, y, -1), y), x)
    return y, lambda: A.mul(_half(A, y, -1), A.mul(y, A.mul(y, y)))


def _sin(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """sin' = cos, odd."""
    return _odd(A, "sin", x), lambda: _even(A, "cos", x)


def _cos(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """cos' = -sin, even."""
    return _even(A, "cos", x), lambda: A.neg(_odd(A, "sin", x))


def _erf(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """erf'(x) = (2/sqrt(pi)) exp(-x²), odd."""

    def slope() -> Dual:
        e, _ = _exp(A, A.neg(A.mul(x, x)))
        k = A.field.column(A.residues(Number(Fraction(1), "", pi=1)), x.real.ndim)
        k_dual = Dual(np.broadcast_to(np.float64(1.0), x.real.shape), np.broadcast_to(k, x.res.shape), None, VARIABLE)
        found: Dual = A.mul(k_dual, _bare_real(e))
        return found

    return _odd(A, "erf", x), slope


FUNCTIONS: dict[str, Row] = {
    "exp": _exp,
    "log": _log,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "rsqrt": _rsqrt,
    "sin": _sin,
    "cos": _cos,
    "tanh": _tanh,
    "logistic": _logistic,
    "erf": _erf,
}
"""Each function that is not rational."""
