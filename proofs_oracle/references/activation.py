"""Elementwise activations in JAX.

At a kink the slope is the one that `Activation` documents. `jnp.maximum` and `jnp.clip` share a tie out (0.5 at
0); `jnp.where` gives the chosen branch its whole slope, so each branch here says which side owns the kink.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.layers import Activation, SoftCap
from netc.proofs_oracle.reference import BadCase, Case, OracleError, Reference

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _hard_sigmoid(x: Array) -> Array:
    return jnp.where(x <= -3, 0.0, jnp.where(x >= 3, 1.0, (x + 3) / 6))


def _gelu_tanh(x: Array) -> Array:
    return x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


FUNCTIONS: dict[str, Callable[[Array, float], Array]] = {
    "identity": lambda x, slope: x,
    "relu": lambda x, slope: jnp.where(x > 0, x, 0.0),
    "relu2": lambda x, slope: jnp.where(x > 0, x, 0.0) ** 2,
    "relu6": lambda x, slope: jnp.where(x <= 0, 0.0, jnp.where(x >= 6, 6.0, x)),
    "leaky-relu": lambda x, slope: jnp.where(x > 0, x, slope * x),
    "sigmoid": lambda x, slope: jax.nn.sigmoid(x),
    "tanh": lambda x, slope: jnp.tanh(x),
    "swish": lambda x, slope: x * jax.nn.sigmoid(x),
    "h-sigmoid": lambda x, slope: _hard_sigmoid(x),
    "h-swish": lambda x, slope: x * _hard_sigmoid(x),
    "gelu": lambda x, slope: x * (1 + jax.lax.erf(x / math.sqrt(2))) / 2,
    "gelu-tanh": lambda x, slope: _gelu_tanh(x),
}


def activate(function: str, x: Array, slope: float = 0.01) -> Array:
    """f(x) for each element, `function` a word of ACTIVATIONS; raises OracleError if it has no reference."""
    if function not in FUNCTIONS:
        raise OracleError(
            f"the oracle wants a reference for {function}, got those for {', '.join(FUNCTIONS)}; write it in "
            "proofs_oracle/references/activation.py"
        )
    return FUNCTIONS[function](x, slope)


def _activation(layer: Activation, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return activate(layer.function, x, layer.slope), {}


def _soft_cap(layer: SoftCap, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return layer.limit * jnp.tanh(x / layer.limit), {}


def _cases(function: str) -> tuple[Case, ...]:
    layer = Activation(function)
    return (
        Case(function, layer, (3, 4, 2)),
        Case(f"{function}-kinks", layer, (24,), draw="kinks"),
        Case(f"{function}-tails", layer, (24,), draw="tails"),
    )


REFERENCES = (
    Reference(
        "activation",
        _activation,
        (
            *(case for function in ACTIVATIONS for case in _cases(function)),
            Case("slope", Activation("leaky-relu", slope=0.3), (5,), batch=1),
            Case("slope-kinks", Activation("leaky-relu", slope=0.3), (24,), draw="kinks"),
            Case("slope-zero", Activation("leaky-relu", slope=0.0), (24,), draw="kinks"),
            Case("slope-negative", Activation("leaky-relu", slope=-1.0), (24,)),
            Case("one-element", Activation("swish"), (1,), batch=1),
            Case("sequence", Activation("gelu"), (3, 5)),
        ),
        (
            BadCase(Activation("rely"), (4,), "activation wants one of identity, relu"),
            BadCase(Activation("relu", slope=0.5), (4,), "slope belongs to leaky-relu, got slope=0.5 with relu"),
        ),
    ),
    Reference(
        "softCap",
        _soft_cap,
        (
            Case("sequence", SoftCap(15.0), (3, 5)),
            Case("small", SoftCap(0.5), (7,)),
            Case("one-element", SoftCap(1.0), (1,), batch=1),
            Case("evaluation", SoftCap(2.0), (2, 3), training=False),
        ),
        (
            BadCase(SoftCap(0.0), (4,), "limit wants a positive number, got 0.0"),
            BadCase(SoftCap(float("inf")), (4,), "limit wants a finite number, got inf"),
        ),
    ),
)
