"""Channel shuffle and the units of the two ShuffleNets, in JAX.

Nothing here looks at how netspec expands these layers, except that parameters carry the names of that expansion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import ChannelShuffle, ShuffleBlock, ShuffleV2Block
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.blocks import ONE, Block
from netc.proofs_oracle.references.window import Window

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _shuffled(x: Array, groups: int) -> Array:
    """Channel j G + g of the result is channel g (C / G) + j of x: by index, not by transposition."""
    each = x.shape[-1] // groups
    return jnp.take(x, jnp.asarray([g * each + j for j in range(each) for g in range(groups)]), axis=-1)


def _channel_shuffle(layer: ChannelShuffle, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return _shuffled(x, layer.groups), {}


def _shuffle_block(layer: ShuffleBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block = Block(params, state, training)

    def body(name: str, x: Array, stride: int, groups: int) -> Array:
        h = _shuffled(block.conv_bn(f"{name}.reduce", x, layer.activation, groups=groups), layer.groups)
        h = block.conv_bn(f"{name}.depthwise", h, "identity", stride, ONE, groups=h.shape[-1])
        return block.conv_bn(f"{name}.expand", h, "identity", groups=layer.groups)

    first = layer.groups if layer.first_groups is None else layer.first_groups
    pooled = jnp.sum(Window((3, 3), (2, 2), ((1, 1), (1, 1))).pixels(x, 0.0), axis=0) / 9
    x = activate(layer.activation, jnp.concatenate([pooled, body("unit0.joined.body", x, 2, first)], axis=-1))
    for index in range(1, layer.blocks):
        x = activate(layer.activation, x + body(f"unit{index}.residual.body", x, 1, layer.groups))
    return x, block.new


def _shuffle_v2_block(layer: ShuffleV2Block, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block, half = Block(params, state, training), layer.features // 2

    def right(name: str, x: Array, stride: int) -> Array:
        h = block.conv_bn(f"{name}.conv1", x, layer.activation)
        h = block.conv_bn(f"{name}.depthwise", h, "identity", stride, ONE, groups=half)
        return block.conv_bn(f"{name}.conv2", h, layer.activation)

    left = block.conv_bn("unit0.joined.left.depthwise", x, "identity", 2, ONE, groups=x.shape[-1])
    left = block.conv_bn("unit0.joined.left.conv", left, layer.activation)
    x = _shuffled(jnp.concatenate([left, right("unit0.joined.right", x, 2)], axis=-1), 2)
    for index in range(1, layer.blocks):
        both = [x[..., :half], right(f"unit{index}.halves.right", x[..., half:], 1)]
        x = _shuffled(jnp.concatenate(both, axis=-1), 2)
    return x, block.new


REFERENCES = (
    Reference(
        "channelShuffle",
        _channel_shuffle,
        (
            Case("two", ChannelShuffle(2), (2, 3, 6)),
            Case("three", ChannelShuffle(3), (2, 2, 6), batch=1),
            Case("one", ChannelShuffle(1), (2, 2, 3)),
            Case("all", ChannelShuffle(4), (2, 1, 4)),
            Case("sequence", ChannelShuffle(2), (3, 8)),
            Case("vector", ChannelShuffle(5), (10,), training=False),
        ),
        (
            BadCase(ChannelShuffle(0), (4, 4, 4), "groups wants a positive integer, got 0"),
            BadCase(ChannelShuffle(3), (4, 4, 4), "wants a multiple of groups=3 channels, got [batch, 4, 4, 4]"),
        ),
    ),
    Reference(
        "shuffleBlock",
        _shuffle_block,
        (
            # few pixels: what a norm's bias before another norm cancels to is rounding, which grows with the image
            Case("one", ShuffleBlock(8, 2), (4, 4, 4)),
            Case("two", ShuffleBlock(16, 2, 2), (4, 3, 4)),
            Case("odd", ShuffleBlock(8, 2, 1), (5, 3, 2)),
            Case("one-group", ShuffleBlock(12, 1), (3, 4, 3), batch=4),
            Case("first-whole", ShuffleBlock(24, 3, 1, 1), (3, 4, 3), batch=4),
            Case("one-pixel", ShuffleBlock(8, 2), (1, 1, 4), batch=3),
            Case("tanh-evaluation", ShuffleBlock(8, 2, 2, activation="tanh"), (4, 4, 4), training=False),
            Case("batch-1", ShuffleBlock(8, 2), (6, 6, 4), batch=1),
            Case("dead-channels", ShuffleBlock(8, 2), (4, 4, 2), draw="kinks"),
            Case("evaluation", ShuffleBlock(8, 2, 2), (4, 4, 4), training=False),
            Case("evaluation-three-groups", ShuffleBlock(12, 3, 3, 1), (4, 4, 3), training=False),
        ),
        (
            BadCase(ShuffleBlock(0), (4, 4, 3), "features wants a positive integer, got 0"),
            BadCase(ShuffleBlock(8, 2, 0), (4, 4, 4), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(ShuffleBlock(8, 3), (4, 4, 3), "features wants a multiple of 4 groups = 12, got 8"),
            BadCase(ShuffleBlock(8, 2, first_groups=0), (4, 4, 4), "first_groups wants a positive integer, got 0"),
            BadCase(ShuffleBlock(8, 2), (4, 4, 8), "wants features=8 to exceed the input's channels"),
            BadCase(ShuffleBlock(8, 2), (4, 4, 3), "by a multiple of groups=2, got [batch, 4, 4, 3]"),
            BadCase(ShuffleBlock(8, 2, activation="mish"), (4, 4, 4), "activation wants one of identity, relu"),
            BadCase(ShuffleBlock(8, 2), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
    Reference(
        "shuffleV2Block",
        _shuffle_v2_block,
        (
            Case("one", ShuffleV2Block(4), (4, 4, 3)),
            Case("two", ShuffleV2Block(6, 2), (4, 6, 2)),
            Case("odd", ShuffleV2Block(4, 2), (5, 3, 2), batch=3),
            Case("one-channel-each", ShuffleV2Block(2, 2), (4, 4, 1)),
            Case("swish", ShuffleV2Block(4, 2, "swish"), (4, 4, 2)),
            Case("batch-1", ShuffleV2Block(4, 2), (6, 6, 2), batch=1),
            Case("dead-channels", ShuffleV2Block(4, 2), (4, 4, 2), draw="kinks"),
            Case("evaluation", ShuffleV2Block(4, 2), (4, 4, 2), training=False),
        ),
        (
            BadCase(ShuffleV2Block(5), (4, 4, 3), "features wants an even number, got 5"),
            BadCase(ShuffleV2Block(0), (4, 4, 3), "features wants a positive integer, got 0"),
            BadCase(ShuffleV2Block(4, 0), (4, 4, 3), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(ShuffleV2Block(4, activation="mish"), (4, 4, 2), "activation wants one of identity, relu"),
            BadCase(ShuffleV2Block(4), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
)
