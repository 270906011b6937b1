"""The fire module in JAX: Iandola et al. 2016, section 3.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import FireModule
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.blocks import ONE, Block

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _fire_module(layer: FireModule, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block, act = Block(params, state, training), layer.activation
    squeezed = activate(act, block.conv("squeeze", x))
    point = activate(act, block.conv("expand.expand1x1", squeezed))
    wide = activate(act, block.conv("expand.expand3x3", squeezed, padding=ONE))
    return jnp.concatenate([point, wide], axis=-1), {}


REFERENCES = (
    Reference(
        "fireModule",
        _fire_module,
        (
            Case("plain", FireModule(2, 3, 4), (4, 5, 3)),
            Case("one-channel-each", FireModule(1, 1, 1), (3, 3, 1)),
            Case("one-pixel", FireModule(2, 2, 2), (1, 1, 3), batch=1),
            Case("row", FireModule(2, 2, 3), (1, 4, 2)),
            Case("gelu", FireModule(2, 3, 2, "gelu"), (3, 3, 2)),
            Case("kinks", FireModule(2, 2, 2), (3, 3, 2), draw="kinks"),
            Case("evaluation", FireModule(2, 2, 2), (2, 3, 2), training=False),
        ),
        (
            BadCase(FireModule(0, 1, 1), (4, 4, 2), "squeeze wants a positive integer, got 0"),
            BadCase(FireModule(1, 0, 1), (4, 4, 2), "expand1x1 wants a positive integer, got 0"),
            BadCase(FireModule(1, 1, -1), (4, 4, 2), "expand3x3 wants a positive integer, got -1"),
            BadCase(FireModule(1, 1, 1, "mish"), (4, 4, 2), "activation wants one of identity, relu"),
            BadCase(FireModule(1, 1, 1), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
)
