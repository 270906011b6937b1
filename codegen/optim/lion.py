"""Lion (Chen et al. 2023)."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.adam import average
from netc.codegen.optim.rule import RULES, OptimizerRule, with_decay
from netc.netspec.optimizers import Lion


def _update(
    b: Builder, optimizer: Lion, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    towards = average(b, optimizer.beta1, kept["m"], g)
    # sign, with 0 for 0: a parameter without a gradient stays
    below = b.select(b.compare("LT", towards, 0.0), b.constant(-1.0, p.type), 0.0)
    step = b.select(b.compare("GT", towards, 0.0), 1.0, below)
    step = with_decay(b, optimizer, p, step, decay)
    return b.sub(p, b.mul(b.broadcast(lr, p, ()), step)), {"m": average(b, optimizer.beta2, kept["m"], g)}


RULES[Lion] = OptimizerRule(lambda optimizer: ("m",), (), lambda b, optimizer, scalars: {}, _update)
