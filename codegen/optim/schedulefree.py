"""Schedule-free AdamW: the gradient is taken between a fast sequence and its mean (Defazio et al. 2024).

The parameter p is the mean x of the paper, and d = z - x is kept: x <- x + c (d - lr u), d <- (1 - c) (d - lr u).
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.adam import average, root
from netc.codegen.optim.rule import RULES, OptimizerRule, with_decay
from netc.netspec.optimizers import ScheduleFree
from netc.netspec.types import SMALLEST_NUMBER


def _point(b: Builder, optimizer: ScheduleFree, p: Value, kept: dict[str, Value]) -> Value:
    # (1 - b1) z + b1 x = x + (1 - b1) d
    return b.add(p, b.mul(kept["ahead"], 1 - optimizer.beta1))


def _update(
    b: Builder, optimizer: ScheduleFree, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    v = average(b, optimizer.beta2, kept["v"], b.mul(g, g))
    step = b.div(g, b.add(root(b, v, kept), optimizer.epsilon))
    step = with_decay(b, optimizer, _point(b, optimizer, p, kept), step, decay)
    ahead = b.sub(kept["ahead"], b.mul(step, b.broadcast(lr, p, ())))
    moves = b.mul(ahead, b.broadcast(b.div(1.0, kept["correction1"]), p, ()))
    return b.add(p, moves), {"v": v, "ahead": b.sub(ahead, moves)}


def _advance(b: Builder, optimizer: ScheduleFree, scalars: dict[str, Value]) -> dict[str, Value]:
    # c = r^2 / (sum of all r^2), where r is the largest rate so far. What is kept is 1 / c: a sum over r^2, which is
    # the number of the step where the rate is constant, and exact.
    largest = b.maximum(scalars["correction3"], scalars["lr"])
    shrinks = b.div(scalars["correction3"], b.maximum(largest, SMALLEST_NUMBER))
    return {
        "correction1": b.add(b.mul(scalars["correction1"], b.mul(shrinks, shrinks)), 1.0),
        "correction2": average(b, optimizer.beta2, scalars["correction2"], 1.0),
        "correction3": largest,
    }


def _moments(optimizer: ScheduleFree) -> tuple[str, ...]:
    return ("v", "ahead")


RULES[ScheduleFree] = OptimizerRule(
    _moments, ("correction1", "correction2", "correction3"), _advance, _update, point=_point
)
