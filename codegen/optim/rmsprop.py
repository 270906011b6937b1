"""RMSProp, in torch's form and in TensorFlow's (Tieleman and Hinton 2012; centered: Graves 2013)."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.adam import average
from netc.codegen.optim.rule import RULES, OptimizerRule, with_decay
from netc.netspec.optimizers import RMSProp


def _moments(optimizer: RMSProp) -> tuple[str, ...]:
    return ("v", *(("q",) if optimizer.centered else ()), *(("buffer",) if optimizer.momentum else ()))


def _update(
    b: Builder, optimizer: RMSProp, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    g = with_decay(b, optimizer, p, g, decay)
    after = {"v": average(b, optimizer.alpha, kept["v"], b.mul(g, g))}
    squares = after["v"]
    if optimizer.initial:  # v is kept from 0: what is left of its beginning is initial a^t
        left = b.mul(b.sub(1.0, kept["correction1"]), optimizer.initial)
        squares = b.add(squares, b.broadcast(left, p, ()))
    if optimizer.centered:
        after["q"] = average(b, optimizer.alpha, kept["q"], g)
        # a variance, which rounding may leave below 0
        squares = b.maximum(b.sub(squares, b.mul(after["q"], after["q"])), 0.0)
    rate = b.broadcast(lr, p, ())
    if optimizer.inside:
        step = b.mul(rate, b.div(g, b.unary("sqrt", b.add(squares, optimizer.epsilon))))
    else:
        step = b.div(g, b.add(b.unary("sqrt", squares), optimizer.epsilon))
    if optimizer.momentum:
        step = after["buffer"] = b.add(b.mul(kept["buffer"], optimizer.momentum), step)
    return b.sub(p, step if optimizer.inside else b.mul(rate, step)), after


def _advance(b: Builder, optimizer: RMSProp, scalars: dict[str, Value]) -> dict[str, Value]:
    return {"correction1": average(b, optimizer.alpha, scalars["correction1"], 1.0)}


RULES[RMSProp] = OptimizerRule(_moments, ("correction1",), _advance, _update)
