"""The operators of kernels over NumPy, with the wrapping, rounding and division that the emitted C has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netc.kernels.ir import FLOATS, Type
from netc.kernels.launch import DTYPES
from netc.kernels.maker import LIMITS

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
    "min": lambda a, b: np.where(a < b, a, b), "max": lambda a, b: np.where(a > b, a, b),
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "floor": np.floor,
    "abs": np.abs, "pow": np.power,
}  # fmt: skip


def binary(symbol: str, kind: Type, left: Any, right: Any) -> Any:
    """`left symbol right`, both of the type `kind`."""
    if symbol in BINARY:
        return BINARY[symbol](left, right)
    if kind in FLOATS:
        return np.divide(left, right)
    a, b = np.asarray(left, np.int64), np.asarray(right, np.int64)
    quotient = np.where(b == 0, 0, np.abs(a) // np.where(b == 0, 1, np.abs(b)) * np.sign(a) * np.sign(b))
    return (quotient if symbol == "/" else a - quotient * b).astype(DTYPES[kind])


def cast(value: Any, kind: Type, wanted: Type) -> Any:
    """The value, of the type `kind`, in another."""
    if kind in FLOATS and wanted in LIMITS:
        wide = np.nan_to_num(np.asarray(value, np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
        return np.clip(np.trunc(wide), *LIMITS[wanted]).astype(DTYPES[wanted])
    return np.asarray(value).astype(DTYPES[wanted])
