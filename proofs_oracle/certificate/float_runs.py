"""Functions of one number in float64, those among them that the evaluator does not have."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from netc.codegen.evaluator import FloatArithmetic
from netc.proofs_oracle.certificate.residues import Array


def _each_digamma(x: float) -> float:
    """By its recurrence and the first terms of its asymptotic series (Abramowitz and Stegun 6.3.18); for x > 0."""
    if not x > 0:
        return math.nan
    low = 0.0
    while x < 10:
        low, x = low - 1 / x, x + 1
    return low + math.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6)


def _each_erf_inv(x: float) -> float:
    """By the quantiles of the normal distribution; infinite at -1 and 1, and NaN beyond."""
    if abs(x) < 1:
        return NormalDist().inv_cdf((x + 1) / 2) / math.sqrt(2)
    return math.copysign(math.inf, x) if abs(x) == 1 else math.nan


def _of_each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    return lambda x: np.asarray(np.frompyfunc(function, 1, 1)(x), np.float64)


FLOATS: dict[str, Callable[[Array], Array]] = {
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf_inv": _of_each(_each_erf_inv),
    "lgamma": _of_each(math.lgamma),
    "digamma": _of_each(_each_digamma),
}
"""The float run of those that the evaluator does not have."""


def float_run(function: str, x: Array) -> Array:
    """The function in float64."""
    return FLOATS[function](x) if function in FLOATS else FloatArithmetic("f64").scalar(function, x)
