"""Atrous spatial pyramid pooling in JAX: Chen et al. 2017, fig. 5, and the broadcast of a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import AsppModule, Chain, Dense, GlobalAvgPool, SpatialBroadcast
from netc.netspec.layers.window import pair
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.blocks import Block, around

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _everywhere(x: Array, height: int, width: int) -> Array:
    """x[n, c] at every place."""
    return jnp.stack([jnp.stack([x] * width, axis=1)] * height, axis=1)


def _spatial_broadcast(layer: SpatialBroadcast, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return _everywhere(jnp.reshape(x, (x.shape[0], x.shape[-1])), *pair(layer.size)), {}


def _aspp_module(layer: AsppModule, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block, act = Block(params, state, training), layer.activation
    branches = [block.conv_bn("pyramid.point", x, act)]
    for index, rate in enumerate(layer.rates, 1):
        branches.append(block.conv_bn(f"pyramid.atrous{index}", x, act, padding=around(3, rate), dilation=rate))
    mean = block.conv_bn("pyramid.image.conv", jnp.mean(x, (1, 2), keepdims=True), act)
    branches.append(_everywhere(mean[:, 0, 0], x.shape[1], x.shape[2]))
    return block.conv_bn("project", jnp.concatenate(branches, axis=-1), act), block.new


REFERENCES = (
    Reference(
        "spatialBroadcast",
        _spatial_broadcast,
        (
            Case("vector", SpatialBroadcast(3), (4,)),
            Case("pixel", SpatialBroadcast((2, 3)), (1, 1, 3)),
            Case("to-one", SpatialBroadcast(1), (2,), batch=1),
            Case("pixel-to-one", SpatialBroadcast(1), (1, 1, 2)),
            Case("of-mean", Chain((GlobalAvgPool(), Dense(3), SpatialBroadcast((1, 4)))), (2, 2, 2), training=False),
        ),
        (
            BadCase(SpatialBroadcast(0), (4,), "size wants positive integers, got 0"),
            BadCase(SpatialBroadcast(2), (2, 1, 3), "wants [batch, C] or [batch, 1, 1, C], got [batch, 2, 1, 3]"),
            BadCase(SpatialBroadcast(2), (1, 3), "wants [batch, C] or [batch, 1, 1, C], got [batch, 1, 3]"),
        ),
    ),
    Reference(
        "asppModule",
        _aspp_module,
        (
            Case("three-rates", AsppModule(2, (1, 2, 3)), (4, 5, 2)),
            Case("rates-above-image", AsppModule(2, (2, 12)), (3, 4, 2), batch=3),
            Case("no-rates", AsppModule(3, ()), (3, 3, 2), batch=3),
            Case("swish", AsppModule(2, (2,), "swish"), (4, 3, 2), batch=3),
            Case("one-pixel", AsppModule(2, (2,)), (1, 1, 2), batch=4),
            Case("batch-1", AsppModule(2, (1, 2)), (4, 3, 2), batch=1),
            Case("dead-channels", AsppModule(2, (2,)), (3, 3, 2), batch=3, draw="kinks"),
            Case("evaluation", AsppModule(2, (1, 2)), (3, 4, 2), training=False),
        ),
        (
            BadCase(AsppModule(0), (4, 4, 2), "features wants a positive integer, got 0"),
            BadCase(AsppModule(2, (1, 0)), (4, 4, 2), "rates wants positive integers, got [1, 0]"),
            BadCase(AsppModule(2, activation="mish"), (4, 4, 2), "activation wants one of identity, relu"),
            BadCase(AsppModule(2), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
)
