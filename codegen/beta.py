"""Quantiles of Beta(a, a), for draws that are integers: the same on every backend."""

from __future__ import annotations

import math
from functools import lru_cache

CELLS = 256  # equal steps of probability from 0 to 1/2
BITS = 20  # of a quantile
TAIL = 1 / 8  # of a cell
SETTLED = 1e-12


@lru_cache(maxsize=16)
def half_quantiles(alpha: float) -> tuple[int, ...]:
    """round(2^20 Q(i / 512)) for i = 0 .. 256, Q the quantile function of Beta(alpha, alpha); the last is 2^19.

    Beta(alpha, alpha) is symmetric, so these are enough. Each is found by bisection of the distribution function. For
    alpha above 1 the first is Q(1 / 4096): from 0 a straight line to Q(1 / 512) would be far below Q, and the variance
    too large (for alpha = 100 by a quarter; so it is right to 1e-3).
    """
    found, low = [] if alpha > 1 else [0], 0.0
    for i in (TAIL, *range(1, CELLS)) if alpha > 1 else range(1, CELLS):
        high = 0.5
        while high - low > 2.0 ** -(BITS + 4):
            middle = (low + high) / 2
            low, high = (middle, high) if _below(alpha, middle) < i / (2 * CELLS) else (low, middle)
        found.append(round((low + high) / 2 * 2**BITS))
    return (*found, 2 ** (BITS - 1))


def _below(a: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, a) for 0 < x <= 1/2, by its continued fraction.

    Source: DLMF 8.17.22, evaluated from the front (the method of Lentz as Thompson and Barnett 1986 have it).
    """
    front = math.exp(a * (math.log(x) + math.log1p(-x)) + math.lgamma(2 * a) - 2 * math.lgamma(a)) / a
    c, d = 1.0, 1 / (1 - 2 * a * x / (a + 1))
    value, m = d, 0
    while True:
        m += 1
        for term in (
            m * (a - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (2 * a + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + term * d), 1 + term / c
            value *= c * d
        if abs(c * d - 1) < SETTLED:
            return front * value
