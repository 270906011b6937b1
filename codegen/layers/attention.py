"""Attention, dense and by tiles.

Queries, keys and values are [N, H, T, d]; N counts the examples and, where tokens attend in groups, the groups of each.
q holds the factor 1 / sqrt(d). Heads come before tokens by one transpose of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.tokens import some_tokens
from netc.codegen.random import threefry
from netc.codegen.rules import Emitted, Grads, Scope, decoding_rule, no_pull, rule
from netc.netspec.errors import UserError
from netc.netspec.layers.attention import ROPE_BASE, CrossAttend, SelfAttention
from netc.netspec.types import TensorType

Three = tuple[Value, Value, Value]
PER_HEAD = ((0, 1), (0, 1))  # batch axes of a product of two [N, H, .., ..]


@dataclass(frozen=True)
class Scores:
    """Scores of all queries and the keys start .. start + keys, held as [N, H, T, keys], or [N, H, keys, T]."""

    start: int
    keys: int
    keys_first: bool = False

    @property
    def axes(self) -> tuple[int, int]:
        """The axes of (query, key)."""
        return (3, 2) if self.keys_first else (2, 3)

    def places(self, b: Builder, like: Value, dtype: str = "i32") -> tuple[Value, Value]:
        """(query, key) of each score, the key counted from the first of all."""
        query, key = (b.op("iota", dim=axis, shape=like.shape, dtype=dtype) for axis in self.axes)
        return query, b.add(key, self.start) if self.start else key


@dataclass(frozen=True)
class Attention:
    """What is done to the scores: the mask of what comes later, and elements left out.

    `keys` = S. The mask of element i, counted in [N, H, T, S], is the word of Threefry at counter (i, stream).
    """

    keys: int
    causal: bool = False
    rate: float = 0.0
    key: Value | None = None
    stream: int = 0

    def masked(self, b: Builder, s: Value, at: Scores) -> Value:
        """The scores, those of later keys at minus infinity."""
        if not self.causal:
            return s
        query, key = at.places(b, s)
        return b.select(b.compare("LE", key, query), s, -math.inf)

    def dropped(self, b: Builder, p: Value, at: Scores) -> Value:
        """m p / (1 - rate), m drawn by the element's index in [N, H, T, S]: the same mask whatever the tiles."""
        if not self.rate:
            return p
        assert self.key is not None  # the signature says that it draws
        query, key = at.places(b, p, "ui32")
        n, h = (b.op("iota", dim=axis, shape=p.shape, dtype="ui32") for axis in (0, 1))
        row = b.add(b.mul(b.add(b.mul(n, p.shape[1]), h), p.shape[at.axes[0]]), query)
        word, _ = threefry(b, self.key, b.add(b.mul(row, self.keys), key), b.constant(self.stream, row.type))
        kept = b.compare("GE", b.op("shr", word, b.constant(8, word.type)), round(self.rate * 2**24))
        return b.select(kept, b.mul(p, 1 / (1 - self.rate)), 0.0)


Pulled = Callable[[Value], tuple[Three, Value | None]]
Adds = Callable[[Value], Value]


def rows(b: Builder, r: Value, like: Value, keys_first: bool = False) -> Value:
    """One number for each query [N, H, T], repeated over the other axis of `like`, which is the last or the third."""
    return b.broadcast(r, like, (0, 1, 3) if keys_first else (0, 1, 2))


def dense_attention(
    b: Builder, q: Value, k: Value, v: Value, how: Attention, add: Adds | None = None
) -> tuple[Value, Pulled]:
    """o [N, H, T, d], and its pullback do -> ((dq, dk, dv), dscores [N, H, T, S]). `add` changes the scores first."""
    all_keys = Scores(0, k.shape[2])
    s = b.dot(q, k, (3, 3), PER_HEAD)
    s = how.masked(b, add(s) if add else s, all_keys)
    e = b.unary("exp", b.sub(s, rows(b, b.max_over(s, (3,)), s)))
    r = b.div(1.0, b.sum(e, (3,)))
    # p = r e is never written out: o = r (e v), and below g = r do stands for the r in p
    used = how.dropped(b, e, all_keys)
    o = b.dot(used, v, (3, 2), PER_HEAD)
    o = b.mul(o, rows(b, r, o))

    def dense_pull(do: Value) -> tuple[Three, Value]:
        g = b.mul(do, rows(b, r, do))
        dv = b.dot(used, g, (2, 2), PER_HEAD)  # dv = (m p)ᵀ do = (m e)ᵀ g
        de = how.dropped(b, b.dot(g, v, (3, 3), PER_HEAD), all_keys)  # r dp = m g vᵀ
        # ds = p (dp - sum_s p dp), and sum_s p_s dp_s = sum_s m_s p_s do.v_s = do.o
        along = b.sum(b.mul(g, o), (3,))
        ds = b.mul(e, b.sub(de, rows(b, along, de)))
        dq = b.dot(ds, k, (3, 2), PER_HEAD)  # dq = ds k
        dk = b.dot(ds, q, (2, 2), PER_HEAD)  # dk = dsᵀ q
        return (dq, dk, dv), ds

    return o, dense_pull


def tiled_attention(b: Builder, q: Value, k: Value, v: Value, how: Attention, tile: int) -> tuple[Value, Pulled]:
    """The same by blocks of `tile` keys. Kept are o and the log of the sum; the pullback computes p again.

    The pullback holds scores as [N, H, keys, T]: so its products are not those of the forward program, which a
    compiler would otherwise keep instead of computing them again.
    """
    blocks = [(Scores(i, min(tile, how.keys - i)), i) for i in range(0, how.keys, tile)]
    top: Value | None = None
    total: Value | None = None
    sums: Value | None = None
    for at, start in blocks:
        stop = start + at.keys
        s = how.masked(b, b.dot(q, _block(b, k, start, stop), (3, 3), PER_HEAD), at)
        peak = b.max_over(s, (3,))
        new = peak if top is None else b.maximum(top, peak)
        e = b.unary("exp", b.sub(s, rows(b, new, s)))
        part = b.dot(how.dropped(b, e, at), _block(b, v, start, stop), (3, 2), PER_HEAD)
        own = b.sum(e, (3,))
        if top is not None and total is not None and sums is not None:
            fade = b.unary("exp", b.sub(top, new))  # what was summed so far was relative to the old maximum
            own = b.add(b.mul(total, fade), own)
            part = b.add(b.mul(sums, rows(b, fade, sums)), part)
        top, total, sums = new, own, part
    assert top is not None and total is not None and sums is not None  # there is at least one key
    o = b.mul(sums, rows(b, b.div(1.0, total), sums))
    log_sum = b.add(top, b.unary("log", total))

    def tiled_pull(do: Value) -> tuple[Three, None]:
        along = b.sum(b.mul(do, o), (3,))  # sum_s p dp = do.o, as in the dense form
        dq: Value | None = None
        dks, dvs = [], []
        for forward, start in blocks:
            at = Scores(start, forward.keys, keys_first=True)
            kb, vb = (_block(b, x, start, start + at.keys) for x in (k, v))
            s = how.masked(b, b.dot(kb, q, (3, 3), PER_HEAD), at)  # sᵀ
            p = b.unary("exp", b.sub(s, rows(b, log_sum, s, keys_first=True)))  # pᵀ
            dvs.append(b.dot(how.dropped(b, p, at), do, (3, 2), PER_HEAD))  # dv = (m p)ᵀ do
            dp = how.dropped(b, b.dot(vb, do, (3, 3), PER_HEAD), at)  # dpᵀ = m v doᵀ
            ds = b.mul(p, b.sub(dp, rows(b, along, dp, keys_first=True)))  # ds = p (dp - sum_s p dp)
            dks.append(b.dot(ds, q, (3, 2), PER_HEAD))  # dk = dsᵀ q
            part = b.dot(ds, kb, (2, 2), PER_HEAD)  # dq = sum of ds k over the blocks
            dq = part if dq is None else b.add(dq, part)
        assert dq is not None  # there is at least one block
        dk, dv = (b.concatenate(parts, 2) for parts in (dks, dvs))
        return (dq, dk, dv), None

    return o, tiled_pull


def _block(b: Builder, x: Value, start: int, stop: int) -> Value:
    """Tokens start to before stop of [N, H, T, d]."""
    return b.slice(x, (0, 0, start, 0), (*x.shape[:2], stop, x.shape[3]))


def heads_first(b: Builder, x: Value, heads: int, groups: int = 1) -> Value:
    """[B, G T, H d] -> [B G, H, T, d]."""
    batch, tokens, width = x.shape
    apart = b.reshape(x, (batch * groups, tokens // groups, heads, width // heads))
    return b.transpose(apart, (0, 2, 1, 3))


def heads_last(b: Builder, x: Value, groups: int = 1) -> Value:
    """The inverse of heads_first."""
    n, heads, tokens, width = x.shape
    return b.reshape(b.transpose(x, (0, 2, 1, 3)), (n // groups, groups * tokens, heads * width))


def split_heads(b: Builder, x: Value, heads: int, groups: int) -> Three:
    """[B, G T, 3 H d] -> q, k, v, each [B G, H, T, d]."""
    batch, tokens, width = x.shape
    share = width // 3
    parts = (b.slice(x, (0, 0, i * share), (batch, tokens, (i + 1) * share)) for i in range(3))
    q, k, v = (heads_first(b, part, heads, groups) for part in parts)
    return q, k, v


def join_heads(b: Builder, three: Three, groups: int) -> Value:
    """The inverse of split_heads."""
    return b.concatenate([heads_last(b, x, groups) for x in three], 2)


def scale_of(q: Value) -> float:
    """1 / sqrt(d)."""
    return 1 / math.sqrt(q.shape[-1])


@rule(SelfAttention)
def emit_self_attention(b: Builder, layer: SelfAttention, scope: Scope, x: Value) -> Emitted:
    """y = softmax(q kᵀ / sqrt d) v for each head."""
    q, k, v = split_heads(b, x, layer.heads, layer.groups)
    factor = scale_of(q)
    tokens, width = q.shape[2], q.shape[3]
    cos, sin = _turns(b, tokens, width, q) if layer.rope else (None, None)
    qr, kr = _turned(b, q, cos, sin), _turned(b, k, cos, sin)
    rate = layer.dropout if scope.training else 0.0
    how = Attention(tokens, layer.causal, rate, scope.key, scope.stream)
    qs = b.mul(qr, factor)
    if layer.tile:
        o, pull = tiled_attention(b, qs, kr, v, how, layer.tile)
    else:
        o, pull = dense_attention(b, qs, kr, v, how)

    def self_attention_pull(dy: Value) -> tuple[Value, Grads]:
        (dq, dk, dv), _ = pull(heads_first(b, dy, layer.heads, layer.groups))
        back = None if sin is None else b.unary("neg", sin)  # the adjoint of a turn is the turn back
        dq = _turned(b, b.mul(dq, factor), cos, back)
        return join_heads(b, (dq, _turned(b, dk, cos, back), dv), layer.groups), {}

    return Emitted(heads_last(b, o, layer.groups), self_attention_pull)


@decoding_rule(SelfAttention)
def decode_self_attention(b: Builder, layer: SelfAttention, scope: Scope, x: Value) -> Emitted:
    """The same, with the turned keys and the values of the context [B, H, T, d] as state; one token attends to those.

    Raises UserError unless the attention is causal and in one group.
    """
    at = scope.decoding
    assert at is not None
    if not layer.causal or layer.groups > 1:
        raise UserError(
            f"a sampler wants causal attention in one group, got {layer.label()} ({scope.prefix.rstrip('.')}), which "
            "looks at later tokens; set causal"
        )
    q, k, v = split_heads(b, x, layer.heads, layer.groups)
    tokens = q.shape[2] if at.whole else scope.running("keys").shape[2]
    if layer.rope:
        cos, sin = _turns(b, tokens, q.shape[3], q)
        if not at.whole:
            cos, sin = (b.op("take", table, b.reshape(at.position, (1,))) for table in (cos, sin))
        q, k = _turned(b, q, cos, sin), _turned(b, k, cos, sin)
    q = b.mul(q, scale_of(q))
    if at.whole:
        how = Attention(tokens, causal=True)
        o, _ = tiled_attention(b, q, k, v, how, layer.tile) if layer.tile else dense_attention(b, q, k, v, how)
    else:
        k, v = (_put(b, scope.running(name), new, at.position) for name, new in (("keys", k), ("values", v)))
        known = lambda s: b.select(b.compare("LE", b.iota(3, s.shape), _spread(b, at.position, s)), s, -math.inf)  # noqa: E731
        o, _ = dense_attention(b, q, k, v, Attention(tokens), known)
    return Emitted(heads_last(b, o), no_pull, {"keys": k, "values": v})


def _spread(b: Builder, position: Value, like: Value) -> Value:
    """A scalar i32 as a tensor of that shape."""
    return b.broadcast(position, TensorType(like.shape, position.type.dtype), ())


def _put(b: Builder, held: Value, new: Value, position: Value) -> Value:
    """`held` [B, H, T, d] with `new` [B, H, 1, d] at a token."""
    here = b.compare("EQ", b.iota(2, held.shape), _spread(b, position, held))
    return b.select(here, b.broadcast(b.reshape(new, (*new.shape[:2], new.shape[3])), held, (0, 1, 3)), held)


def _turned(b: Builder, x: Value, cos: Value | None, sin: Value | None) -> Value:
    """Each plane (i, i + d/2) of [N, H, T, d] turned by its angle: (u, w) -> (u cos - w sin, w cos + u sin)."""
    if cos is None or sin is None:
        return x
    half = x.shape[3] // 2
    u = b.slice(x, (0, 0, 0, 0), (*x.shape[:3], half))
    w = b.slice(x, (0, 0, 0, half), x.shape)
    c, s = (b.broadcast(table, u, (2, 3)) for table in (cos, sin))
    return b.concatenate([b.sub(b.mul(u, c), b.mul(w, s)), b.add(b.mul(w, c), b.mul(u, s))], 3)


def _turns(b: Builder, tokens: int, width: int, like: Value) -> tuple[Value, Value]:
    """cos and sin [T, d/2] of the angles t / base^(2i/d).

    t = n a + c: two small tables, of the n a and of the c, give all by the sums of angles, so that the text of a long
    sequence stays short.
    """
    half = width // 2
    speeds = [ROPE_BASE ** (-2 * i / width) for i in range(half)]
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
