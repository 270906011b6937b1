"""Gated perceptrons in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import GatedMlp
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.attention import linear

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _gated_mlp(layer: GatedMlp, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    """Shazeer 2020, eq. 6."""
    gate, up = jnp.split(linear(params, "in", x), 2, axis=-1)
    return linear(params, "out", activate(layer.activation, gate) * up), {}


REFERENCES = (
    Reference(
        "gatedMlp",
        _gated_mlp,
        (
            Case("swiglu", GatedMlp(5), (3, 4)),
            Case("biases", GatedMlp(5, bias=True), (3, 4)),
            Case("gelu", GatedMlp(4, "gelu-tanh"), (2, 3)),
            Case("one-feature", GatedMlp(1), (2, 3), batch=1),
            Case("evaluation", GatedMlp(5), (3, 4), training=False),
        ),
        (
            BadCase(GatedMlp(0), (3, 4), "mlp wants a positive integer, got 0"),
            BadCase(GatedMlp(4, "rely"), (3, 4), "activation wants one of identity, relu"),
            BadCase(GatedMlp(4), (3,), "wants [batch, T, D], got [batch, 3]"),
        ),
    ),
)
