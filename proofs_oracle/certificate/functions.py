"""Functions that are not rational, each by the differential identity that defines it.

A row gives, for x, the value f(x) and the slope f'(x), both without tangents. The value is what `unknown` says: a
random element of the field that only the operand decides. What is used of a function is its row and nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from netc.codegen.ir import Op
from netc.codegen.ops.table import Meaning
from netc.proofs_oracle.certificate.degree import CONSTANT, VARIABLE
from netc.proofs_oracle.certificate.dual import CertifyError, Dual, DualField
from netc.proofs_oracle.certificate.exponent import exponential, logarithm
from netc.proofs_oracle.certificate.float_runs import FLOATS, float_run
from netc.proofs_oracle.certificate.reading import Number
from netc.proofs_oracle.certificate.residues import Array, bare
from netc.proofs_oracle.certificate.tied import falling, rising

Slope = Callable[[], Dual]
ScalarRule = Callable[[DualField, Dual], tuple[Dual, Slope]]


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
        y = exponential(A, x)
    elif A.identities.tied:
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
    if A.identities.additive:
        e = exponential(A, x)
        y = A.div(e, A.add(_one(A, e), e))
    elif A.identities.tied:
        u = rising(A, x)
        y = A.select(x.real <= 0, A.sub(_one(A, u), u), u)
    else:
        sign = _sign(x)
        y = _bare_real(A.unknown("logistic", replace(x, res=x.res * sign)))
        y = A.select(sign > 0, y, A.sub(_one(A, y), y))
    return y, lambda: A.mul(y, A.sub(_one(A, y), y))


def _tanh(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = 1 - y², odd."""
    if A.identities.additive:
        e = exponential(A, x)
        square = A.mul(e, e)
        y = A.div(A.sub(square, _one(A, e)), A.add(square, _one(A, e)))
    else:
        y = _odd(A, "tanh", x)
    return y, lambda: A.sub(_one(A, y), A.mul(y, y))


def _log(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """log'(x) = 1/x."""
    y = logarithm(A, x) if A.identities.additive else A.unknown("log", x)
    return y, lambda: A.div(_one(A, x), x)


def _log1p(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """log1p(x) = log(1 + x)."""
    return _log(A, A.add(_one(A, x), x))


def _sqrt(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = 1 / (2 y), or y / (2 x)."""
    y = _bare_real(A.unknown("sqrt", x))
    if A.identities.over:
        return y, lambda: A.div(A.mul(_half(A, y), y), x)
    return y, lambda: A.div(_half(A, y), y)


def _rsqrt(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = -y³/2, or -y/(2 x)."""
    joined = A.identities.joined
    y = _bare_real(A.div(_one(A, x), _sqrt(A, x)[0]) if joined else A.unknown("rsqrt", x))
    if A.identities.quotient:
        return y, lambda: A.div(A.mul(_half(A, y, -1), y), x)
    return y, lambda: A.mul(_half(A, y, -1), A.mul(y, A.mul(y, y)))


def _sin(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """sin' = cos, odd."""
    return _odd(A, "sin", x), lambda: _even(A, "cos", x)


def _cos(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """cos' = -sin, even."""
    return _even(A, "cos", x), lambda: A.neg(_odd(A, "sin", x))


def _by_root_of_pi(A: DualField, e: Dual, power: int) -> Dual:
    """e (2/sqrt(pi))^power."""
    k = A.field.column(A.residues(Number(Fraction(1), "", pi=power)), e.real.ndim)
    k_dual = Dual(np.broadcast_to(np.float64(1.0), e.real.shape), np.broadcast_to(k, e.res.shape), None, VARIABLE)
    found: Dual = A.mul(k_dual, _bare_real(e))
    return found


def _erf(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """erf'(x) = (2/sqrt(pi)) exp(-x²), odd."""
    return _odd(A, "erf", x), lambda: _by_root_of_pi(A, _exp(A, A.neg(A.mul(x, x)))[0], 1)


def _erf_inv(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = (sqrt(pi)/2) exp(y²), odd."""
    y = _odd(A, "erf_inv", x)
    return y, lambda: _by_root_of_pi(A, _exp(A, A.mul(y, y))[0], -1)


def _tan(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """y' = 1 + y², odd."""
    y = _odd(A, "tan", x)
    return y, lambda: A.add(_one(A, y), A.mul(y, y))


def _asin(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """asin'(x) = rsqrt(1 - x²), odd."""
    return _odd(A, "asin", x), lambda: _rsqrt(A, A.sub(_one(A, x), A.mul(x, x)))[0]


def _acos(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """acos'(x) = -rsqrt(1 - x²)."""
    return _bare_real(A.unknown("acos", x)), lambda: A.neg(_rsqrt(A, A.sub(_one(A, x), A.mul(x, x)))[0])


def _atan(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """atan'(x) = 1 / (1 + x²), odd."""
    return _odd(A, "atan", x), lambda: A.div(_one(A, x), A.add(_one(A, x), A.mul(x, x)))


def _sinh(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """sinh' = cosh, odd."""
    return _odd(A, "sinh", x), lambda: _even(A, "cosh", x)


def _cosh(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """cosh' = sinh, even."""
    return _even(A, "cosh", x), lambda: _odd(A, "sinh", x)


def _asinh(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """asinh'(x) = rsqrt(x² + 1), odd."""
    return _odd(A, "asinh", x), lambda: _rsqrt(A, A.add(A.mul(x, x), _one(A, x)))[0]


def _acosh(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """acosh'(x) = rsqrt(x² - 1)."""
    return _bare_real(A.unknown("acosh", x)), lambda: _rsqrt(A, A.sub(A.mul(x, x), _one(A, x)))[0]


def _atanh(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """atanh'(x) = 1 / (1 - x²), odd."""
    return _odd(A, "atanh", x), lambda: A.div(_one(A, x), A.sub(_one(A, x), A.mul(x, x)))


def _lgamma(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """lgamma' = digamma."""
    return _bare_real(A.unknown("lgamma", x)), lambda: _bare_real(A.unknown("digamma", x))


def _digamma(A: DualField, x: Dual) -> tuple[Dual, Slope]:
    """Its derivative has no rule."""

    def slope() -> Dual:
        raise CertifyError("wants no derivative of digamma, got one; there is no rule")

    return _bare_real(A.unknown("digamma", x)), slope


FUNCTIONS: dict[str, ScalarRule] = {
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
    "erf_inv": _erf_inv,
    "tan": _tan,
    "asin": _asin,
    "acos": _acos,
    "atan": _atan,
    "sinh": _sinh,
    "cosh": _cosh,
    "asinh": _asinh,
    "acosh": _acosh,
    "atanh": _atanh,
    "lgamma": _lgamma,
    "digamma": _digamma,
}
"""Each function of one number that is not rational."""


class TranscendentalField(DualField):
    """A point with the functions that are not rational."""

    def scalar(self, function: str, x: Dual) -> Dual:
        """A function of one number, by its differential identity."""
        with np.errstate(all="ignore"):
            real = float_run(function, x.real)
        if function != "exp" and (np.isfinite(bare(real)) & ~np.isfinite(bare(x.real))).any():
            raise CertifyError(f"wants {function} of finite numbers, got an infinity; there is no rule for its value")
        y, slope = FUNCTIONS[function](self, x.value)
        tan, tdeg = None, CONSTANT
        if x.tan is not None:
            d = slope()
            tan, tdeg = self.field.mul(d.res, x.tan), d.deg * x.tdeg
        return Dual(real, y.res, tan, y.deg, tdeg, self._undone(function, x))

    def _undone(self, function: str, x: Dual) -> Any:
        if function == "log1p" and self.identities.additive:
            return self._made("log", self.add(self.number(1, x.value), x.value))
        return self._made(function, x) if function in ("log", "exp") else None


def root(A: DualField, op: Op, x: Dual) -> Dual:
    """x^q for a fraction q; odd or not."""
    return _root(A, x, op.attr("power"), op.attr("odd"))


def fixed_power(A: DualField, op: Op, x: Dual) -> Dual:
    """x^q for a literal q: products for its whole part, and `_root` for what is left."""
    number = A.literal(op.attr("exponent"), op.attr("dtype"))
    whole = int(number.fraction // 1)
    if abs(whole) > HIGHEST or number.root or number.pi or number.ln2:
        raise CertifyError(
            f"wants fractions from -{HIGHEST} to {HIGHEST} as exponents, got {number.text}; there is no rule"
        )
    y = _product(A, x, abs(whole))
    if whole < 0:
        y = A.div(A.number(1, y), y)
    rest = number.fraction - whole
    return A.mul(y, _root(A, x, rest)) if rest else y


HIGHEST = 64  # the largest whole exponent


def _product(A: DualField, x: Dual, count: int) -> Dual:
    """x^count by squares."""
    if count < 2:
        return x if count else A.number(1, x)
    half = _product(A, x, count // 2)
    square: Dual = A.mul(half, half)
    return A.mul(square, x) if count % 2 else square


def _root(A: DualField, x: Dual, power: Fraction, odd: bool = False) -> Dual:
    """x^q for a fraction q between 0 and 1 and x > 0, y' = q y / x. Odd, the cube root, x not 0: y' = 1 / (3 y²)."""
    if not (x.real > 0).all() and not (odd and x.real.all()):
        raise CertifyError(f"wants positive numbers to the power {power}, got others; there is no rule for them")
    sign = _sign(x) if odd else np.float64(1.0)
    u = A.unknown(f"root {power}", replace(x.value, res=x.res * sign))
    u = replace(u, res=u.res * sign, real=np.sign(x.real) * np.power(np.abs(x.real), float(power)))
    if x.tan is None:
        return u
    factor = A.field.column(A.field.fraction(power), x.real.ndim)
    filled = Dual(np.broadcast_to(float(power), x.real.shape), np.broadcast_to(factor, x.res.shape), None, CONSTANT)
    slope = A.div(filled, A.mul(u, u)) if odd else A.div(A.mul(filled, u), x.value)
    return replace(u, tan=A.field.mul(slope.res, x.tan), tdeg=slope.deg * x.tdeg)


def _unknown_pair(A: DualField, function: str, x: Dual, y: Dual) -> Dual:
    """f(x, y), likewise."""
    both = np.concatenate([np.broadcast_to(v.res, (len(A.field.primes), *v.res.shape[1:])) for v in (x, y)])
    A.instances += both[0].size
    A.operand_degree = max(A.operand_degree, *(A.reciprocals.cleared(v.deg) for v in (x, y)))
    return Dual(x.real, A.field.function(function, A.key, both), None, VARIABLE)


def atan2(A: DualField, op: Op, y: Dual, x: Dual) -> Dual:
    """d atan2(y, x) = (x dy - y dx) / (x² + y²)."""
    real = np.arctan2(A.finite(y.real), A.finite(x.real))
    value = _unknown_pair(A, "atan2", y.value, x.value)
    square = A.add(A.mul(x.value, x.value), A.mul(y.value, y.value))
    over = A.div(A.number(1, square), square)
    tan, tdeg = None, CONSTANT
    for slope, of in ((A.mul(x.value, over), y), (A.neg(A.mul(y.value, over)), x)):
        if of.tan is not None:
            part = A.field.mul(slope.res, of.tan)
            tan = part if tan is None else A.field.add(tan, part)
            tdeg = tdeg | slope.deg * of.tdeg
    return Dual(real, value.res, tan, value.deg, tdeg)


def bits_as(A: DualField, op: Op, x: Array) -> Dual | Array:
    """The same bits as another type: the very numbers, constants."""
    held = np.dtype(np.float32) if op.attr("dtype") == "f32" else A.floats.dtype(op.attr("dtype"))
    made = np.ascontiguousarray(x).reshape(*x.shape, *(1,) * (x.itemsize >= held.itemsize)).view(held)
    made = made.reshape(op.result.shape)
    if made.dtype.kind != "f":
        return made
    real = A.finite(made.astype(np.float64))
    return Dual(real, A.field.dyadic(real), None, CONSTANT)


NOT_OF_ONE = ("root", "fixed_power", "atan2")
"""Operations that are not rational and no function of one number."""

MEANINGS: dict[str, Meaning] = {
    **{name: (lambda A, op, x, name=name: A.scalar(name, x)) for name in FLOATS},
    "root": root,
    "fixed_power": fixed_power,
    "atan2": atan2,
    "bits_as": bits_as,
}
"""What they do as operations."""
