"""Layers that only move or name elements, in JAX."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import Chain, Dense, Flatten, Identity
from netc.proofs_oracle.reference import BadCase, Case, Reference

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _flatten(layer: Flatten, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return jnp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))), {}


def _identity(layer: Identity, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return x, {}


REFERENCES = (
    Reference(
        "flatten",
        _flatten,
        (
            Case("image", Flatten(), (3, 4, 2)),
            Case("sequence", Flatten(), (3, 5), batch=3),
            Case("vector", Flatten(), (5,)),
            Case("one-element", Flatten(), (1, 1, 1), batch=1),
            Case("before-dense", Chain((Flatten(), Dense(3))), (2, 3, 2)),
        ),
        (BadCase(Flatten(), (), "input wants positive sizes"),),
    ),
    Reference(
        "identity",
        _identity,
        (
            Case("image", Identity(), (3, 4, 2)),
            Case("vector", Identity(), (5,), batch=1),
            Case("sequence", Identity(), (3, 5), training=False),
        ),
        (BadCase(Identity(), (4, 0, 3), "input wants positive sizes"),),
    ),
)
