"""Stochastic gradient descent, with momentum and Nesterov's look-ahead (Sutskever et al. 2013)."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.rule import RULES, OptimizerRule, with_decay
from netc.netspec.optimizers import SGD


def _update(
    b: Builder, optimizer: SGD, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    g = with_decay(b, optimizer, p, g, decay)
    rate = b.broadcast(lr, p, ())
    if not optimizer.momentum:
        return b.sub(p, b.mul(g, rate)), {}
    velocity = b.add(b.mul(kept["velocity"], optimizer.momentum), g)
    # Nesterov: the step looks ahead along the velocity that comes
    step = b.add(g, b.mul(velocity, optimizer.momentum)) if optimizer.nesterov else velocity
    return b.sub(p, b.mul(step, rate)), {"velocity": velocity}


RULES[SGD] = OptimizerRule(
    lambda optimizer: ("velocity",) if optimizer.momentum else (), (), lambda b, optimizer, scalars: {}, _update
)
