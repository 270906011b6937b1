"""Gates of experts: which of them a token takes, and with what weight."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import AUXILIARY, CHOICES, Emitted, Grads, Scope, rule
from netc.netspec.layers.experts import TopKGates
from netc.netspec.types import TensorType


def _chosen(b: Builder, x: Value, top: int) -> Value:
    """Whether fewer than `top` scores are larger: of x [.., E] i1 [.., E], without sorting."""
    last, experts = len(x.shape) - 1, x.shape[-1]
    x = b.op("barrier", x)  # joined with the product before it, IREE 3.12 compiles vectors of 16³ numbers for minutes
    wide = TensorType((*x.shape, experts), x.type.dtype)
    own = b.broadcast(x, wide, tuple(range(last + 1)))
    other = b.broadcast(x, wide, (*range(last), last + 1))
    lower = b.compare("LT", b.iota(last + 1, wide.shape), b.iota(last, wide.shape))
    larger = b.op("or", b.compare("GT", other, own), b.op("and", b.compare("EQ", other, own), lower))
    rank = b.sum(b.convert(larger, x.type.dtype), (last + 1,))
    return b.compare("LT", rank, float(top))


def _softmax(b: Builder, x: Value) -> Value:
    last, kept = (len(x.shape) - 1,), tuple(range(len(x.shape) - 1))
    e = b.unary("exp", b.sub(x, b.broadcast(b.max_over(x, last), x, kept)))
    return b.div(e, b.broadcast(b.sum(e, last), x, kept))


def _softmax_pull(b: Builder, p: Value, dp: Value) -> Value:
    """dx = p (dp - sum of p dp)."""
    along = b.sum(b.mul(p, dp), (len(p.shape) - 1,))
    return b.mul(p, b.sub(dp, b.broadcast(along, p, tuple(range(len(p.shape) - 1)))))


@rule(TopKGates, each_token=True)
def emit_top_k_gates(b: Builder, layer: TopKGates, scope: Scope, x: Value) -> Emitted:
    """g = softmax of the chosen scores, the others at minus infinity: 0 there, and so is its slope.

    With top 1 that of all scores, as Fedus et al. 2022 have it, where it is chosen: the softmax of one is 1.
    """
    rows, experts = tuple(range(len(x.shape) - 1)), x.shape[-1]
    chosen = _chosen(b, x, layer.top)
    one = layer.top == 1
    soft = _softmax(b, x if one else b.select(chosen, x, -math.inf))
    g = b.select(chosen, soft, 0.0) if one else soft
    wide = TensorType((*x.shape, layer.each), x.type.dtype)
    y = b.reshape(b.broadcast(g, wide, (*rows, len(rows))), (*x.shape[:-1], experts * layer.each))

    def gates_pull(dy: Value) -> Value:
        dg = b.sum(b.reshape(dy, wide.shape), (len(x.shape),))  # over its channels
        return _softmax_pull(b, soft, b.select(chosen, dg, 0.0) if one else dg)

    if scope.examples:
        with b.at("choices"):
            own = (scope.examples, x.type.size // experts // scope.examples, experts)
            each = b.sum(b.reshape(b.convert(chosen, x.type.dtype), own), (1,))
            return Emitted(y, lambda dy: (gates_pull(dy), {}), {CHOICES: b.mul(each, 1 / (own[1] * layer.top))})
    if not (scope.training and scope.share):
        return Emitted(y, lambda dy: (gates_pull(dy), {}))
    tokens, factor = x.type.size // experts, layer.balance * scope.share
    share = b.mul(b.sum(b.convert(chosen, x.type.dtype), rows), 1 / (tokens * layer.top))  # f
    told = share if scope.share == 1 else b.mul(share, scope.share)
    if not factor:
        return Emitted(y, lambda dy: (gates_pull(dy), {}), {CHOICES: told})
    p = b.op("barrier", soft) if one else _softmax(b, x)  # so that the sum for g and that for p stay apart in IREE 3.12
    dp = b.mul(b.broadcast(share, p), factor * experts / tokens)  # of factor E sum f P; f has no slope
    along = b.sum(b.mul(p, dp), (len(rows),))  # as the pullback has it: IREE 3.12 refuses another sum of p dp beside it
    loss = b.sum(along, rows)  # which is that sum itself, as P is a mean of p

    def balanced_pull(dy: Value) -> tuple[Value, Grads]:
        return b.add(gates_pull(dy), _softmax_pull(b, p, dp)), {}

    return Emitted(y, balanced_pull, {AUXILIARY: loss, CHOICES: told})
