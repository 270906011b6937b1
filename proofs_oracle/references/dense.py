"""Fully connected layers in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.layers import Dense
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _dense(layer: Dense, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    y = jnp.einsum("...i,ij->...j", x, params["kernel"])
    if layer.bias:
        y = y + params["bias"]
    return activate(layer.activation, y), {}


REFERENCES = (
    Reference(
        "dense",
        _dense,
        (
            Case("plain", Dense(5), (7,), batch=3),
            Case("batch-1", Dense(4), (6,), batch=1),
            Case("one-input", Dense(3), (1,)),
            Case("one-feature", Dense(1), (4,)),
            Case("one-everything", Dense(1, activation="relu"), (1,), batch=1),
            Case("biasless", Dense(4, bias=False), (3,)),
            Case("biasless-relu", Dense(4, bias=False, activation="relu"), (3,)),
            Case("inputs-given", Dense(4, inputs=3), (3,)),
            Case("square", Dense(4, activation="tanh"), (4,), batch=4),
            Case("sequence", Dense(3), (4, 5)),
            Case("sequence-swish", Dense(3, activation="swish"), (4, 5)),
            Case("sequence-of-one", Dense(3, bias=False), (1, 5), batch=1),
            *(Case(f"act-{name}", Dense(5, activation=name), (4,), batch=3) for name in ACTIVATIONS),
            *(Case(f"kinks-{name}", Dense(8, activation=name), (3,), batch=5, draw="kinks") for name in ACTIVATIONS),
        ),
        (
            BadCase(
                Dense(10),
                (7, 7, 512),
                "wants [batch, features], got [batch, 7, 7, 512]; put GlobalAvgPool() or Flatten()",
            ),
            BadCase(Dense(10, inputs=512), (7, 7, 512), "wants [batch, 512], got [batch, 7, 7, 512]"),
            BadCase(Dense(10, inputs=5), (4,), "wants [batch, 5], got [batch, 4]; set inputs=4 or leave it out"),
            BadCase(Dense(0), (4,), "features wants a positive integer, got 0"),
            BadCase(Dense(3, inputs=0), (4,), "inputs wants a positive integer, got 0"),
            BadCase(Dense(3, activation="rel"), (4,), "activation wants one of identity, relu"),
        ),
    ),
)
