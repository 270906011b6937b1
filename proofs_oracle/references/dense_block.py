"""Dense blocks and transitions in JAX: Huang et al. 2017, eq. 2: each layer sees all that came before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import Chain, DenseBlock, TransitionLayer
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.blocks import ONE, Block
from netc.proofs_oracle.references.window import Window

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _dense_block(layer: DenseBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block, act, seen = Block(params, state, training), layer.activation, [x]
    for index in range(layer.layers):
        new = f"layer{index}.new"
        h = activate(act, block.norm(f"{new}.norm1", jnp.concatenate(seen, axis=-1)))
        h = activate(act, block.norm(f"{new}.norm2", block.conv(f"{new}.conv1", h)))
        seen.append(block.conv(f"{new}.conv2", h, 1, ONE))
    return jnp.concatenate(seen, axis=-1), block.new


def _transition_layer(layer: TransitionLayer, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block = Block(params, state, training)
    h = block.conv("conv", activate(layer.activation, block.norm("norm", x)))
    return jnp.sum(Window((2, 2), (2, 2), ((0, 0), (0, 0))).pixels(h, 0.0), axis=0) / 4, block.new


REFERENCES = (
    Reference(
        "denseBlock",
        _dense_block,
        (
            Case("one", DenseBlock(2), (3, 4, 3)),
            Case("three", DenseBlock(2, 3, 2), (3, 3, 2)),
            Case("thin", DenseBlock(1, 2, 1), (4, 3, 1)),
            Case("one-pixel", DenseBlock(2, 2, 1), (1, 1, 2), batch=4),
            Case("swish", DenseBlock(2, 1, 2, "swish"), (3, 3, 2)),
            Case("batch-1", DenseBlock(2, 2, 2), (3, 4, 2), batch=1),
            Case("dead-channels", DenseBlock(2, 2, 2), (3, 3, 2), draw="kinks"),
            Case("evaluation", DenseBlock(2, 2, 2), (3, 3, 2), training=False),
        ),
        (
            BadCase(DenseBlock(0), (4, 4, 2), "growth wants a positive integer, got 0"),
            BadCase(DenseBlock(2, 0), (4, 4, 2), "layers wants an integer from 1 to 10000, got 0"),
            BadCase(DenseBlock(2, 1, 0), (4, 4, 2), "bottleneck wants a positive integer, got 0"),
            BadCase(DenseBlock(2, activation="mish"), (4, 4, 2), "activation wants one of identity, relu"),
            BadCase(DenseBlock(2), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
    Reference(
        "transitionLayer",
        _transition_layer,
        (
            Case("half", TransitionLayer(), (4, 4, 4)),
            Case("given", TransitionLayer(3), (4, 6, 2)),
            Case("odd", TransitionLayer(), (5, 3, 3)),
            Case("one-channel", TransitionLayer(), (2, 4, 1)),
            Case("tanh", TransitionLayer(2, "tanh"), (2, 2, 2), batch=3),
            Case("after-dense-block", Chain((DenseBlock(2, 1, 1), TransitionLayer())), (4, 4, 2)),
            Case("batch-1", TransitionLayer(), (4, 4, 3), batch=1),
            Case("dead-channels", TransitionLayer(), (4, 4, 4), draw="kinks"),
            Case("evaluation", TransitionLayer(), (4, 4, 4), training=False),
        ),
        (
            BadCase(TransitionLayer(0), (4, 4, 2), "features wants a positive integer, got 0"),
            BadCase(TransitionLayer(activation="mish"), (4, 4, 2), "activation wants one of identity, relu"),
            BadCase(TransitionLayer(), (1, 1, 2), "wants an image of at least 2 pixels a side, got 1x1"),
            BadCase(TransitionLayer(), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
)
