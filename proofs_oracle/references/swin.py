"""Swin transformers in JAX: windows cut out one by one, positions looked up in the table.

Nothing here looks at how netspec expands these layers, except that parameters carry the names of that expansion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import (
    Chain,
    PatchMerging,
    SpaceToDepth,
    SwinStage,
    WindowAttention,
    WindowMerge,
    WindowPartition,
)
from netc.netspec.layers.window import Pair, pair
from netc.proofs_oracle.reference import BadCase, Case, Reference, under
from netc.proofs_oracle.references.attention import linear
from netc.proofs_oracle.references.norm import layer_norm
from netc.proofs_oracle.references.stochastic import drop_path, dropout, mask
from netc.proofs_oracle.references.transformer import mlp, path_rates

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def places(size: Pair, window: int, shift: Pair, *, across: bool) -> np.ndarray:
    """For each token (row, column) of the filled-up image [n w², 2] before the shift."""
    full = tuple(-(-n // window) * window for n in size)
    tops = [(i, j) for i in range(0, full[0], window) for j in range(0, full[1], window)]
    inside = [(a, b) for a in range(window) for b in range(window)]
    pairs = [(t, p) for p in inside for t in tops] if across else [(t, p) for t in tops for p in inside]
    return np.array([[(t[i] + p[i] + shift[i]) % full[i] for i in (0, 1)] for t, p in pairs])


def partition(x: Array, window: int, shift: Pair, *, across: bool = False) -> Array:
    """x [batch, H, W, C] with zeros below and to the right, its pixels in the order of `places`."""
    height, width = x.shape[1:3]
    at = places((height, width), window, shift, across=across)
    padded = jnp.pad(x, ((0, 0), (0, -height % window), (0, -width % window), (0, 0)))
    return padded[:, at[:, 0], at[:, 1]]


def merge(x: Array, size: Pair, window: int, shift: Pair, *, across: bool = False) -> Array:
    """Each token put back at its place."""
    at = places(size, window, shift, across=across)
    full = tuple(-(-n // window) * window for n in size)
    image = jnp.zeros((x.shape[0], *full, x.shape[2])).at[:, at[:, 0], at[:, 1]].set(x)
    return image[:, : size[0], : size[1]]


def window_attention(layer: WindowAttention, params: Tensors, state: Tensors, x: Array, training: bool) -> Array:
    """x [batch, windows w², 3 H d], window by window."""
    w, heads, shift = layer.window, layer.heads, pair(layer.shift)
    size, square = (layer.rows * w, layer.columns * w), w * w
    count = layer.rows * layer.columns
    inside = np.array([(a, b) for a in range(w) for b in range(w)])
    apart = inside[:, None] - inside[None] + w - 1
    bias = params["table"][apart[..., 0] * (2 * w - 1) + apart[..., 1]]  # [t, s, H]
    # where each pixel was before the shift: in the wrapped strip of an axis or not
    at = places(size, w, shift, across=False).reshape(count, square, 2)
    wrapped = np.stack([at[..., i] < shift[i] for i in (0, 1)], axis=-1)
    outs = []
    kept = jnp.ones((x.shape[0] * count, heads, square, square))
    if training and layer.dropout:
        kept = mask(state, kept.shape, layer.dropout) / (1 - layer.dropout)
    kept = jnp.reshape(kept, (x.shape[0], count, heads, square, square))
    for i in range(count):
        q, k, v = jnp.split(x[:, i * square : (i + 1) * square], 3, axis=-1)
        torn = np.any(wrapped[i, :, None] != wrapped[i, None], axis=-1)
        each = []
        for head in range(heads):
            qh, kh, vh = (jnp.split(part, heads, axis=-1)[head] for part in (q, k, v))
            scores = qh @ jnp.swapaxes(kh, 1, 2) / jnp.sqrt(qh.shape[2]) + bias[..., head] - 100.0 * torn
            each.append((jax.nn.softmax(scores, axis=-1) * kept[:, i, head]) @ vh)
        outs.append(jnp.concatenate(each, axis=-1))
    return jnp.concatenate(outs, axis=1)


def gathered(x: Array) -> Array:
    """torchvision's _patch_merging_pad: [batch, H, W, C] -> [batch, H / 2, W / 2, 4 C]."""
    x = jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
    return jnp.concatenate([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], axis=-1)


def _partition(layer: WindowPartition, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return partition(x, layer.window, pair(layer.shift), across=layer.across), {}


def _merge(layer: WindowMerge, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return merge(x, (layer.height, layer.width), layer.window, pair(layer.shift), across=layer.across), {}


def _window_attention(layer: WindowAttention, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return window_attention(layer, params, state, x, training), {}


def _space_to_depth(layer: SpaceToDepth, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    n = layer.block
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % n), (0, -x.shape[2] % n), (0, 0)))
    return jnp.concatenate([x[:, i::n, j::n] for j in range(n) for i in range(n)], axis=-1), {}


def _stage(layer: SwinStage, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    size, w = (x.shape[1], x.shape[2]), layer.window
    down, along = (-(-n // w) for n in size)
    for index, rate in enumerate(path_rates(layer)):
        half = w // 2 if index % 2 else 0
        shift = (half if down > 1 else 0, half if along > 1 else 0)
        p, s = (under(t, f"block{index}.attention.body") for t in (params, state))
        h = partition(layer_norm(x, under(p, "norm"), epsilon=layer.epsilon), w, shift)
        inner = WindowAttention(layer.heads, w, down, along, shift, layer.attention_dropout)
        h = window_attention(inner, under(p, "attend"), under(s, "attend"), linear(p, "qkv", h), training)
        h = dropout(under(s, "dropout"), linear(p, "out", h), layer.dropout, training)
        x = x + drop_path(under(s, "droppath"), merge(h, size, w, shift), rate, training)
        p, s = (under(t, f"block{index}.mlp.body") for t in (params, state))
        h = layer_norm(x, under(p, "norm"), epsilon=layer.epsilon)
        h = jnp.reshape(h, (x.shape[0], -1, x.shape[3]))
        h = mlp(p, s, h, activation=layer.activation, rate=layer.dropout, training=training)
        x = x + drop_path(under(s, "droppath"), jnp.reshape(h, x.shape), rate, training)
    return x, {}


def _patch_merging(layer: PatchMerging, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return layer_norm(gathered(x), under(params, "norm"), epsilon=layer.epsilon) @ params["reduce.kernel"], {}


REFERENCES = (
    Reference(
        "windowPartition",
        _partition,
        (
            Case("plain", WindowPartition(2), (4, 6, 3)),
            Case("shift", WindowPartition(3, 1), (6, 6, 2)),
            Case("shift-one-axis", WindowPartition(2, (0, 1)), (2, 4, 2)),
            Case("filled-up", WindowPartition(3, (1, 2)), (4, 5, 2)),
            Case("one-pixel", WindowPartition(2), (1, 1, 3), batch=1),
            Case("across", WindowPartition(2, across=True), (4, 6, 2)),
            Case("across-shift", WindowPartition(2, 1, across=True), (4, 4, 1)),
            Case("windows-of-one", WindowPartition(1), (2, 3, 2)),
        ),
        (
            BadCase(WindowPartition(0), (4, 4, 3), "window wants a positive integer, got 0"),
            BadCase(WindowPartition(2, 2), (4, 4, 3), "shift wants numbers from 0 to window - 1 = 1, got 2"),
            BadCase(WindowPartition(2), (16, 3), "wants [batch, H, W, C], got [batch, 16, 3]"),
            BadCase(WindowPartition(2, across=True), (4, 5, 3), "wants sides that are multiples of 2"),
        ),
    ),
    Reference(
        "windowMerge",
        _merge,
        (
            Case("plain", WindowMerge(4, 6, 2), (24, 3)),
            Case("cut-off", WindowMerge(4, 5, 3, (1, 2)), (36, 2)),
            Case("across", WindowMerge(4, 6, 2, across=True), (24, 2)),
            Case("batch-1", WindowMerge(3, 4, 2, 1), (16, 2), batch=1),
            Case("there-and-back", Chain((WindowPartition(3, 1), WindowMerge(5, 4, 3, 1))), (5, 4, 2)),
        ),
        (
            BadCase(WindowMerge(4, 4, 2), (15, 3), "wants 16 tokens, got [batch, 15, 3]"),
            BadCase(WindowMerge(0, 4, 2), (16, 3), "height wants a positive integer, got 0"),
            BadCase(WindowMerge(4, 4, 2, -1), (16, 3), "shift wants numbers from 0 to window - 1 = 1, got -1"),
        ),
    ),
    Reference(
        "windowAttention",
        _window_attention,
        (
            Case("plain", WindowAttention(1, 2, 1, 2), (8, 6)),
            Case("heads", WindowAttention(2, 2, 1, 1), (4, 12)),
            Case("one-token", WindowAttention(2, 1, 2, 1), (2, 6), batch=1),
            Case("three-wide", WindowAttention(1, 3, 1, 1), (9, 3)),
            Case("shift", WindowAttention(1, 2, 2, 2, 1), (16, 3)),
            Case("shift-oblong", WindowAttention(1, 3, 1, 2, (0, 2)), (18, 3), batch=1),
            Case("shift-down", WindowAttention(1, 3, 2, 1, (1, 0)), (18, 3), batch=1),
            Case("dropout", WindowAttention(2, 2, 1, 2, dropout=0.3), (8, 6)),
            Case("evaluation", WindowAttention(1, 2, 1, 2, 1, dropout=0.3), (8, 3), training=False),
        ),
        (
            BadCase(WindowAttention(2, 2, 1, 2), (8, 9), "wants a multiple of 3 x 2 channels, one share for each head"),
            BadCase(WindowAttention(1, 2, 1, 2), (9, 6), "wants 8 tokens, got [batch, 9, 6]"),
            BadCase(WindowAttention(1, 2, 0, 2), (8, 6), "rows wants a positive integer, got 0"),
            BadCase(WindowAttention(1, 2, 1, 2, 2), (8, 6), "shift wants numbers from 0 to window - 1 = 1, got 2"),
        ),
    ),
    Reference(
        "spaceToDepth",
        _space_to_depth,
        (
            Case("two", SpaceToDepth(), (4, 6, 2)),
            Case("three", SpaceToDepth(3), (3, 6, 1)),
            Case("odd", SpaceToDepth(), (3, 5, 2)),
            Case("one", SpaceToDepth(1), (2, 2, 3), batch=1),
        ),
        (
            BadCase(SpaceToDepth(0), (4, 4, 3), "block wants a positive integer, got 0"),
            BadCase(SpaceToDepth(), (4, 3), "wants [batch, H, W, C], got [batch, 4, 3]"),
        ),
    ),
    Reference(
        "swinStage",
        _stage,
        (
            Case("plain", SwinStage(1, 1, 2), (2, 4, 3)),
            Case("shifted", SwinStage(2, 2, 2, mlp_ratio=1.5), (4, 4, 4)),
            Case("shifted-one-axis", SwinStage(1, 2, 2, mlp_ratio=1.0), (2, 4, 3)),
            Case("filled-up", SwinStage(1, 2, 2, mlp_ratio=1.0, activation="swish"), (3, 3, 3)),
            Case("one-window", SwinStage(2, 1, 3, epsilon=0.1), (2, 3, 2), batch=1),
            Case(
                "drawing",
                SwinStage(1, 2, 2, 1.0, dropout=0.2, attention_dropout=0.2, drop_path=(0.2, 0.4)),
                (2, 4, 3),
            ),
            Case("evaluation", SwinStage(1, 1, 2, dropout=0.2, drop_path=0.4), (2, 2, 3), training=False),
        ),
        (
            BadCase(SwinStage(0), (4, 4, 3), "heads wants a positive integer, got 0"),
            BadCase(SwinStage(2), (4, 4, 3), "wants a multiple of heads=2 channels"),
            BadCase(SwinStage(1, 0), (4, 4, 3), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(SwinStage(1, mlp_ratio=0.0), (4, 4, 3), "mlp_ratio wants a positive number up to 10000, got 0.0"),
            BadCase(SwinStage(1, drop_path=1.0), (4, 4, 3), "drop_path wants numbers in [0, 1), got 1.0"),
            BadCase(SwinStage(1), (16, 3), "wants [batch, H, W, C], got [batch, 16, 3]"),
        ),
    ),
    Reference(
        "patchMerging",
        _patch_merging,
        (
            Case("plain", PatchMerging(), (4, 6, 2)),
            Case("odd", PatchMerging(), (3, 5, 2)),
            Case("features", PatchMerging(3, epsilon=0.1), (2, 2, 2)),
            Case("one-pixel", PatchMerging(), (1, 1, 2), batch=1),
        ),
        (
            BadCase(PatchMerging(0), (4, 4, 3), "features wants a positive integer, got 0"),
            BadCase(PatchMerging(), (16, 3), "wants [batch, H, W, C], got [batch, 16, 3]"),
        ),
    ),
)
