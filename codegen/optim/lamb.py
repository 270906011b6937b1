"""LAMB: Adam's step of each parameter, as long as the parameter itself (You et al. 2020)."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.norms import norm
from netc.codegen.optim.adam import corrections, moments, root
from netc.codegen.optim.rule import RULES, OptimizerRule, with_decay
from netc.netspec.optimizers import Lamb


def _update(
    b: Builder, optimizer: Lamb, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    m, v = moments(b, optimizer, g, kept)
    below = root(b, v, kept)
    step = b.div(b.mul(m, b.broadcast(b.div(1.0, kept["correction1"]), p, ())), b.add(below, optimizer.epsilon))
    step = with_decay(b, optimizer, p, step, decay)
    long, step_long = norm(b, [p]), norm(b, [step])
    # 1 where a norm is 0; then the divisor is 1, too, so that nothing is divided by 0
    moves = b.compare("GT", step_long, 0.0)
    ratio = b.select(moves, b.div(long, b.select(moves, step_long, 1.0)), 1.0)
    ratio = b.select(b.compare("GT", long, 0.0), ratio, 1.0)
    return b.sub(p, b.mul(step, b.broadcast(b.mul(lr, ratio), p, ()))), {"m": m, "v": v}


RULES[Lamb] = OptimizerRule(lambda optimizer: ("m", "v"), ("correction1", "correction2"), corrections, _update)
