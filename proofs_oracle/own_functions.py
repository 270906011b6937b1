"""A user's function of one number in JAX: what a plugin that is no Python adds to the references of activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

NAMES = ("exp", "log", "sqrt", "tanh", "sin", "cos")
TABLE: dict[str, Callable[..., Any]] = {
    "+": jnp.add, "-": jnp.subtract, "*": jnp.multiply, "/": jnp.divide, "neg": jnp.negative,
    "min": lambda a, b: jnp.where(a < b, a, b), "max": lambda a, b: jnp.where(a > b, a, b),
    **{name: getattr(jnp, name) for name in NAMES},
    "<": jnp.less, "<=": jnp.less_equal, ">": jnp.greater, ">=": jnp.greater_equal, "==": jnp.equal,
    "!=": jnp.not_equal, "select": jnp.where, "number": float, "logistic": jax.nn.sigmoid,
}  # fmt: skip
"""An operation -> JAX's; of a kink the whole slope is that of the side which is chosen."""
TEXTS: dict[str, Callable[..., str]] = {
    **{s: (lambda a, b, s=s: f"({a} {s} {b})") for s in ("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=")},
    **{name: (lambda a, name=name: f"jnp.{name}({a})") for name in NAMES},
    "min": lambda a, b: f"jnp.where({a} < {b}, {a}, {b})",
    "max": lambda a, b: f"jnp.where({a} > {b}, {a}, {b})",
    "neg": lambda a: f"(-{a})",
    "select": lambda c, a, b: f"jnp.where({c}, {a}, {b})",
    "number": repr,
    "logistic": lambda a: f"jax.nn.sigmoid({a})",
}  # fmt: skip
"""An operation -> how a script says it."""


@dataclass(frozen=True)
class OwnFunction:
    """A reference: `compute` gives what the function is by a table of operations, at x."""

    compute: Callable[[Mapping[str, Callable[..., Any]], Any], Any]

    def __call__(self, x: Array, slope: float) -> Array:
        """f(x), for each element."""
        made = self.compute(TABLE, x)
        return jnp.full_like(x, made) if isinstance(made, float) else made

    @property
    def source(self) -> str:
        """The function as Python."""
        return f"def function(x, slope):\n    return {self.compute(TEXTS, 'x')}"
