"""Cutting out and multiplying channels in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import Activation, Chain, ChannelWindow, Dense, HalfProduct, Split
from netc.proofs_oracle.reference import BadCase, Case, Reference

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _window(layer: ChannelWindow, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    channels = [
        x[..., c] if 0 <= c < x.shape[-1] else jnp.zeros(x.shape[:-1])
        for c in range(layer.start, layer.start + layer.count)
    ]
    return jnp.stack(channels, axis=-1), {}


def _half_product(layer: HalfProduct, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    if not layer.gates:
        first, second = jnp.split(x, 2, axis=-1)
        return layer.factor * first * second, {}
    gates, rest = x[..., : layer.gates], x[..., layer.gates :]
    runs = jnp.split(rest, layer.gates, axis=-1)
    return jnp.concatenate([layer.factor * gates[..., i : i + 1] * r for i, r in enumerate(runs)], -1), {}


REFERENCES = (
    Reference(
        "channelWindow",
        _window,
        (
            Case("first", ChannelWindow(0, 2), (3, 5)),
            Case("last", ChannelWindow(3, 2), (5,)),
            Case("all", ChannelWindow(0, 4), (2, 2, 4)),
            Case("zeros-after", ChannelWindow(1, 6), (3, 4)),
            Case("zeros-before", ChannelWindow(-2, 4), (3, 4), batch=1),
            Case("zeros-around", ChannelWindow(-1, 4), (2, 2)),
            Case("evaluation", ChannelWindow(1, 2), (4,), training=False),
        ),
        (
            BadCase(ChannelWindow(0, 0), (4,), "count wants a positive integer, got 0"),
            BadCase(ChannelWindow(4, 2), (4,), "wants a window that overlaps the 4 channels, got [batch, 4]"),
            BadCase(ChannelWindow(-2, 2), (4,), "wants a window that overlaps the 4 channels, got [batch, 4]"),
        ),
    ),
    Reference(
        "halfProduct",
        _half_product,
        (
            Case("vector", HalfProduct(), (6,)),
            Case("sequence", HalfProduct(), (3, 4)),
            Case("image", HalfProduct(), (2, 3, 2), batch=1),
            Case(
                "gated-unit",
                Chain(
                    (Dense(4), Split((Activation("tanh", name="f"), Activation("sigmoid", name="g"))), HalfProduct())
                ),
                (3,),
            ),
            Case("gates", HalfProduct(2, 3.0), (3, 8)),
            Case("one-gate", HalfProduct(1, -0.5), (5,), batch=1),
            Case("as-many-gates", HalfProduct(3), (2, 6)),
            Case("evaluation", HalfProduct(), (4,), training=False),
        ),
        (
            BadCase(HalfProduct(), (3, 5), "wants an even number of channels, got [batch, 3, 5]"),
            BadCase(HalfProduct(3), (3, 8), "wants gates=3 channels and a multiple of 3 after them, got [batch, 3, 8]"),
            BadCase(HalfProduct(3), (3,), "wants gates=3 channels and a multiple of 3 after them, got [batch, 3]"),
            BadCase(HalfProduct(-1), (4,), "gates wants 0 (as many as others) or a positive integer, got -1"),
            BadCase(HalfProduct(2, float("inf")), (4,), "factor wants a finite number, got inf"),
        ),
    ),
)
