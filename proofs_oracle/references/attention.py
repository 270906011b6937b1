"""Attention in JAX: one head and one group at a time, the probabilities written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from netc.netspec.layers import Chain, CrossAttend, CrossAttention, Dense, MultiHeadAttention, SelfAttention
from netc.proofs_oracle.reference import DOCUMENTS, BadCase, Case, Reference, under
from netc.proofs_oracle.references.documents import places, together
from netc.proofs_oracle.references.stochastic import dropout, mask

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def scaled(speeds: Array, scaling: tuple[float, ...]) -> Array:
    """Chen et al. 2023, eq. 4, of one number; the three ranges of wavelengths of Llama 3.1 of four."""
    if not scaling:
        return speeds
    slow = speeds / scaling[0]
    if len(scaling) == 1:
        return slow
    _, low, high, context = scaling
    wavelengths = 2 * jnp.pi / speeds
    smooth = (context / wavelengths - low) / (high - low)
    between = (1 - smooth) * slow + smooth * speeds
    return jnp.where(wavelengths > context / low, slow, jnp.where(wavelengths < context / high, speeds, between))


def turned(x: Array, base: float, scaling: tuple[float, ...] = (), at: Array | None = None) -> Array:
    """Su et al. 2021, eq. 34, x [batch, T, d]: the numbers x[i] + j x[i + d/2] times exp(j t / base^(2i/d)).

    The places t are 0, 1, .., or `at` [T] or [batch, T].
    """
    half = x.shape[2] // 2
    speeds = scaled(base ** (-2 * jnp.arange(half) / x.shape[2]), scaling)
    angles = (jnp.arange(x.shape[1]) if at is None else at)[..., None] * speeds
    z = (x[..., :half] + 1j * x[..., half:]) * jnp.exp(1j * angles)
    return jnp.concatenate([z.real, z.imag], axis=-1)


def turned_by_place(x: Array, base: float, grid: tuple[int, int]) -> Array:
    """x [batch, T, d], the last tokens places of an image: pairs (i, i + d/2), the first half of them by the row."""
    rows, columns = grid
    before = x.shape[1] - rows * columns
    row, column = jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij")
    angles = []
    for place in (row, column):
        at = jnp.concatenate([jnp.zeros(before), place.reshape(-1)])
        angles.append(at[:, None] / base ** (2 * jnp.arange(x.shape[2] // 4) / (x.shape[2] // 2)))
    first, second = jnp.split(x, 2, axis=2)
    z = (first + 1j * second) * jnp.exp(1j * jnp.concatenate(angles, axis=1))
    return jnp.concatenate([z.real, z.imag], axis=-1)


def probabilities(
    q: Array, k: Array, *, causal: bool = False, window: int = 0, bias: Array | float = 0.0, seen: Array | bool = True
) -> Array:
    """softmax(q kᵀ / sqrt d + bias) [batch, T, S] of q [batch, T, d] and k [batch, S, d].

    causal leaves out s > t, and a window w also s <= t - w; what is not `seen` is left out too.
    """
    scores = q @ jnp.swapaxes(k, 1, 2) / jnp.sqrt(q.shape[2]) + bias
    if causal:
        seen &= jnp.tri(q.shape[1], k.shape[1], dtype=bool)
        if window:
            seen &= ~jnp.tri(q.shape[1], k.shape[1], -window, dtype=bool)
        scores = jnp.where(seen, scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1)


def _kept(state: Tensors, shape: tuple[int, int, int, int], rate: float, training: bool) -> Array:
    """The factors of dropout for [N, H, T, S]."""
    return mask(state, shape, rate) / (1 - rate) if training and rate else jnp.ones(shape)


def self_attention(layer: SelfAttention, state: Tensors, x: Array, training: bool) -> Array:
    """x [batch, T, (H + 2 K) d], each group by itself; the mask is drawn over [batch G, H, T / G, T / G].

    Head h takes the keys and values of head h K / H (Ainslie et al. 2023, figure 2).
    """
    batch, heads, groups = x.shape[0], layer.heads, layer.groups
    runs = jnp.reshape(x, (batch * groups, x.shape[1] // groups, x.shape[2]))
    tokens = runs.shape[1]
    kept = _kept(state, (batch * groups, heads, tokens, tokens), layer.dropout, training)
    few = layer.kv_heads or heads
    parts = jnp.split(runs, heads + 2 * few, axis=-1)
    outs = []
    for head in range(heads):
        own = head * few // heads
        qh, kh, vh = parts[head], parts[heads + own], parts[heads + few + own]
        if layer.qk_norm:
            qh, kh = (part / jnp.sqrt(jnp.mean(part**2, axis=-1, keepdims=True) + 1e-6) for part in (qh, kh))
        if layer.rope_grid:
            qh, kh = (turned_by_place(part, layer.rope_base, layer.rope_grid) for part in (qh, kh))
        elif layer.rope:
            at = places(state, tokens)
            qh, kh = (turned(part, layer.rope_base, layer.rope_scaling, at) for part in (qh, kh))
        seen = together(state) if DOCUMENTS in state else True
        p = probabilities(qh, kh, causal=layer.causal, window=layer.window, seen=seen)
        outs.append((p * kept[:, head]) @ vh)
    return jnp.reshape(jnp.concatenate(outs, axis=-1), (batch, x.shape[1], -1))


def cross_attend(layer: CrossAttend, state: Tensors, x: Array, training: bool) -> Array:
    """x [batch, Q + 2 S, H d]."""
    heads, keys = layer.heads, (x.shape[1] - layer.queries) // 2
    q, k, v = jnp.split(x, [layer.queries, layer.queries + keys], axis=1)
    kept = _kept(state, (x.shape[0], heads, layer.queries, keys), layer.dropout, training)
    outs = []
    for head in range(heads):
        qh, kh, vh = (jnp.split(part, heads, axis=-1)[head] for part in (q, k, v))
        outs.append((probabilities(qh, kh) * kept[:, head]) @ vh)
    return jnp.concatenate(outs, axis=-1)


def linear(params: Tensors, name: str, x: Array) -> Array:
    """x w + b over the last axis, for the dense layer of that name."""
    own = under(params, name)
    return x @ own["kernel"] + own.get("bias", 0.0)


def multi_head(layer: MultiHeadAttention, params: Tensors, state: Tensors, x: Array, training: bool) -> Array:
    """Vaswani et al. 2017, section 3.2.2, x [batch, T, D]."""
    inner = SelfAttention(
        layer.heads, causal=layer.causal, rope=layer.rope, dropout=layer.attention_dropout, groups=layer.groups,
        kv_heads=layer.kv_heads, rope_base=layer.rope_base, qk_norm=layer.qk_norm, window=layer.window,
        rope_scaling=layer.rope_scaling,
    )  # fmt: skip
    o = self_attention(inner, under(state, "attend"), linear(params, "qkv", x), training)
    return dropout(under(state, "dropout"), linear(params, "out", o), layer.dropout, training)


def cross(layer: CrossAttention, params: Tensors, state: Tensors, x: Array, training: bool) -> Array:
    """Vaswani et al. 2017, section 3.2.3, x [batch, Q + S, D]."""
    q = linear(params, "in.body", x[:, : layer.queries])
    k, v = jnp.split(linear(params, "in.rest.kv", x[:, layer.queries :]), 2, axis=-1)
    inner = CrossAttend(layer.heads, layer.queries, layer.attention_dropout)
    o = cross_attend(inner, under(state, "attend"), jnp.concatenate([q, k, v], axis=1), training)
    return dropout(under(state, "dropout"), linear(params, "out", o), layer.dropout, training)


def _self_attention(layer: SelfAttention, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return self_attention(layer, state, x, training), {}


def _cross_attend(layer: CrossAttend, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return cross_attend(layer, state, x, training), {}


def _multi_head(layer: MultiHeadAttention, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return multi_head(layer, params, state, x, training), {}


def _cross(layer: CrossAttention, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return cross(layer, params, state, x, training), {}


REFERENCES = (
    Reference(
        "selfAttention",
        _self_attention,
        (
            Case("one-head", SelfAttention(1), (4, 9)),
            Case("heads", SelfAttention(2), (5, 12)),
            Case("one-token", SelfAttention(2), (1, 6), batch=1),
            Case("one-channel", SelfAttention(2), (3, 6)),
            Case("causal", SelfAttention(2, causal=True), (5, 12)),
            Case("rope", SelfAttention(1, rope=True), (5, 18)),
            Case("rope-causal-long", SelfAttention(1, causal=True, rope=True), (11, 12), batch=1),
            Case("rope-one-token", SelfAttention(1, rope=True), (1, 6)),
            Case("groups", SelfAttention(2, groups=3), (6, 12)),
            Case("groups-causal-rope", SelfAttention(1, causal=True, rope=True, groups=2), (6, 12)),
            Case("groups-of-one", SelfAttention(1, groups=4), (4, 3)),
            Case("tiles", SelfAttention(2, tile=2), (6, 12)),
            Case("tiles-rest", SelfAttention(2, tile=2), (5, 12)),
            Case("tiles-of-one", SelfAttention(1, tile=1), (3, 6)),
            Case("one-tile", SelfAttention(1, tile=8), (3, 6)),
            Case("tiles-causal", SelfAttention(2, causal=True, tile=3), (7, 12)),
            Case("tiles-rope-groups", SelfAttention(1, rope=True, tile=2, groups=2), (6, 12)),
            Case("dropout", SelfAttention(2, dropout=0.4), (4, 6)),
            Case("dropout-causal-groups", SelfAttention(2, causal=True, dropout=0.4, groups=2), (6, 6)),
            Case("dropout-tiles", SelfAttention(2, tile=2, dropout=0.4), (5, 6)),
            Case("dropout-in-a-chain", Chain((Dense(6), SelfAttention(1, dropout=0.3, name="a"), Dense(3))), (4, 2)),
            Case("equal-scores", SelfAttention(2), (4, 6), draw="constant"),
            Case("integers", SelfAttention(1, tile=2), (5, 6), draw="ties"),
            Case("one-wins", SelfAttention(2), (4, 6), draw="kinks"),
            Case("one-wins-tiles", SelfAttention(2, causal=True, tile=2), (5, 6), draw="kinks"),
            Case("evaluation", SelfAttention(2, dropout=0.4), (4, 6), training=False),
            Case("shared-keys", SelfAttention(4, kv_heads=2), (5, 16)),
            Case("one-key-head", SelfAttention(3, kv_heads=1, causal=True, rope=True), (5, 10)),
            Case("shared-keys-tiles-groups", SelfAttention(2, kv_heads=1, tile=2, groups=2), (6, 8)),
            Case("shared-keys-dropout", SelfAttention(2, kv_heads=1, dropout=0.4), (4, 8)),
            Case("rope-base", SelfAttention(1, rope=True, rope_base=50.0), (5, 12)),
            Case("rope-interpolated", SelfAttention(1, rope=True, rope_scaling=(4.0,)), (5, 12)),
            # of 8 angles of base 50 and old context 16, some have each of the three ranges of periods
            Case(
                "rope-llama3",
                SelfAttention(1, causal=True, rope=True, rope_base=50.0, rope_scaling=(8.0, 1.0, 2.0, 16.0)),
                (6, 48),
            ),
            Case("normalised", SelfAttention(2, qk_norm=True), (4, 12)),
            Case("normalised-rope-shared", SelfAttention(2, causal=True, rope=True, qk_norm=True, kv_heads=1), (5, 16)),
            Case("window", SelfAttention(2, causal=True, window=2), (6, 12)),
            Case("window-of-one", SelfAttention(1, causal=True, window=1), (4, 6)),
            Case("window-tiles", SelfAttention(1, causal=True, window=3, tile=2), (7, 6)),
            Case("window-beyond", SelfAttention(1, causal=True, window=9), (4, 6)),
            Case("places-of-an-image", SelfAttention(2, rope=True, rope_grid=(2, 3)), (6, 24)),
            Case("text-and-image", SelfAttention(1, rope=True, rope_grid=(2, 2), rope_base=50.0), (6, 24), batch=1),
            Case("image-tiles", SelfAttention(1, rope=True, tile=2, rope_grid=(2, 2), qk_norm=True), (5, 12)),
        ),
        (
            BadCase(SelfAttention(4, kv_heads=3), (4, 40), "kv_heads wants a divisor of heads=4, got 3"),
            BadCase(
                SelfAttention(4, kv_heads=2), (4, 12), "wants a multiple of 4 + 2 x 2 channels, one share for each head"
            ),
            BadCase(SelfAttention(2, window=2), (4, 6), "or a number of tokens with causal, got 2"),
            BadCase(SelfAttention(2, rope_base=1.0), (4, 6), "rope_base wants a number above 1"),
            BadCase(
                SelfAttention(2, rope_scaling=(8.0, 1.0)), (4, 6), "rope_scaling wants one factor, or the factor, l"
            ),
            BadCase(SelfAttention(2, rope_scaling=(8.0, 4.0, 1.0, 64.0)), (4, 6), "below the high one, got 4 and 1"),
            BadCase(SelfAttention(1, rope_grid=(2, 2)), (4, 12), "rope_grid wants rows and columns, with rope and in"),
            BadCase(SelfAttention(1, rope=True, rope_grid=(2, 0)), (4, 12), "rope_grid wants rows and columns, with"),
            BadCase(SelfAttention(1, rope=True, rope_grid=(2, 2)), (4, 6), "wants heads of a multiple of 4 channels"),
            BadCase(SelfAttention(1, rope=True, rope_grid=(2, 3)), (4, 12), "wants at least 6 tokens, got [batch, 4"),
            BadCase(SelfAttention(0), (4, 6), "heads wants a positive integer, got 0"),
            BadCase(
                SelfAttention(2),
                (4, 9),
                "wants a multiple of 3 x 2 channels, one share for each head, got [batch, 4, 9]",
            ),
            BadCase(SelfAttention(1), (4, 4, 3), "wants [batch, T, D], got [batch, 4, 4, 3]; put spatialFlatten"),
            BadCase(SelfAttention(1, rope=True), (4, 9), "wants heads of an even width for rope, got 3"),
            BadCase(SelfAttention(1, tile=-1), (4, 9), "tile wants 0 (no tiles) or a number of tokens, got -1"),
            BadCase(SelfAttention(1, dropout=1.0), (4, 9), "dropout wants a number in [0, 1), got 1.0"),
            BadCase(SelfAttention(1, groups=3), (4, 9), "wants a multiple of groups=3 tokens, got [batch, 4, 9]"),
        ),
    ),
    Reference(
        "crossAttend",
        _cross_attend,
        (
            Case("plain", CrossAttend(2, 3), (11, 4)),
            Case("one-query", CrossAttend(1, 1), (7, 3)),
            Case("one-key", CrossAttend(2, 3), (5, 4), batch=1),
            Case("dropout", CrossAttend(2, 2, 0.3), (8, 2)),
            Case("evaluation", CrossAttend(2, 2, 0.3), (8, 2), training=False),
        ),
        (
            BadCase(CrossAttend(2, 0), (8, 4), "queries wants a positive integer, got 0"),
            BadCase(CrossAttend(2, 3), (8, 4), "wants 3 queries, then as many keys as values, got [batch, 8, 4]"),
            BadCase(CrossAttend(2, 8), (8, 4), "wants 8 queries, then as many keys as values, got [batch, 8, 4]"),
            BadCase(
                CrossAttend(3, 2), (8, 4), "wants a multiple of 3 channels, one share for each head, got [batch, 8, 4]"
            ),
        ),
    ),
    Reference(
        "multiHeadAttention",
        _multi_head,
        (
            Case("plain", MultiHeadAttention(2), (3, 4)),
            Case("biasless", MultiHeadAttention(2, bias=False), (3, 4)),
            Case("head-dim", MultiHeadAttention(2, head_dim=3), (3, 5)),
            Case("causal-rope", MultiHeadAttention(2, causal=True, rope=True), (5, 4)),
            Case("tiles", MultiHeadAttention(2, tile=2), (5, 4)),
            Case("batch-1", MultiHeadAttention(2), (3, 4), batch=1),
            Case("groups", MultiHeadAttention(1, groups=2), (4, 3)),
            Case("shared-keys", MultiHeadAttention(4, kv_heads=2, causal=True, rope=True, rope_base=100.0), (5, 8)),
            Case("rope-interpolated", MultiHeadAttention(1, rope=True, rope_scaling=(2.0,)), (5, 4)),
            Case("normalised-window", MultiHeadAttention(2, causal=True, qk_norm=True, window=2), (5, 4)),
            Case("dropouts", MultiHeadAttention(2, dropout=0.3, attention_dropout=0.2), (4, 4)),
            Case("evaluation", MultiHeadAttention(2, dropout=0.3, attention_dropout=0.2), (4, 4), training=False),
        ),
        (
            BadCase(MultiHeadAttention(3), (4, 4), "wants a multiple of heads=3 channels, got [batch, 4, 4]"),
            BadCase(MultiHeadAttention(0), (4, 4), "heads wants a positive integer, got 0"),
            BadCase(MultiHeadAttention(2, head_dim=0), (4, 4), "head_dim wants a positive integer, got 0"),
            BadCase(MultiHeadAttention(2, dropout=1.0), (4, 4), "dropout wants a number in [0, 1), got 1.0"),
            BadCase(MultiHeadAttention(2), (4, 4, 4), "wants [batch, T, D], got [batch, 4, 4, 4]"),
        ),
    ),
    Reference(
        "crossAttention",
        _cross,
        (
            Case("plain", CrossAttention(2, 2), (5, 4)),
            Case("biasless-head-dim", CrossAttention(1, 1, head_dim=3, bias=False), (4, 2)),
            Case("one-memory", CrossAttention(1, 3), (4, 2), batch=1),
            Case("dropouts", CrossAttention(2, 2, dropout=0.3, attention_dropout=0.2), (5, 4)),
            Case("evaluation", CrossAttention(2, 2, dropout=0.3), (5, 4), training=False),
        ),
        (
            BadCase(CrossAttention(3, 2), (5, 4), "wants a multiple of heads=3 channels, got [batch, 5, 4]"),
            BadCase(CrossAttention(2, 5), (5, 4), "wants more than 5 tokens, got [batch, 5, 4]"),
            BadCase(CrossAttention(2, 2, dropout=-0.1), (5, 4), "dropout wants a number in [0, 1), got -0.1"),
        ),
    ),
)
