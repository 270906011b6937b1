"""NAdam: Adam whose step looks ahead along the momentum (Dozat 2016)."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.adam import average, corrections
from netc.codegen.optim.rule import RULES, OptimizerRule
from netc.netspec.optimizers import NAdam


def _update(
    b: Builder, optimizer: NAdam, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    rate = optimizer.weight_decay if decay else 0.0
    if rate and not optimizer.decoupled:
        g = b.add(g, b.mul(p, rate))
    m = average(b, optimizer.beta1, kept["m"], g)
    v = average(b, optimizer.beta2, kept["v"], b.mul(g, g))
    now = kept["correction1"]
    ahead = b.div(optimizer.beta1, average(b, optimizer.beta1, now, 1.0))
    # b1 m / c1' + (1 - b1) g / c1
    look = b.mul(m, b.broadcast(ahead, p, ()))
    step = b.add(look, b.mul(g, b.broadcast(b.div(1 - optimizer.beta1, now), p, ())))
    root = b.unary("sqrt", b.mul(v, b.broadcast(b.div(1.0, kept["correction2"]), p, ())))
    new = b.sub(p, b.div(b.mul(step, b.broadcast(lr, p, ())), b.add(root, optimizer.epsilon)))
    if rate and optimizer.decoupled:
        new = b.sub(new, b.mul(p, b.broadcast(b.mul(lr, rate), p, ())))
    return new, {"m": m, "v": v}


RULES[NAdam] = OptimizerRule(lambda optimizer: ("m", "v"), ("correction1", "correction2"), corrections, _update)
