"""Flux's blocks in JAX, two streams and one: Esser et al. 2024, fig. 2b; Dehghani et al. 2023, section 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from netc.netspec.layers import DoubleStream, SelfAttention, SingleStream
from netc.proofs_oracle.reference import BadCase, Case, Reference, under
from netc.proofs_oracle.references.attention import linear, self_attention
from netc.proofs_oracle.references.modulation import modulation, plain

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors

Streams = DoubleStream | SingleStream


def joint(layer: Streams, qkv: Array) -> Array:
    """All tokens attend to all, the last of them at their places in the image."""
    places = qkv.shape[1] - layer.text
    columns = layer.columns or round(places**0.5)
    how = SelfAttention(
        layer.heads, rope=True, rope_base=layer.rope_base, qk_norm=True, rope_grid=(places // columns, columns)
    )
    return self_attention(how, {}, qkv, False)


def gated(x: Array) -> Array:
    """SwiGLU's product."""
    a, b = jnp.split(x, 2, axis=-1)
    return jax.nn.silu(a) * b


def rows_of(layer: Streams, params: Tensors, c: Array, first: int, count: int) -> list[Array]:
    """`count` rows [batch, 1, D] of the conditions, from `first` of the shared ones on, or made of the first one."""
    if layer.shared_from:
        made = c[:, layer.shared_from + first :][:, :count]
    else:
        made = modulation(under(params, "modulation"), c[:, 0])
    return jnp.split(made, count, axis=1)


def _double(layer: DoubleStream, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    k, n = layer.conditions, layer.text
    c, text, image = x[:, :k], x[:, k : k + n], x[:, k + n :]
    for index in range(layer.blocks):
        own = under(params, f"block{index}.attention")
        d1, s1, g1, d2, s2, g2 = rows_of(layer, own, c, 0, 6)
        first = linear(own, "body.in.body", plain(text) * (1 + s1) + d1)
        second = linear(own, "body.in.rest", plain(image) * (1 + s2) + d2)
        o = joint(layer, jnp.concatenate([first, second], axis=1))
        text = text + g1 * linear(own, "body.out.body", o[:, :n])
        image = image + g2 * linear(own, "body.out.rest", o[:, n:])
        own = under(params, f"block{index}.mlp")
        d1, s1, g1, d2, s2, g2 = rows_of(layer, own, c, 6, 6)
        for part in ("body", "rest"):
            h, d, s, g = (text, d1, s1, g1) if part == "body" else (image, d2, s2, g2)
            weights = under(own, f"body.{part}")
            h = h + g * linear(weights, "out", gated(linear(weights, "hidden", plain(h) * (1 + s) + d)))
            text, image = (h, image) if part == "body" else (text, h)
    return jnp.concatenate([c, text, image], axis=1), {}


def _single(layer: SingleStream, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    c, h = x[:, : layer.conditions], x[:, layer.conditions :]
    for index in range(layer.blocks):
        own = under(params, f"block{index}")
        d, s, g = rows_of(layer, own, c, 0, 3)
        wide = linear(own, "body.in", plain(h) * (1 + s) + d)
        o, unit = joint(layer, wide[..., : 3 * h.shape[2]]), gated(wide[..., 3 * h.shape[2] :])
        h = h + g * linear(own, "body.out", jnp.concatenate([o, unit], axis=-1))
    return jnp.concatenate([c, h], axis=1), {}


REFERENCES = (
    Reference(
        "doubleStream",
        _double,
        (
            Case("own-modulation", DoubleStream(1, 3, 2), (7, 4)),
            Case("bias", DoubleStream(2, 3, 1, bias=True, columns=3, rope_base=50.0), (8, 8), batch=1),
            Case("two-shared", DoubleStream(1, 2, 2, 2, conditions=13, shared_from=1), (16, 4)),
        ),
        (
            BadCase(DoubleStream(1, 0, 2), (7, 4), "mlp wants a positive integer, got 0"),
            BadCase(
                DoubleStream(1, 3, 2, conditions=4, shared_from=1), (9, 4), "where 12 rows begin among 4 conditions"
            ),
            BadCase(DoubleStream(1, 3, 6), (7, 4), "wants more than 7 tokens, got [batch, 7, 4]"),
            BadCase(DoubleStream(1, 3, 2), (8, 4), "wants the tokens of an image, got 5 in [batch, 8, 4]"),
            BadCase(DoubleStream(2, 3, 2), (7, 4), "wants heads of a multiple of 4 channels for rope_grid, got 2"),
            BadCase(DoubleStream(3, 3, 2), (7, 4), "wants a multiple of heads=3 channels"),
            BadCase(DoubleStream(1, 3, 2, columns=-1), (7, 4), "columns wants 0 (a square image)"),
        ),
    ),
    Reference(
        "singleStream",
        _single,
        (
            Case("own-modulation", SingleStream(1, 3, 2), (7, 4)),
            Case("bias", SingleStream(2, 3, 1, bias=True, columns=3, rope_base=50.0), (8, 8), batch=1),
            Case("two-shared", SingleStream(1, 2, 2, 2, conditions=5, shared_from=2), (11, 4)),
        ),
        (
            BadCase(SingleStream(1, 3, 0), (7, 4), "text wants a positive integer, got 0"),
            BadCase(SingleStream(1, 3, 2, shared_from=1), (7, 4), "shared_from wants 0 or a position in 1..1"),
        ),
    ),
)
