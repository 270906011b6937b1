"""Darknet's residual blocks in JAX: Redmon and Farhadi 2018, table 1; Wang et al. 2020, fig. 3b."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import CspBlock, DarknetBlock
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.blocks import ONE, Block

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _residual(layer: DarknetBlock | CspBlock, block: Block, name: str, x: Array) -> Array:
    act, slope = layer.activation, layer.slope
    h = block.conv_bn(f"{name}.body.conv1", x, act, slope=slope)
    return x + block.conv_bn(f"{name}.body.conv2", h, act, 1, ONE, slope=slope)


def _darknet_block(layer: DarknetBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block = Block(params, state, training)
    for index in range(layer.blocks):
        x = _residual(layer, block, f"block{index}", x)
    return x, block.new


def _csp_block(layer: CspBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block, act, slope = Block(params, state, training), layer.activation, layer.slope
    kept, part = jnp.split(block.conv_bn("spread", x, act, slope=slope), 2, axis=-1)
    for index in range(layer.blocks):
        part = _residual(layer, block, f"halves.part.block{index}", part)
    part = block.conv_bn("halves.part.transition", part, act, slope=slope)
    return block.conv_bn("fuse", jnp.concatenate([kept, part], axis=-1), act, slope=slope), block.new


REFERENCES = (
    Reference(
        "darknetBlock",
        _darknet_block,
        (
            Case("one", DarknetBlock(), (3, 4, 4)),
            Case("two", DarknetBlock(2), (3, 3, 2)),
            Case("one-pixel", DarknetBlock(), (1, 1, 4), batch=4),
            Case("steeper", DarknetBlock(slope=0.5), (3, 3, 2)),
            Case("swish", DarknetBlock(1, "swish"), (3, 3, 2)),
            Case("batch-1", DarknetBlock(), (3, 4, 2), batch=1),
            Case("dead-channels", DarknetBlock(2, "relu"), (3, 3, 2), draw="kinks"),
            Case("evaluation", DarknetBlock(2), (3, 3, 2), training=False),
        ),
        (
            BadCase(DarknetBlock(0), (4, 4, 2), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(DarknetBlock(activation="mish"), (4, 4, 2), "activation wants one of identity, relu"),
            BadCase(DarknetBlock(), (4, 4, 3), "wants an even number of channels, got [batch, 4, 4, 3]"),
            BadCase(DarknetBlock(), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
    Reference(
        "cspBlock",
        _csp_block,
        (
            Case("one", CspBlock(4), (3, 4, 3)),
            Case("two", CspBlock(4, 2), (3, 3, 2)),
            Case("thin", CspBlock(2), (4, 3, 2), batch=3),
            Case("one-pixel", CspBlock(4), (1, 1, 2), batch=4),
            Case("steeper", CspBlock(4, slope=0.5), (3, 3, 2)),
            Case("swish", CspBlock(4, 1, "swish"), (3, 3, 2)),
            Case("batch-1", CspBlock(4), (3, 4, 2), batch=1),
            Case("dead-channels", CspBlock(4, 1, "relu"), (3, 3, 2), draw="kinks"),
            Case("evaluation", CspBlock(4, 2), (3, 3, 2), training=False),
        ),
        (
            BadCase(CspBlock(0), (4, 4, 2), "features wants a positive integer, got 0"),
            BadCase(CspBlock(5), (4, 4, 2), "features wants an even number, got 5"),
            BadCase(CspBlock(4, 0), (4, 4, 2), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(CspBlock(4, activation="mish"), (4, 4, 2), "activation wants one of identity, relu"),
            BadCase(CspBlock(4), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
)
