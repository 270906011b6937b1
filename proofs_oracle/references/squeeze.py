"""Squeeze-excitation in JAX: Hu et al. 2018, eq. 2 to 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import SqueezeExcite
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def squeeze_excite(x: Array, params: Tensors, part: str, *, activation: str, gate: str) -> Array:
    """x [batch, H, W, C] times one number a channel, made from the channel means by two affine maps of `part`."""
    mean = jnp.sum(x, (1, 2)) / (x.shape[1] * x.shape[2])
    z = activate(activation, mean @ params[f"{part}.reduce.kernel"] + params[f"{part}.reduce.bias"])
    s = activate(gate, z @ params[f"{part}.expand.kernel"] + params[f"{part}.expand.bias"])
    return x * s[:, None, None, :]


def _squeeze_excite(layer: SqueezeExcite, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return squeeze_excite(x, params, "body", activation=layer.activation, gate=layer.gate), {}


REFERENCES = (
    Reference(
        "squeezeExcite",
        _squeeze_excite,
        (
            Case("plain", SqueezeExcite(2), (4, 3, 4)),
            Case("wider-than-input", SqueezeExcite(5), (3, 3, 2)),
            Case("swish", SqueezeExcite(2, "swish"), (3, 4, 4)),
            Case("h-sigmoid", SqueezeExcite(3, gate="h-sigmoid"), (3, 3, 4)),
            Case("h-sigmoid-kinks", SqueezeExcite(3, gate="h-sigmoid"), (2, 2, 4), draw="kinks"),
            Case("one-pixel", SqueezeExcite(2), (1, 1, 3)),
            Case("one-channel", SqueezeExcite(1), (3, 2, 1)),
            Case("batch-1", SqueezeExcite(2), (2, 3, 3), batch=1),
        ),
        (
            BadCase(SqueezeExcite(0), (4, 4, 3), "width wants a positive integer, got 0"),
            BadCase(SqueezeExcite(2, "mish"), (4, 4, 3), "activation wants one of identity, relu"),
            BadCase(SqueezeExcite(2, gate="mish"), (4, 4, 3), "gate wants one of identity, relu"),
            BadCase(SqueezeExcite(2), (16,), "wants [batch, H, W, C], got [batch, 16]; give an image"),
        ),
    ),
)
