"""Softmax attention of given queries, keys and values: dense, causal without what no query sees, and by tiles.

They are [N, H, T, d]; N counts the examples and, where tokens attend in groups, the groups of each. q holds the factor
1 / sqrt(d).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.random import threefry
from netc.netspec.types import TensorType

Three = tuple[Value, Value, Value]
UNSEEN = -1e30  # below any score
PER_HEAD = ((0, 1), (0, 1))  # batch axes of a product of two [N, H, .., ..]
PARTS, LONG = 4, 512  # parts of a causal sequence of that many tokens or more, with 5/8 of all scores


@dataclass(frozen=True)
class Scores:
    """Scores of queries and the keys start .. start + keys, held as [N, H, T, keys], or [N, H, keys, T].

    The queries are all, or those from `query` on, of `queries`.
    """

    start: int
    keys: int
    keys_first: bool = False
    query: int = 0
    queries: int = 0

    @property
    def axes(self) -> tuple[int, int]:
        """The axes of (query, key)."""
        return (3, 2) if self.keys_first else (2, 3)

    def places(self, b: Builder, like: Value, dtype: str = "i32") -> tuple[Value, Value]:
        """(query, key) of each score, counted from the first of all."""
        query, key = (b.op("iota", dim=axis, shape=like.shape, dtype=dtype) for axis in self.axes)
        return b.add(query, self.query) if self.query else query, b.add(key, self.start) if self.start else key


def seen_alone(b: Builder, s: Value, query: Value, key: Value, window: int, begin: Value | None = None) -> Value:
    """The scores, those of keys after their query, or not among the last `window` up to it, at minus infinity.

    With `begin` also those of keys before it.
    """
    seen = b.compare("LE", key, query)
    if window:
        seen = b.op("and", seen, b.compare("LT", query, b.add(key, window)))
    if begin is not None:
        seen = b.op("and", seen, b.compare("GE", key, begin))
    return b.select(seen, s, -math.inf)


@dataclass(frozen=True)
class Attention:
    """What is done to the scores: the mask of what comes later, and elements left out.

    `keys` = S. A causal query also sees no more than the last `window` keys, itself among them, where that is not 0,
    and no key before its own of `begins` i32 [N, T], where that is given.
    The mask of element i, counted in [N, H, T, S], is the word of Threefry at counter (i, stream).
    """

    keys: int
    causal: bool = False
    rate: float = 0.0
    key: Value | None = None
    stream: int = 0
    window: int = 0
    begins: Value | None = None

    def masked(self, b: Builder, s: Value, at: Scores) -> Value:
        """The scores, those of later keys and of keys before the window at minus infinity."""
        if not self.causal:
            return s
        begin = self.begins
        if begin is not None:
            own = b.slice(begin, (0, at.query), (s.shape[0], at.query + s.shape[at.axes[0]]))
            begin = b.broadcast(own, TensorType(s.shape, "i32"), (0, at.axes[0]))
        return seen_alone(b, s, *at.places(b, s), self.window, begin)

    def dropped(self, b: Builder, p: Value, at: Scores) -> Value:
        """m p / (1 - rate), m drawn by the element's index in [N, H, T, S]: the same mask whatever the tiles."""
        if not self.rate:
            return p
        assert self.key is not None  # the signature says that it draws
        query, key = at.places(b, p, "ui32")
        n, h = (b.op("iota", dim=axis, shape=p.shape, dtype="ui32") for axis in (0, 1))
        row = b.add(b.mul(b.add(b.mul(n, p.shape[1]), h), at.queries or p.shape[at.axes[0]]), query)
        word, _ = threefry(b, self.key, b.add(b.mul(row, self.keys), key), b.constant(self.stream, row.type))
        kept = b.compare("GE", b.op("shr", word, b.constant(8, word.type)), round(self.rate * 2**24))
        return b.select(kept, b.mul(p, 1 / (1 - self.rate)), 0.0)


Pulled = Callable[[Value], tuple[Three, Value | None]]
Adds = Callable[[Value], Value]


def rows(b: Builder, r: Value, like: Value, keys_first: bool = False) -> Value:
    """One number for each query [N, H, T], repeated over the other axis of `like`, which is the last or the third."""
    return b.broadcast(r, like, (0, 1, 3) if keys_first else (0, 1, 2))


def dense_attention(
    b: Builder, q: Value, k: Value, v: Value, how: Attention, add: Adds | None = None, at: Scores | None = None
) -> tuple[Value, Pulled]:
    """o [N, H, T, d], and its pullback do -> ((dq, dk, dv), dscores [N, H, T, S]). `add` changes the scores first.

    `at` says which queries and keys they are, where they are not all.
    """
    some, at = at is not None, at or Scores(0, k.shape[2])
    s = b.dot(q, k, (3, 3), PER_HEAD)
    s = how.masked(b, add(s) if add else s, at)
    e = b.unary("exp", b.sub(s, rows(b, b.max_over(s, (3,)), s)))
    r = b.div(1.0, b.sum(e, (3,)))
    # p = r e is never written out: o = r (e v), and below g = r do stands for the r in p
    used = how.dropped(b, _apart(b, e) if some else e, at)
    o = b.dot(used, v, (3, 2), PER_HEAD)
    o = b.mul(o, rows(b, r, o))

    def dense_pull(do: Value) -> tuple[Three, Value]:
        g = b.mul(do, rows(b, r, do))
        dv = b.dot(used, g, (2, 2), PER_HEAD)  # dv = (m p)ᵀ do = (m e)ᵀ g
        de = how.dropped(b, b.dot(g, v, (3, 3), PER_HEAD), at)  # r dp = m g vᵀ
        # ds = p (dp - sum_s p dp), and sum_s p_s dp_s = sum_s m_s p_s do.v_s = do.o
        along = b.sum(b.mul(g, o), (3,))
        ds = b.mul(e, b.sub(de, rows(b, along, de)))
        dq = b.dot(ds, k, (3, 2), PER_HEAD)  # dq = ds k
        dk = b.dot(ds, q, (2, 2), PER_HEAD)  # dk = dsᵀ q
        return (dq, dk, dv), ds

    return o, dense_pull


def causal_attention(b: Builder, q: Value, k: Value, v: Value, how: Attention) -> tuple[Value, Pulled]:
    """The same without the scores that no query sees: some queries after the other, each part with its keys alone.

    A part has the keys up to its last query, and with a window none before the window of its first.
    """
    tokens = q.shape[2]
    cuts = range(0, tokens, -(-tokens // PARTS))
    ends = [*cuts[1:], tokens]
    outs, parts = [], []
    for query, end in zip(cuts, ends, strict=True):
        start = max((i for i in cuts if how.window and i <= query + 1 - how.window), default=0)
        at = Scores(start, end - start, query=query, queries=tokens)
        own, keys, values = _cut(b, q, query, end), _cut(b, k, start, end), _cut(b, v, start, end)
        o, pull = dense_attention(b, own, keys, values, how, at=at)
        outs.append(o)
        parts.append((at, end, pull))

    def causal_pull(do: Value) -> tuple[Three, None]:
        found = [pull(_cut(b, do, at.query, end))[0] for at, end, pull in parts]

        def summed(of_parts: list[Value], first: int, end: int) -> Value:
            """The sum of dk or dv over the parts that have those keys."""
            there = [
                (d, at.start) for d, (at, last, _) in zip(of_parts, parts, strict=True) if at.start <= first < last
            ]
            return reduce(b.add, [_block(b, d, first - start, end - start) for d, start in there])

        dqs, dks, dvs = ([_apart(b, d) for d in of_parts] for of_parts in zip(*found, strict=True))
        spans = [*pairwise([*cuts, tokens])]
        dk, dv = (_joined(b, [summed(of_parts, *span) for span in spans]) for of_parts in (dks, dvs))
        return (_joined(b, dqs), dk, dv), None

    return _joined(b, outs), causal_pull


def _apart(b: Builder, x: Value) -> Value:
    """A part of the tokens, made before it is read: IREE 3.12 unrolls products joined with its readers for minutes."""
    return b.op("barrier", x)


def _cut(b: Builder, x: Value, start: int, stop: int) -> Value:
    """Some tokens, apart."""
    return _apart(b, _block(b, x, start, stop))


def _joined(b: Builder, parts: list[Value]) -> Value:
    """All tokens of the parts, apart."""
    return _apart(b, b.concatenate(parts, 2))


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
        if how.window or how.begins is not None:  # a query may see no key of this tile: e is 0 then, and no 0 divides
            peak = b.maximum(peak, UNSEEN)
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
