"""Selective state spaces. The recurrence is an operation of the IR; how it is computed is a target's choice."""

from __future__ import annotations

from itertools import pairwise

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, rule
from netc.netspec.layers.mamba import SelectiveScan
from netc.netspec.types import TensorType


def _softplus(b: Builder, x: Value) -> Value:
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)): nothing overflows, and a small step is not rounded away."""
    size = b.maximum(x, b.unary("neg", x))
    return b.add(b.maximum(x, 0.0), b.unary("log1p", b.unary("exp", b.unary("neg", size))))


@rule(SelectiveScan)
def emit_selective_scan(b: Builder, layer: SelectiveScan, scope: Scope, x: Value) -> Emitted:
    """y = C h + skip u, h = scan(exp(delta A), delta u B), all [batch, T, E, N] inside."""
    (batch, length, width), n = x.shape, layer.state
    inner = (width - 2 * n) // 2
    edges = (0, inner, 2 * inner, 2 * inner + n, width)
    u, step, bs, cs = (b.slice(x, (0, 0, lo), (batch, length, hi)) for lo, hi in pairwise(edges))
    whole = TensorType((batch, length, inner, n), x.type.dtype)

    def channels(v: Value) -> Value:  # [batch, T, E] as the whole
        return b.broadcast(v, whole, (0, 1, 2))

    def states(v: Value) -> Value:  # [batch, T, N] as the whole
        return b.broadcast(v, whole, (0, 1, 3))

    raw = b.add(step, b.broadcast(scope.param("step_bias"), step))
    delta = _softplus(b, raw)
    rate = b.unary("neg", b.unary("exp", scope.param("log_rate")))  # A
    rates = b.broadcast(rate, whole, (2, 3))
    decay = b.unary("exp", b.mul(channels(delta), rates))
    fed = b.mul(delta, u)
    h = b.op("linear_scan", decay, b.mul(channels(fed), states(bs)), axis=1, reverse=False)
    skip = b.broadcast(scope.param("skip"), u)
    y = b.add(b.sum(b.mul(h, states(cs)), (3,)), b.mul(skip, u))

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
