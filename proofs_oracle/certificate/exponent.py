"""exp(a + b) = exp(a) exp(b), log(a b) = log(a) + log(b), exp(log(t)) = t, log(exp(t)) = t.

Where a program fades sums by exp(a - b), as attention by tiles does; or undoes one with the other, as softplus does.
Each tensor remembers how it was made of others, as far as exp or log passes through that. What was made in no such way
has an unknown for its exp and its log, as always. logistic and tanh are fractions of exp (functions.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netc.proofs_oracle.certificate.dual import Dual, DualField
from netc.proofs_oracle.certificate.residues import Array, bare

Where = Array | None  # the elements that are asked for, None for all; at others the values mean nothing
Function = Callable[[DualField, Dual, Where], Dual]
Law = Callable[[DualField, Dual, Function, Where], Dual]
MOST = 8  # exp(n x) = exp(x)^n for whole n up to this


def exponential(A: DualField, x: Dual, where: Where = None) -> Dual:
    """exp(x), remembered for each tensor."""
    return _remembered(A, "exp", x, EXPONENTIALS, exponential, _falling, where)


def _inverse(A: DualField, x: Dual, where: Where = None) -> Dual:
    """exp(-x), likewise: -(a - b) is looked into as well as a - b, so that few reciprocals are taken."""
    return _remembered(A, "exp of -", x, EXPONENTIALS, _inverse, _rising, where)


def logarithm(A: DualField, x: Dual, where: Where = None) -> Dual:
    """log(x), remembered for each tensor."""
    return _remembered(A, "log", x, LOGARITHMS, logarithm, _any_logarithm, where)


def _remembered(
    A: DualField, function: str, x: Dual, rules: dict[str, Law], again: Function, unknown: Function, where: Where
) -> Dual:
    if where is not None and not where.any():  # as where a maximum would be NaN
        return _beside(x, A.number(1, x))
    where = None if where is None or where.all() else where
    key = (function, id(x.res), id(where))
    known = A.made_of.get(key)
    if known is None:
        rule = rules.get(x.made[0]) if x.made else None
        y = unknown(A, x, where) if rule is None else rule(A, x, again, where)
        known = A.made_of[key] = (x, where, y)  # both are kept, so that their ids stay their own
    return known[2]


def _beside(x: Dual, y: Dual) -> Dual:
    """y with a float run of ones."""
    return Dual(np.broadcast_to(np.float64(1.0), x.real.shape), y.res, None, y.deg)


def _falling(A: DualField, x: Dual, where: Where) -> Dual:
    """exp(x) = 1/exp(-x) by the unknown e = exp(-|x|): of what falls, as in softmax, no reciprocals are taken."""
    return _by_size(A, x, x.real <= 0, where)


def _rising(A: DualField, x: Dual, where: Where) -> Dual:
    """exp(-x) by the same unknown."""
    return _by_size(A, x, x.real > 0, where)


def _by_size(A: DualField, x: Dual, plain: Array, where: Where) -> Dual:
    """e = exp(-|x|) where `plain`, else 1/e."""
    plain = plain if where is None else plain | ~where
    falls = x.real <= 0
    e = _beside(x, A.unknown("exp", x if falls.all() else A.select(falls, x, A.neg(x))))
    y = e if plain.all() else A.select(plain, e, A.div(A.number(1, e), e))
    gone = np.isneginf(x.real)
    return A.select(gone, A.number(0, y), y) if gone.any() else y


def _any_logarithm(A: DualField, x: Dual, where: Where) -> Dual:
    return _beside(x, A.unknown("log", x))


def _moved(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    _, move, a = x.made
    y = again(A, a, None)
    return Dual(np.broadcast_to(np.float64(1.0), x.real.shape), move(y.res), None, y.deg)


def _chosen(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    _, condition, a, b = x.made
    left, right = (c if where is None else c & where for c in (condition, ~condition))
    return _beside(x, A.select(condition, again(A, a, left), again(A, b, right)))


# -- exp -------------------------------------------------------------------------------------------------------------


def _other(again: Function) -> Function:
    return _inverse if again is exponential else exponential


def _exp_of_sum(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    _, a, b = x.made
    return _beside(x, A.mul(again(A, a, where), again(A, b, where)))


def _exp_of_difference(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    _, a, b = x.made
    return _beside(x, A.mul(again(A, a, where), _other(again)(A, b, where)))


def _exp_of_negative(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    return _beside(x, _other(again)(A, x.made[1], where))


def _exp_of_logarithm(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    t = x.made[1]
    return _beside(x, t if again is exponential else A.div(A.number(1, t), t))


def _exp_of_product(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    """exp(n x) = exp(x)^n; of any other product nothing is known."""
    _, a, b = x.made
    for factor, other in ((a, b), (b, a)):
        number = bare(factor.real)
        n = number.reshape(-1)[0] if number.size == 1 else 0.0
        if not factor.deg.total and not factor.deg.powers and n == int(n) and 0 < abs(n) <= MOST:
            y = power = (again if n > 0 else _other(again))(A, other, where)
            for _ in range(int(abs(n)) - 1):
                power = A.mul(power, y)
            return _beside(x, power)
    return (_falling if again is exponential else _rising)(A, x, where)


EXPONENTIALS: dict[str, Law] = {
    "add": _exp_of_sum,
    "sub": _exp_of_difference,
    "neg": _exp_of_negative,
    "mul": _exp_of_product,
    "log": _exp_of_logarithm,
    "move": _moved,
    "select": _chosen,
}
"""How a tensor was made, and exp of it, or of what is opposite."""


# -- log -------------------------------------------------------------------------------------------------------------


def _log_of_product(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    _, a, b = x.made
    if not (_above_zero(a) and _above_zero(b)):
        return _any_logarithm(A, x, where)
    return _beside(x, A.add(again(A, a, where), again(A, b, where)))


def _log_of_quotient(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    _, a, b = x.made
    if not (_above_zero(a) and _above_zero(b)):
        return _any_logarithm(A, x, where)
    return _beside(x, A.sub(again(A, a, where), again(A, b, where)))


def _log_of_exponential(A: DualField, x: Dual, again: Function, where: Where) -> Dual:
    return _beside(x, x.made[1])


def _above_zero(x: Dual) -> bool:
    return bool((bare(x.real) > 0).all())


LOGARITHMS: dict[str, Law] = {
    "mul": _log_of_product,
    "div": _log_of_quotient,
    "exp": _log_of_exponential,
    "move": _moved,
    "select": _chosen,
}
"""How a tensor was made, and log of it."""
