"""Attention: how queries, keys and values come out of what a layer is given, and the output goes back.

Heads come before tokens by one transpose of each. What is done with them is in softmax_attention.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from netc.codegen.builder import Builder
from netc.codegen.documents import places
from netc.codegen.ir import Value
from netc.codegen.layers.norm import rms_standardised
from netc.codegen.layers.softmax_attention import (
    LONG,
    Attention,
    Pulled,
    Three,
    causal_attention,
    dense_attention,
    seen_alone,
    tiled_attention,
)
from netc.codegen.layers.tokens import row_at, some_tokens
from netc.codegen.rules import Emitted, Grads, Scope, decoding_rule, no_pull, rule
from netc.netspec.errors import UserError
from netc.netspec.layers.attention import LLAMA_SCALING, QK_EPSILON, CrossAttend, SelfAttention
from netc.netspec.types import TensorType


def heads_first(b: Builder, x: Value, heads: int, groups: int = 1) -> Value:
    """[B, G T, H d] -> [B G, H, T, d]."""
    batch, tokens, width = x.shape
    apart = b.reshape(x, (batch * groups, tokens // groups, heads, width // heads))
    return b.transpose(apart, (0, 2, 1, 3))


def heads_last(b: Builder, x: Value, groups: int = 1) -> Value:
    """The inverse of heads_first."""
    n, heads, tokens, width = x.shape
    return b.reshape(b.transpose(x, (0, 2, 1, 3)), (n // groups, groups * tokens, heads * width))


def split_heads(b: Builder, x: Value, heads: int, groups: int, kv_heads: int | None = None) -> Three:
    """[B, G T, (H + 2 K) d] -> q [B G, H, T, d], and k and v [B G, K, T, d]; K is H unless `kv_heads` is given."""
    batch, tokens, width = x.shape
    shares = (heads, kv_heads or heads, kv_heads or heads)
    d = width // sum(shares)
    edges = [0, *(d * share for share in accumulate(shares))]
    parts = (b.slice(x, (0, 0, start), (batch, tokens, stop)) for start, stop in pairwise(edges))
    q, k, v = (heads_first(b, part, share, groups) for part, share in zip(parts, shares, strict=True))
    return q, k, v


def join_heads(b: Builder, three: Three, groups: int) -> Value:
    """The inverse of split_heads."""
    return b.concatenate([heads_last(b, x, groups) for x in three], 2)


def scale_of(q: Value) -> float:
    """1 / sqrt(d)."""
    return 1 / math.sqrt(q.shape[-1])


@dataclass(frozen=True)
class _Prepared:
    """Queries and keys as the scores take them, from those of the input: normalised, turned, q with its factor.

    `pull` (dq, dk, dv) -> those of the input.
    """

    q: Value
    k: Value
    v: Value
    pull: Callable[[Three], Three]


def _prepared(b: Builder, layer: SelfAttention, x: Value, turns: Callable[[Value], tuple[Value, Value]]) -> _Prepared:
    """`turns` (like) -> cos and sin of the angles of rope, [T, d/2]."""
    q, k, v = split_heads(b, x, layer.heads, layer.groups, layer.kv_heads)
    factor = scale_of(q)
    (qn, q_back), (kn, k_back) = (_normalised(b, each, layer.qk_norm) for each in (q, k))
    cos, sin = turns(q) if layer.rope else (None, None)
    qr, kr = _turned(b, qn, cos, sin), _turned(b, kn, cos, sin)

    def pull(three: Three) -> Three:
        dq, dk, dv = three
        back = None if sin is None else b.unary("neg", sin)  # the adjoint of a turn is the turn back
        dq = q_back(_turned(b, b.mul(dq, factor), cos, back))
        return dq, k_back(_turned(b, dk, cos, back)), dv

    return _Prepared(b.mul(qr, factor), kr, v, pull)


def _normalised(b: Builder, x: Value, wanted: bool) -> tuple[Value, Callable[[Value], Value]]:
    """x / sqrt(mean(x²) + epsilon) over the last axis, and its pullback; x itself where it is not wanted."""
    if not wanted:
        return x, lambda dy: dy
    return rms_standardised(b, x, QK_EPSILON)


def _repeated(b: Builder, x: Value, heads: int) -> Value:
    """[N, K, T, d] -> [N, H, T, d]: each head of keys or values for H / K heads of queries in a row."""
    n, few, tokens, width = x.shape
    if few == heads:
        return x
    wide = TensorType((n, few, heads // few, tokens, width), x.type.dtype)
    return b.reshape(b.broadcast(x, wide, (0, 1, 3, 4)), (n, heads, tokens, width))


def _shared(b: Builder, dx: Value, few: int) -> Value:
    """The adjoint of _repeated: the sum over the heads that share one."""
    n, heads, tokens, width = dx.shape
    if few == heads:
        return dx
    return b.sum(b.reshape(dx, (n, few, heads // few, tokens, width)), (2,))


def _attended(b: Builder, layer: SelfAttention, q: Value, k: Value, v: Value, how: Attention) -> tuple[Value, Pulled]:
    k, v = _repeated(b, k, layer.heads), _repeated(b, v, layer.heads)
    if layer.tile:
        return tiled_attention(b, q, k, v, how, layer.tile)
    if how.causal and q.shape[2] >= LONG:
        return causal_attention(b, q, k, v, how)
    return dense_attention(b, q, k, v, how)


@rule(SelfAttention, apart=True)
def emit_self_attention(b: Builder, layer: SelfAttention, scope: Scope, x: Value) -> Emitted:
    """y = softmax(q kᵀ / sqrt d) v for each head."""
    tokens = x.shape[1] // layer.groups
    _refuse_documents(layer, scope)
    at = _prepared(b, layer, x, lambda like: _own_turns(b, layer, scope, tokens, like))
    rate = layer.dropout if scope.training else 0.0
    how = Attention(tokens, layer.causal, rate, scope.key, scope.stream, layer.window, scope.begins)
    o, pull = _attended(b, layer, at.q, at.k, at.v, how)

    def self_attention_pull(dy: Value) -> tuple[Value, Grads]:
        (dq, dk, dv), _ = pull(heads_first(b, dy, layer.heads, layer.groups))
        few = at.k.shape[1]
        return join_heads(b, at.pull((dq, _shared(b, dk, few), _shared(b, dv, few))), layer.groups), {}

    return Emitted(heads_last(b, o, layer.groups), self_attention_pull)


def _refuse_documents(layer: SelfAttention, scope: Scope) -> None:
    """Raise UserError where documents are to be kept apart and the layer looks at later tokens, or sees an image."""
    if scope.begins is not None and (not layer.causal or layer.groups > 1 or layer.rope_grid is not None):
        raise UserError(
            f"`document_mask` wants causal attention in one group, got {layer.label()} ({scope.prefix.rstrip('.')}); "
            "leave `document_mask` out"
        )


def _own_turns(b: Builder, layer: SelfAttention, scope: Scope, tokens: int, like: Value) -> tuple[Value, Value]:
    """cos and sin [T, d/2], or [B, T, d/2] where each document has places of its own."""
    cos, sin = _turns(b, layer, tokens, like)
    if scope.begins is None:
        return cos, sin
    at = places(b, scope)
    return b.op("take", cos, at), b.op("take", sin, at)


@decoding_rule(SelfAttention)
def decode_self_attention(b: Builder, layer: SelfAttention, scope: Scope, x: Value) -> Emitted:
    """The same, with the turned keys and the values of the context [B, K, T, d] as state; one token attends to those.

    Raises UserError unless the attention is causal and in one group.
    """
    at = scope.decoding
    assert at is not None
    if not layer.causal or layer.groups > 1:
        raise UserError(
            f"a sampler wants causal attention in one group, got {layer.label()} ({scope.prefix.rstrip('.')}), which "
            "looks at later tokens; set causal"
        )
    tokens = x.shape[1] if at.whole else scope.running("keys").shape[2]

    def turns(like: Value) -> tuple[Value, Value]:
        cos, sin = _own_turns(b, layer, scope, tokens, like)
        apart = scope.begins is not None
        return (cos, sin) if at.whole or apart else (row_at(b, cos, at.position), row_at(b, sin, at.position))

    found = _prepared(b, layer, x, turns)
    k, v = found.k, found.v
    if at.whole:
        how = Attention(tokens, causal=True, window=layer.window, begins=scope.begins)
        o, _ = _attended(b, layer, found.q, k, v, how)
        k, v = (b.pad(each, (0, 0, 0, 0), (0, 0, at.context - tokens, 0)) for each in (k, v))
    else:
        k, v = (b.update(scope.running(name), new, 2, at.position) for name, new in (("keys", k), ("values", v)))
        all_k, all_v = _repeated(b, k, layer.heads), _repeated(b, v, layer.heads)

        def known(s: Value) -> Value:
            begin = scope.begins and b.broadcast(scope.begins, TensorType(s.shape, "i32"), (0, 2))
            return seen_alone(b, s, _spread(b, at.position, s), b.iota(3, s.shape), layer.window, begin)

        o, _ = dense_attention(b, found.q, all_k, all_v, Attention(tokens), known)
    return Emitted(heads_last(b, o), no_pull, {"keys": k, "values": v})


def _spread(b: Builder, position: Value, like: Value) -> Value:
    """A scalar i32 as a tensor of that shape."""
    return b.broadcast(position, TensorType(like.shape, position.type.dtype), ())


def _turned(b: Builder, x: Value, cos: Value | None, sin: Value | None) -> Value:
    """Each plane (i, i + d/2) of [N, H, T, d] turned by its angle: (u, w) -> (u cos - w sin, w cos + u sin)."""
    if cos is None or sin is None:
        return x
    half = x.shape[3] // 2
    u = b.slice(x, (0, 0, 0, 0), (*x.shape[:3], half))
    w = b.slice(x, (0, 0, 0, half), x.shape)
    c, s = (b.broadcast(table, u, (0, 2, 3)[-len(table.shape) :]) for table in (cos, sin))
    return b.concatenate([b.sub(b.mul(u, c), b.mul(w, s)), b.add(b.mul(w, c), b.mul(u, s))], 3)


def _turns(b: Builder, layer: SelfAttention, tokens: int, like: Value) -> tuple[Value, Value]:
    """cos and sin [T, d/2] of the angles t / base^(2i/d), scaled.

    t = n a + c: two small tables, of the n a and of the c, give all by the sums of angles, so that the text of a long
    sequence stays short.
    """
    width = like.shape[3]
    if layer.rope_grid is not None:
        return _turns_of_places(b, layer, layer.rope_grid, tokens, like)
    half = width // 2
    speeds = [_scaled(layer.rope_base ** (-2 * i / width), layer.rope_scaling) for i in range(half)]
    n = math.isqrt(tokens - 1) + 1
    steps = -(-tokens // n)
    shape = TensorType((steps, n, half), like.type.dtype)

    def table(function: Callable[[float], float], places: range, axis: int) -> Value:
        values = tuple(function(t * w) for t in places for w in speeds)
        return b.broadcast(b.constant(values, TensorType((len(places), half), shape.dtype)), shape, (axis, 2))

    far, near = range(0, steps * n, n), range(n)
    ca, sa = table(math.cos, far, 0), table(math.sin, far, 0)
    cc, sc = table(math.cos, near, 1), table(math.sin, near, 1)
    cos = b.sub(b.mul(ca, cc), b.mul(sa, sc))  # cos(a + c) = cos a cos c - sin a sin c
    sin = b.add(b.mul(sa, cc), b.mul(ca, sc))  # sin(a + c) = sin a cos c + cos a sin c
    first, second = (b.slice(b.reshape(v, (steps * n, half)), (0, 0), (tokens, half)) for v in (cos, sin))
    return first, second


def _scaled(speed: float, scaling: tuple[float, ...]) -> float:
    """The angle of one place, as netspec's `rope_scaling` changes it."""
    if len(scaling) < LLAMA_SCALING:
        return speed / scaling[0] if scaling else speed
    factor, low, high, context = scaling
    turns = context * speed / math.tau  # in the old context: T / period
    kept = min(max((turns - low) / (high - low), 0.0), 1.0)
    return kept * speed + (1 - kept) * speed / factor


def _turns_of_places(
    b: Builder, layer: SelfAttention, grid: tuple[int, int], tokens: int, like: Value
) -> tuple[Value, Value]:
    """cos and sin [T, d/2] where the last tokens are places of an image: d/4 planes by the row, d/4 by the column."""
    quarter, (rows, columns) = like.shape[3] // 4, grid
    speeds = [layer.rope_base ** (-i / quarter) for i in range(quarter)]
    shape = TensorType((rows, columns, quarter), like.type.dtype)
    before = TensorType((tokens - rows * columns, 2 * quarter), like.type.dtype)

    def table(function: Callable[[float], float]) -> Value:
        halves = []
        for axis, count in enumerate(grid):
            values = tuple(function(t * w) for t in range(count) for w in speeds)
            own = b.constant(values, TensorType((count, quarter), shape.dtype))
            halves.append(b.broadcast(own, shape, (axis, 2)))
        image = b.reshape(b.concatenate(halves, 2), (rows * columns, 2 * quarter))
        return b.concatenate([b.constant(function(0.0), before), image], 0) if before.size else image

    return table(math.cos), table(math.sin)


@rule(CrossAttend)
def emit_cross_attend(b: Builder, layer: CrossAttend, scope: Scope, x: Value) -> Emitted:
    """y = softmax(q kᵀ / sqrt d) v for each head; q, k and v are the first tokens, the next, the last."""
    tokens = x.shape[1]
    keys = (tokens - layer.queries) // 2
    cuts = (0, layer.queries, layer.queries + keys, tokens)
    q, k, v = (heads_first(b, some_tokens(b, x, i, j), layer.heads) for i, j in pairwise(cuts))
    factor = scale_of(q)
    rate = layer.dropout if scope.training else 0.0
    o, pull = dense_attention(b, b.mul(q, factor), k, v, Attention(keys, False, rate, scope.key, scope.stream))

    def cross_attend_pull(dy: Value) -> tuple[Value, Grads]:
        (dq, dk, dv), _ = pull(heads_first(b, dy, layer.heads))
        return b.concatenate([heads_last(b, part) for part in (b.mul(dq, factor), dk, dv)], 1), {}

    return Emitted(heads_last(b, o), cross_attend_pull)
