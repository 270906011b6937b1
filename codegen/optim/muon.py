"""Muon (Jordan 2024; Liu et al. 2025): orthogonal steps for matrices, AdamW for all else."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.norms import norm
from netc.codegen.optim.adam import average, corrections
from netc.codegen.optim.adam import update as adam
from netc.codegen.optim.rule import RULES, OptimizerRule, Shape, decayed
from netc.netspec.optimizers import Adam, Muon

QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: large steps from small singular values, to about 0.7 .. 1.2
SMALLEST_NORM = 1e-7
FACTOR = 0.2  # of a step, which is then as long as AdamW's (Liu et al. 2025)


def _orthogonal(b: Builder, x: Value, iterations: int) -> Value:
    """Near the orthogonal matrix nearest to x, which has no more rows than columns."""
    a, k, c = QUINTIC
    x = b.div(x, b.broadcast(b.maximum(norm(b, [x]), SMALLEST_NORM), x, ()))
    for _ in range(iterations):
        gram = b.dot(x, x, (1, 1))
        x = b.add(b.mul(x, a), b.dot(b.add(b.mul(gram, k), b.mul(b.dot(gram, gram, (1, 0)), c)), x, (1, 0)))
    return x


def _update(
    b: Builder, optimizer: Muon, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    o, shape = optimizer, p.shape
    if not o.is_matrix(shape):
        return adam(b, Adam(o.beta1, o.beta2, o.epsilon, o.weight_decay), p, g, decay, kept, lr)
    m = average(b, o.momentum, kept["buffer"], g)
    columns = shape[-1]
    rows = math.prod(shape[:-1])
    x = b.reshape(average(b, o.momentum, m, g), (rows, columns))
    tall = rows > columns
    x = _orthogonal(b, b.transpose(x, (1, 0)) if tall else x, o.iterations)
    step = b.reshape(b.transpose(x, (1, 0)) if tall else x, shape)
    new = b.sub(p, b.mul(step, b.broadcast(b.mul(lr, FACTOR * math.sqrt(max(rows, columns))), p, ())))
    return decayed(b, o, new, p, decay, lr), {"buffer": m}


def _shape(optimizer: Muon, moment: str, shape: Shape) -> Shape | None:
    return shape if (moment == "buffer") == optimizer.is_matrix(shape) else None


RULES[Muon] = OptimizerRule(
    lambda optimizer: ("m", "v", "buffer"), ("correction1", "correction2"), corrections, _update, _shape
)
