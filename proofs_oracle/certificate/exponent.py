"""exp(a + b) = exp(a) exp(b) and exp(log(t)) = t: where a program fades sums by exp(a - b), as attention by tiles does.

Each tensor remembers how it was made of others, as far as exp passes through that. exp of what was made in no such way
is an unknown of its value, as always.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netc.proofs_oracle.certificate.dual import Dual, DualField

Rule = Callable[[DualField, Dual], Dual]


def exponential(A: DualField, x: Dual) -> Dual:
    """exp(x), remembered for each tensor."""
    known = A.exponentials.get(id(x.res))
    if known is None:
        y = RULES[x.made[0]](A, x) if x.made else _unknown(A, x)
        known = A.exponentials[id(x.res)] = (x, y)  # x is kept, so that its id stays its own
    return known[1]


def _beside(x: Dual, y: Dual) -> Dual:
    """y with a float run of ones."""
    return Dual(np.broadcast_to(np.float64(1.0), x.real.shape), y.res, None, y.deg)


def _unknown(A: DualField, x: Dual) -> Dual:
    y = _beside(x, A.unknown("exp", x))
    gone = np.isneginf(x.real)
    return A.select(gone, A.number(0, y), y) if gone.any() else y


def _sum(A: DualField, x: Dual) -> Dual:
    _, a, b = x.made
    return _beside(x, A.mul(exponential(A, a), exponential(A, b)))


def _difference(A: DualField, x: Dual) -> Dual:
    _, a, b = x.made
    return _beside(x, A.div(exponential(A, a), exponential(A, b)))


def _logarithm(A: DualField, x: Dual) -> Dual:
    return _beside(x, x.made[1])


def _moved(A: DualField, x: Dual) -> Dual:
    _, move, a = x.made
    y = exponential(A, a)
    return Dual(np.broadcast_to(np.float64(1.0), x.real.shape), move(y.res), None, y.deg)


def _chosen(A: DualField, x: Dual) -> Dual:
    _, condition, a, b = x.made
    return _beside(x, A.select(condition, exponential(A, a), exponential(A, b)))


RULES: dict[str, Rule] = {
    "add": _sum,
    "sub": _difference,
    "log": _logarithm,
    "move": _moved,
    "select": _chosen,
}
"""How a tensor was made, and exp of it."""
