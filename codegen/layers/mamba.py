"""Selective state spaces. The recurrence is an operation of the IR; how it is computed is a target's choice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.tokens import tokens_from
from netc.codegen.rules import Emitted, Grads, Scope, decoding_rule, no_pull, rule
from netc.codegen.softplus import softplus
from netc.netspec.layers.mamba import SelectiveScan
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class _Selected:
    """What the recurrence is made of: its input u and gate C, and all that makes h, wide ones [batch, T, E, N]."""

    u: Value
    bs: Value
    cs: Value
    raw: Value
    delta: Value
    rate: Value
    rates: Value
    decay: Value
    fed: Value

    def channels(self, b: Builder, v: Value) -> Value:
        """[batch, T, E] as the whole."""
        return b.broadcast(v, self.decay, (0, 1, 2))

    def states(self, b: Builder, v: Value) -> Value:
        """[batch, T, N] as the whole."""
        return b.broadcast(v, self.decay, (0, 1, 3))

    def read(self, b: Builder, h: Value, scope: Scope) -> tuple[Value, Value]:
        """y = C h + skip u, and the skip."""
        skip = b.broadcast(scope.param("skip"), self.u)
        return b.add(b.sum(b.mul(h, self.states(b, self.cs)), (3,)), b.mul(skip, self.u)), skip


def _selected(b: Builder, layer: SelectiveScan, scope: Scope, x: Value) -> _Selected:
    (batch, length, width), n = x.shape, layer.state
    inner = (width - 2 * n) // 2
    edges = (0, inner, 2 * inner, 2 * inner + n, width)
    u, step, bs, cs = (b.slice(x, (0, 0, lo), (batch, length, hi)) for lo, hi in pairwise(edges))
    whole = TensorType((batch, length, inner, n), x.type.dtype)
    raw = b.add(step, b.broadcast(scope.param("step_bias"), step))
    delta = softplus(b, raw)
    rate = b.unary("neg", b.unary("exp", scope.param("log_rate")))  # A
    rates = b.broadcast(rate, whole, (2, 3))
    decay = b.unary("exp", b.mul(b.broadcast(delta, whole, (0, 1, 2)), rates))
    return _Selected(u, bs, cs, raw, delta, rate, rates, decay, b.mul(delta, u))


@rule(SelectiveScan)
def emit_selective_scan(b: Builder, layer: SelectiveScan, scope: Scope, x: Value) -> Emitted:
    """y = C h + skip u, h = scan(exp(delta A), delta u B), all [batch, T, E, N] inside."""
    at = _selected(b, layer, scope, x)
    u, bs, cs, decay, rate, rates, raw = at.u, at.bs, at.cs, at.decay, at.rate, at.rates, at.raw
    delta, fed = at.delta, at.fed
    batch, length, inner, n = decay.shape

    def channels(v: Value) -> Value:
        return at.channels(b, v)

    def states(v: Value) -> Value:
        return at.states(b, v)

    h = b.op("linear_scan", decay, b.mul(channels(fed), states(bs)), axis=1, reverse=False)
    y, skip = at.read(b, h, scope)

    def selective_scan_pull(dy: Value) -> tuple[Value, Grads]:
        dys = channels(dy)
        dc = b.sum(b.mul(dys, h), (2,))  # dC[t, n] = sum over e of dy h
        # g[t] = dy[t] C[t] + decay[t + 1] g[t + 1]: the recurrence from the end, with the factors one step later
        after = b.pad(b.slice(decay, (0, 1, 0, 0), decay.shape), (0,) * 4, (0, 1, 0, 0))
        g = b.op("linear_scan", after, b.mul(dys, states(cs)), axis=1, reverse=True)
        before = b.pad(b.slice(h, (0, 0, 0, 0), (batch, length - 1, inner, n)), (0, 1, 0, 0), (0,) * 4)
        ddecay = b.mul(b.mul(g, before), decay)  # d(delta A) = g[t] h[t - 1] decay[t]
        drate = b.sum(b.mul(ddecay, channels(delta)), (0, 1))
        dfed = b.sum(b.mul(g, states(bs)), (3,))  # d(delta u)
        dbs = b.sum(b.mul(g, channels(fed)), (2,))
        ddelta = b.add(b.sum(b.mul(ddecay, rates), (3,)), b.mul(dfed, u))
        draw = b.mul(ddelta, b.unary("logistic", raw))  # softplus' = sigmoid
        du = b.add(b.mul(dfed, delta), b.mul(dy, skip))
        grads = {
            "log_rate": b.mul(drate, rate),  # A = -exp(log_rate), so dA / dlog_rate = A
            "step_bias": b.sum(draw, (0, 1)),
            "skip": b.sum(b.mul(dy, u), (0, 1)),
        }
        return b.concatenate([du, draw, dbs, dc], 2), grads

    return Emitted(y, selective_scan_pull)


@decoding_rule(SelectiveScan)
def decode_selective_scan(b: Builder, layer: SelectiveScan, scope: Scope, x: Value) -> Emitted:
    """The same, with h [B, E, N] after the last known token as state; one token takes one step from it."""
    assert scope.decoding is not None
    at = _selected(b, layer, scope, x)
    fed = b.mul(at.channels(b, at.fed), at.states(b, at.bs))
    if scope.decoding.whole:
        h = b.op("linear_scan", at.decay, fed, axis=1, reverse=False)
        last = tokens_from(b, h, scope.decoding.position, 1)
    else:
        h = last = b.add(b.mul(at.decay, b.reshape(scope.running("h"), at.decay.shape)), fed)
    y, _ = at.read(b, h, scope)
    return Emitted(y, no_pull, {"h": b.reshape(last, (last.shape[0], *last.shape[2:]))})
