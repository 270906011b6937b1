"""Adagrad (Duchi et al. 2011) and Adadelta (Zeiler 2012)."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.adam import average
from netc.codegen.optim.rule import RULES, OptimizerRule, with_decay
from netc.netspec.optimizers import Adadelta, Adagrad


def _adagrad(
    b: Builder, optimizer: Adagrad, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    g = with_decay(b, optimizer, p, g, decay)
    squares = b.add(kept["squares"], b.mul(g, g))
    whole = b.add(squares, optimizer.initial) if optimizer.initial else squares
    step = b.div(b.mul(g, b.broadcast(lr, p, ())), b.add(b.unary("sqrt", whole), optimizer.epsilon))
    return b.sub(p, step), {"squares": squares}


def _adadelta(
    b: Builder, optimizer: Adadelta, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    g = with_decay(b, optimizer, p, g, decay)

    def root(x: Value) -> Value:
        return b.unary("sqrt", b.add(x, optimizer.epsilon))

    v = average(b, optimizer.rho, kept["v"], b.mul(g, g))
    step = b.mul(b.div(root(kept["w"]), root(v)), g)
    w = average(b, optimizer.rho, kept["w"], b.mul(step, step))
    return b.sub(p, b.mul(step, b.broadcast(lr, p, ()))), {"v": v, "w": w}


RULES[Adagrad] = OptimizerRule(lambda optimizer: ("squares",), (), lambda b, optimizer, scalars: {}, _adagrad)
RULES[Adadelta] = OptimizerRule(lambda optimizer: ("v", "w"), (), lambda b, optimizer, scalars: {}, _adadelta)
