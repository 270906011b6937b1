"""Losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netc.codegen.builder import Builder
from netc.codegen.ir import Value


@dataclass(frozen=True)
class Loss:
    """One number for each example, [B], and the pullback from its cotangent [B] to the logits' [B, K]."""

    each: Value
    pull: Callable[[Value], Value]


def softmax_cross_entropy(b: Builder, logits: Value, labels: Value, smoothing: float) -> Loss:
    """loss = logsumexp(z) - sum_k q_k z_k, q = (1 - a) onehot(label) + a / K.

    logits [B, K], labels [B] i32. The maximum is taken off before the exponential, so that no logit overflows.
    """
    batch, classes = logits.shape
    top = b.max_over(logits, (1,))
    shifted = b.sub(logits, b.broadcast(top, logits, (0,)))
    e = b.unary("exp", shifted)
    total = b.sum(e, (1,))
    hit = b.compare("EQ", b.broadcast(labels, logits, (0,)), b.iota(1, (batch, classes)))
    zeros = b.constant(smoothing / classes, logits.type)
    q = b.select(hit, 1.0 - smoothing + smoothing / classes, zeros)
    # sum_k q_k = 1, so the shift by the maximum leaves the loss as it is
    each = b.sub(b.unary("log", total), b.sum(b.mul(q, shifted), (1,)))

    def pull(d: Value) -> Value:  # dz = d (softmax(z) - q)
        softmax = b.div(e, b.broadcast(total, logits, (0,)))
        return b.mul(b.broadcast(d, logits, (0,)), b.sub(softmax, q))

    return Loss(each, pull)


def hits(b: Builder, logits: Value, labels: Value) -> Value:
    """1.0 where the first largest logit is the label's, [B]."""
    batch, classes = logits.shape
    top = b.broadcast(b.max_over(logits, (1,)), logits, (0,))
    index = b.iota(1, (batch, classes))
    candidates = b.select(b.compare("EQ", logits, top), index, classes)
    first = b.op("reduce_min", candidates, b.scalar(classes, "i32"), dims=(1,))
    return b.convert(b.compare("EQ", first, labels), logits.type.dtype)
