"""Embeddings, heads and position encodings in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import (
    Chain,
    ClassEmbed,
    Dense,
    Dropout,
    LayerNorm,
    LMHead,
    PositionalEncoding,
    Residual,
    SinusoidalPositions,
    TiedHead,
    TokenPositionEmbed,
)
from netc.proofs_oracle.reference import BadCase, Case, Reference, apply, under, within
from netc.proofs_oracle.references.documents import places

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _embed(layer: TokenPositionEmbed, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    rows = jnp.asarray(params["tokens"])[jnp.clip(x, 0, layer.vocabulary - 1)]
    if layer.positions:
        rows = rows + jnp.asarray(params["positions"])[places(state, x.shape[1])]
    return rows + params.get("bias", 0.0), {}


def _lm_head(layer: LMHead, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    logits = jnp.einsum("btd,dv->btv", x, params["dense.kernel"])
    logits = logits + params.get("dense.bias", 0.0)
    return (layer.cap * jnp.tanh(logits / layer.cap) if layer.cap else logits), {}


def _tied_head(layer: TiedHead, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    h, new = apply(layer.embed, under(params, "embed"), under(state, "embed"), x, training)
    y, own = apply(layer.body, under(params, "body"), under(state, "body"), h, training)
    return jnp.einsum("btd,vd->btv", y, params["embed.tokens"]), within("embed", new) | within("body", own)


def class_row(table: Array, x: Array) -> Array:
    """The row of the whole number nearest to x [batch], within the table."""
    return table[jnp.floor(jnp.clip(x, 0, table.shape[0] - 1) + 0.5).astype(int)]


def _class_embed(layer: ClassEmbed, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return class_row(jnp.asarray(params["table"]), x[:, 0]), {}


def sinusoids(length: int, dim: int, base: float) -> Array:
    """[length, dim]: sine on even channels, cosine on odd ones."""
    columns = [
        (jnp.sin if d % 2 == 0 else jnp.cos)(jnp.arange(length) / base ** ((d - d % 2) / dim)) for d in range(dim)
    ]
    return jnp.stack(columns, axis=1)


def image_places(rows: int, columns: int, dim: int, base: float) -> Array:
    """[rows columns, dim]: a place's row on the first half of the channels, its column on the other."""
    down, along = sinusoids(rows, dim // 2, base), sinusoids(columns, dim // 2, base)
    return jnp.stack([jnp.concatenate([down[i], along[j]]) for i in range(rows) for j in range(columns)])


def _sinusoidal(layer: SinusoidalPositions, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    _, length, dim = x.shape
    if layer.columns:
        return x + image_places(length // layer.columns, layer.columns, dim, layer.base), {}
    return x + sinusoids(length, dim, layer.base)[places(state, length)], {}


def _nerf(layer: PositionalEncoding, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    parts = [
        f(2.0**level * jnp.pi * x[..., i])
        for i in range(x.shape[-1])
        for level in range(layer.levels)
        for f in (jnp.sin, jnp.cos)
    ]
    return jnp.stack(parts, axis=-1), {}


REFERENCES = (
    Reference(
        "tokenPositionEmbed",
        _embed,
        (
            Case("positions", TokenPositionEmbed(7, 4), (5,), ids=7),
            Case("tokens-only", TokenPositionEmbed(7, 4, positions=False), (5,), ids=7),
            Case("one-token", TokenPositionEmbed(1, 3), (4,), ids=1),
            Case("one-place", TokenPositionEmbed(5, 3), (1,), batch=1, ids=5),
            Case("one-feature", TokenPositionEmbed(6, 1), (3,), ids=6),
            Case("outside-is-the-last", TokenPositionEmbed(4, 3), (9,), ids=8),
            Case("rows-never-met", TokenPositionEmbed(50, 2, std=0.5), (6,), batch=1, ids=50),
            Case("bias", TokenPositionEmbed(7, 4, positions=False, bias=True), (5,), batch=3, ids=7),
            Case("bias-and-positions", TokenPositionEmbed(5, 3, bias=True), (2,), ids=5),
            Case("evaluation", TokenPositionEmbed(7, 4), (5,), training=False, ids=7),
        ),
        (
            BadCase(TokenPositionEmbed(0, 4), (5,), "vocabulary wants a positive integer, got 0"),
            BadCase(TokenPositionEmbed(5, 4), (5,), "wants token ids i32[T], got f32[5]"),
            BadCase(TokenPositionEmbed(5, 4, std=-1.0), (5,), "std wants a finite number of at least 0, got -1.0"),
        ),
    ),
    Reference(
        "lmHead",
        _lm_head,
        (
            Case("plain", LMHead(5), (4, 3)),
            Case("bias", LMHead(5, bias=True), (4, 3)),
            Case("capped", LMHead(5, cap=2.0, std=0.5), (4, 3)),
            Case("one-token", LMHead(1), (1, 2), batch=1),
            Case("evaluation", LMHead(3), (2, 4), training=False),
        ),
        (
            BadCase(LMHead(0), (4, 3), "vocabulary wants a positive integer, got 0"),
            BadCase(LMHead(5, cap=-1.0), (4, 3), "cap wants 0 (none) or a positive number, got -1.0"),
            BadCase(LMHead(5, std=-1.0), (4, 3), "std wants a finite number of at least 0, got -1.0"),
            BadCase(LMHead(5), (3,), "wants [batch, T, D], got [batch, 3]"),
        ),
    ),
    Reference(
        "tiedHead",
        _tied_head,
        (
            Case("bare", TiedHead(TokenPositionEmbed(6, 3), Chain(())), (4,), ids=6),
            Case("dense", TiedHead(TokenPositionEmbed(6, 3, False), Dense(3, activation="tanh")), (4,), ids=6),
            Case(
                "residual-norm",
                TiedHead(TokenPositionEmbed(5, 4), Chain((Residual(Dense(4, activation="gelu")), LayerNorm()))),
                (3,), ids=5,
            ),
            Case(
                "dropout", TiedHead(TokenPositionEmbed(5, 4), Chain((Dropout(0.3), Dense(4)))), (3,), batch=3, ids=5,
            ),
            Case("outside", TiedHead(TokenPositionEmbed(3, 2), Dense(2)), (6,), batch=1, ids=5),
            Case("evaluation", TiedHead(TokenPositionEmbed(6, 3), LayerNorm()), (4,), training=False, ids=6),
        ),
        (
            BadCase(TiedHead(Dense(3), Dense(3)), (4, 3), "embed wants a tokenPositionEmbed, whose matrix it shares"),
            BadCase(TiedHead(TokenPositionEmbed(6, 3), Dense(3)), (4,), "wants token ids i32[T], got f32[4]"),
        ),
    ),
    Reference(
        "classEmbed",
        _class_embed,
        (
            Case("near-zero", ClassEmbed(3, 4), (1,), batch=5),
            Case("integers", ClassEmbed(6, 2), (1,), batch=8, draw="kinks"),
            Case("far-outside", ClassEmbed(4, 3), (1,), batch=8, draw="tails"),
            Case("one-row", ClassEmbed(1, 1), (1,), batch=1),
        ),
        (
            BadCase(ClassEmbed(0, 4), (1,), "rows wants a positive integer, got 0"),
            BadCase(ClassEmbed(4, 4), (2,), "wants [batch, 1], one class id each, got [batch, 2]; pick one channel"),
        ),
    ),
    Reference(
        "sinusoidalPositions",
        _sinusoidal,
        (
            Case("sequence", SinusoidalPositions(), (9, 6)),
            Case("odd", SinusoidalPositions(), (4, 5)),
            Case("base", SinusoidalPositions(10.0), (6, 4)),
            Case("one-place", SinusoidalPositions(), (1, 3), batch=1),
            Case("one-channel", SinusoidalPositions(), (7, 1)),
            Case("evaluation", SinusoidalPositions(), (3, 4), training=False),
            Case("image", SinusoidalPositions(columns=3), (6, 8)),
            Case("image-odd-half", SinusoidalPositions(100.0, 2), (4, 6), batch=1),
        ),
        (
            BadCase(SinusoidalPositions(columns=-1), (4, 4), "columns wants 0 (no image) or a number of columns"),
            BadCase(SinusoidalPositions(columns=3), (4, 4), "wants rows of 3 tokens of an even width, got [batch, 4"),
            BadCase(SinusoidalPositions(0.0), (4, 4), "base wants a positive number, got 0.0"),
            BadCase(SinusoidalPositions(), (4,), "wants [batch, T, D], got [batch, 4]"),
        ),
    ),
    Reference(
        "positionalEncoding",
        _nerf,
        (
            Case("nerf-direction", PositionalEncoding(4), (3,)),
            Case("rays", PositionalEncoding(3), (4, 3)),
            Case("image", PositionalEncoding(2), (2, 3, 2)),
            Case("one-level", PositionalEncoding(1), (5,), batch=1),
            Case("one-number", PositionalEncoding(6), (1,)),
            Case("integers", PositionalEncoding(2), (6,), draw="ties"),
            Case("evaluation", PositionalEncoding(2), (3,), training=False),
        ),
        (
            BadCase(PositionalEncoding(0), (3,), "levels wants a positive integer, got 0"),
            BadCase(PositionalEncoding(40), (3,), "levels wants at most 32"),
        ),
    ),
)  # fmt: skip
