"""NAdam: Adam whose step looks ahead along the momentum (Dozat 2016)."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.adam import average, corrections, moments, root
from netc.codegen.optim.rule import RULES, OptimizerRule, decayed, with_decay
from netc.netspec.optimizers import NAdam


def _update(
    b: Builder, optimizer: NAdam, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    g = g if optimizer.decoupled else with_decay(b, optimizer, p, g, decay)
    m, v = moments(b, optimizer, g, kept)
    now = kept["correction1"]
    ahead = b.div(optimizer.beta1, average(b, optimizer.beta1, now, 1.0))
    # b1 m / c1' + (1 - b1) g / c1
    look = b.mul(m, b.broadcast(ahead, p, ()))
    step = b.add(look, b.mul(g, b.broadcast(b.div(1 - optimizer.beta1, now), p, ())))
    below = root(b, v, kept)
    new = b.sub(p, b.div(b.mul(step, b.broadcast(lr, p, ())), b.add(below, optimizer.epsilon)))
    return decayed(b, optimizer, new, p, decay and optimizer.decoupled, lr), {"m": m, "v": v}


RULES[NAdam] = OptimizerRule(lambda optimizer: ("m", "v"), ("correction1", "correction2"), corrections, _update)
