"""Adaptive layer norm and the diffusion transformer in JAX: Peebles and Xie 2023, section 3.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Activation,
    BatchNorm,
    Chain,
    ChannelsToTokens,
    ConditionedPatches,
    ConditionedTokens,
    Dense,
    DitBlocks,
    Dropout,
    Identity,
    Modulated,
    ModulatedHead,
    MultiHeadAttention,
    PatchHead,
    RMSNorm,
    TakeTokens,
)
from netc.proofs_oracle.reference import BadCase, Case, Reference, apply, under, within
from netc.proofs_oracle.references.attention import linear, multi_head
from netc.proofs_oracle.references.diffusion import embed_time
from netc.proofs_oracle.references.embedding import class_row, image_places
from netc.proofs_oracle.references.norm import layer_norm
from netc.proofs_oracle.references.transformer import mlp
from netc.proofs_oracle.references.upsample import unpatchify

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def plain(x: Array) -> Array:
    """Layer norm without scale and bias, as DiT has it."""
    return layer_norm(x, {}, epsilon=1e-6)


def modulation(params: Tensors, c: Array) -> Array:
    """[batch, D] -> [batch, rows, D], dense(swish(c))."""
    return jnp.reshape(linear(params, "dense", jax.nn.silu(c)), (c.shape[0], -1, c.shape[1]))


def _modulated(layer: Modulated, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    new: dict[str, Array] = {}

    def part(name: str, own: Layer, value: Array) -> Array:
        y, found = apply(own, under(params, name), under(state, name), value, training)
        new.update(within(name, found))
        return y

    c, h = x[:, : layer.conditions], x[:, layer.conditions :]
    rows = part("modulation", layer.modulation, c)
    each = 3 if layer.gate else 2
    second = jnp.arange(h.shape[1]) >= layer.apart if layer.apart else jnp.zeros(h.shape[1], dtype=bool)
    own = [jnp.where(second[:, None], rows[:, -each + i, None], rows[:, i, None]) for i in range(each)]
    u = part("body", layer.body, part("norm", layer.norm, h) * (1 + own[1]) + own[0])
    return jnp.concatenate([c, h + own[2] * u if layer.gate else u], axis=1), new


def dit(layer: DitBlocks, params: Tensors, x: Array) -> Array:
    """[batch, 1 + T, D], the condition first; DiTBlock with alpha, beta and gamma of both halves."""
    c, h = x[:, 0], x[:, 1:]
    for index in range(layer.blocks):
        for half in ("attention", "mlp"):
            own = under(params, f"block{index}.{half}")
            beta, gamma, alpha = jnp.split(modulation(under(own, "modulation"), c), 3, axis=1)
            m, body = plain(h) * (1 + gamma) + beta, under(own, "body")
            if half == "mlp":
                u = mlp(body, {}, m, activation="gelu-tanh", rate=0.0, training=False)
            else:
                u = multi_head(MultiHeadAttention(layer.heads, rope=layer.rope), body, {}, m, False)
            h = h + alpha * u
    return jnp.concatenate([c[:, None], h], axis=1)


def _dit(layer: DitBlocks, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return dit(layer, params, x), {}


def _conditioned(layer: ConditionedPatches, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    n, extra = layer.patch, 2 if layer.classes else 1
    image, means = x[..., :-extra], jnp.mean(x[..., -extra:], axis=(1, 2))
    batch, height, width, channels = image.shape
    squares = jnp.reshape(image, (batch, height // n, n, width // n, n, channels))
    squares = jnp.reshape(jnp.moveaxis(squares, 3, 2), (batch, -1, n * n * channels))
    own = under(params, "patches.project")
    tokens = squares @ jnp.reshape(own["kernel"], (n * n * channels, -1)) + own["bias"]
    if layer.positions:
        tokens = tokens + image_places(height // n, width // n, layer.dim, 10_000.0)
    time = "condition.body" if layer.classes and not layer.class_tokens else "time"
    c = embed_time(under(params, f"{time}.embed"), means[:, 0], layer.frequencies, 1000.0)
    if not layer.classes:
        return jnp.concatenate([c[:, None], tokens], axis=1), {}
    if not layer.class_tokens:
        c = c + class_row(params["condition.shortcut.table.table"], means[:, 1])
        return jnp.concatenate([c[:, None], tokens], axis=1), {}
    labels = class_row(params["classes.row.row.table.table"], means[:, 1])
    return jnp.concatenate([c[:, None], jnp.reshape(labels, (batch, -1, layer.dim)), tokens], axis=1), {}


def _tokens(layer: ConditionedTokens, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    c = embed_time(under(params, "time.embed"), x[:, -1], layer.frequencies, 1.0)
    table = jnp.asarray(params["text.embed.tokens"])
    return jnp.concatenate([c[:, None], table[jnp.clip(x[:, :-1], 0, layer.vocabulary - 1)]], axis=1), {}


def head(layer: ModulatedHead, params: Tensors, x: Array) -> Array:
    """FinalLayer, [batch, K + T, D] -> [batch, T, features]."""
    shift, scale = jnp.split(modulation(under(params, "modulated.modulation"), x[:, 0]), 2, axis=1)
    return linear(params, "dense", plain(x[:, layer.skip :]) * (1 + scale) + shift)


def _head(layer: ModulatedHead, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return head(layer, params, x), {}


def _patch_head(layer: PatchHead, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    y = head(ModulatedHead(1, layer.skip), under(params, "head"), x)
    columns = layer.columns or round(y.shape[1] ** 0.5)
    return unpatchify(jnp.reshape(y, (y.shape[0], -1, columns, y.shape[2])), layer.patch), {}


def adaptive(rows: int, width: int) -> Chain:
    """dense(tanh(c)), as rows."""
    return Chain((Activation("tanh"), Dense(rows * width, name="dense"), ChannelsToTokens(rows)))


WIDE = Chain((Dense(6, activation="tanh", name="a"), Dense(3, name="b")))

REFERENCES = (
    Reference(
        "modulated",
        _modulated,
        (
            Case("one", Modulated(Dense(3, activation="tanh"), adaptive(3, 3)), (5, 3)),
            Case("two-layers", Modulated(WIDE, adaptive(3, 3)), (3, 3), batch=3),
            Case("apart", Modulated(WIDE, adaptive(6, 3), apart=2), (6, 3)),
            Case("apart-no-gate", Modulated(WIDE, adaptive(4, 3), apart=1, gate=False), (4, 3)),
            Case("no-gate", Modulated(Identity(), adaptive(2, 3), gate=False), (4, 3)),
            Case("rows-as-given", Modulated(WIDE, TakeTokens(3, 1), conditions=4), (7, 3)),
            Case("rms", Modulated(WIDE, adaptive(3, 3), RMSNorm()), (4, 3)),
            Case("one-token", Modulated(Dense(2), adaptive(3, 2)), (2, 2), batch=1),
            Case("drawing", Modulated(Dropout(0.4), adaptive(3, 4)), (4, 4)),
            Case("with-state", Modulated(BatchNorm(), adaptive(3, 2), BatchNorm()), (4, 2), batch=3),
            Case("constant", Modulated(WIDE, adaptive(3, 3)), (4, 3), draw="constant"),
            Case(
                "chain",
                Chain(
                    (
                        Modulated(WIDE, adaptive(3, 3), name="a"),
                        Modulated(Dense(3), adaptive(3, 3), name="b"),
                    )
                ),
                (4, 3),
            ),
        ),
        (
            BadCase(Modulated(Dense(3), adaptive(3, 3), conditions=0), (4, 3), "conditions wants a positive integer"),
            BadCase(Modulated(Dense(3), adaptive(3, 3), apart=-1), (4, 3), "apart wants 0 (one modulation for all"),
            BadCase(
                Modulated(Dense(3), adaptive(6, 3), apart=3), (4, 3), "wants more than 4 tokens, got [batch, 4, 3]"
            ),
            BadCase(Modulated(Dense(3), adaptive(2, 3)), (4, 3), "wants a modulation that gives [batch, 3, 3], got"),
            BadCase(
                Modulated(Dense(2), adaptive(3, 3)), (4, 3), "wants a body that gives [batch, 3, 3], got [batch, 3"
            ),
            BadCase(Modulated(Dense(3), adaptive(3, 3)), (4, 4, 3), "wants [batch, T, D], got [batch, 4, 4, 3]"),
        ),
    ),
    Reference(
        "ditBlocks",
        _dit,
        (
            Case("one", DitBlocks(2, 5), (4, 4)),
            Case("two", DitBlocks(1, 3, 2), (3, 2), batch=1),
            Case("rope", DitBlocks(2, 3, rope=True), (4, 8)),
        ),
        (
            BadCase(DitBlocks(2, 0), (4, 4), "mlp wants a positive integer, got 0"),
            BadCase(DitBlocks(3, 4), (4, 4), "wants a multiple of heads=3 channels"),
            BadCase(DitBlocks(2, 4, 0), (4, 4), "blocks wants an integer from 1 to"),
        ),
    ),
    Reference(
        "conditionedPatches",
        _conditioned,
        (
            Case("time", ConditionedPatches(4, 2, frequencies=3), (4, 6, 3)),
            Case("class", ConditionedPatches(4, 1, classes=3, frequencies=2), (2, 3, 3)),
            Case("class-tokens", ConditionedPatches(4, 2, 3, 2, positions=False, frequencies=2), (4, 4, 3), batch=3),
            Case("one-patch", ConditionedPatches(2, 2, classes=2, frequencies=1), (2, 2, 3), batch=1),
        ),
        (
            BadCase(ConditionedPatches(4, 3), (4, 4, 2), "wants sides that are multiples of 3, got [batch, 4, 4, 2]"),
            BadCase(ConditionedPatches(4), (4, 4, 1), "wants channels of time after the image's"),
            BadCase(ConditionedPatches(4, classes=2), (4, 4, 2), "wants channels of time and class after the image's"),
            BadCase(ConditionedPatches(4, classes=-1), (4, 4, 2), "classes wants 0 (no class) or a positive integer"),
            BadCase(ConditionedPatches(4, class_tokens=2), (4, 4, 2), "class_tokens wants 0, or a number of tokens"),
            BadCase(ConditionedPatches(4), (16,), "give an image whose last channels hold the time, and the class"),
        ),
    ),
    Reference(
        "conditionedTokens",
        _tokens,
        (
            Case("times-and-ids", ConditionedTokens(5, 4, 3), (4,), ids=1001),
            Case("one-token", ConditionedTokens(3, 2, 1), (2,), batch=1, ids=4),
        ),
        (
            BadCase(ConditionedTokens(0, 4), (4,), "vocabulary wants a positive integer, got 0", "i32"),
            BadCase(ConditionedTokens(5, 4), (1,), "wants token ids i32[T + 1], the last one the time", "i32"),
            BadCase(ConditionedTokens(5, 4), (4,), "wants token ids i32[T + 1], the last one the time, got f32[4]"),
        ),
    ),
    Reference(
        "modulatedHead",
        _head,
        (
            Case("one", ModulatedHead(3), (4, 2)),
            Case("three-first", ModulatedHead(2, 3), (5, 3), batch=1),
        ),
        (
            BadCase(ModulatedHead(0), (4, 4), "features wants a positive integer, got 0"),
            BadCase(ModulatedHead(3, 4), (4, 4), "wants more than 4 tokens, got [batch, 4, 4]; lower skip"),
        ),
    ),
    Reference(
        "patchHead",
        _patch_head,
        (
            Case("square", PatchHead(1, 2), (5, 3)),
            Case("wide", PatchHead(2, 2, 2, 3), (8, 3), batch=1),
            Case("single-pixels", PatchHead(3, 1), (10, 2)),
        ),
        (
            BadCase(PatchHead(1), (6, 3), "wants the tokens of an image, got 5 in [batch, 6, 3]; give columns"),
            BadCase(PatchHead(1, columns=-1), (5, 3), "columns wants 0 (a square image) or a number of patches"),
            BadCase(PatchHead(1, columns=3), (5, 3), "wants the tokens of an image, got 4 in [batch, 5, 3]"),
        ),
    ),
)
