"""Adafactor: second moments of rows and columns (Shazeer and Stern 2018)."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.norms import norm
from netc.codegen.optim.rule import RULES, OptimizerRule, Shape, decayed
from netc.netspec.optimizers import Adafactor

SMALLEST_SCALE = 1e-3  # of a parameter


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def _mean(b: Builder, x: Value, axis: int) -> Value:
    return b.mul(b.sum(x, (axis,)), 1 / x.shape[axis])


def _rms(b: Builder, x: Value) -> Value:
    return b.mul(norm(b, [x]), 1 / math.sqrt(max(math.prod(x.shape), 1)))


def _update(
    b: Builder, optimizer: Adafactor, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    # t^-fading, 1 - b of the class
    forget = b.unary("exp", b.mul(b.unary("log", kept["correction1"]), -optimizer.fading))

    def average(old: Value, new: Value) -> Value:
        rate = b.broadcast(forget, old, ())
        return b.add(b.mul(old, b.sub(1.0, rate)), b.mul(new, rate))

    def along(x: Value, axis: int) -> Value:
        return b.broadcast(x, p, tuple(i for i in range(len(p.shape)) if i != axis))

    squares, axes = b.add(b.mul(g, g), optimizer.epsilon), optimizer.factored(p.shape)
    if axes is None:
        after = {"v": average(kept["v"], squares)}
        step = b.mul(g, b.unary("rsqrt", after["v"]))
    else:
        longest, other = axes
        rows = average(kept["rows"], _mean(b, squares, longest))
        columns = average(kept["columns"], _mean(b, squares, other))
        after = {"rows": rows, "columns": columns}
        place = other - (longest < other)
        mean = b.broadcast(_mean(b, rows, place), rows, tuple(i for i in range(len(rows.shape)) if i != place))
        step = b.mul(g, along(b.unary("rsqrt", b.div(rows, mean)), longest))
        step = b.mul(step, along(b.unary("rsqrt", columns), other))
    rate = b.div(lr, b.maximum(b.mul(_rms(b, step), 1 / optimizer.threshold), 1.0))
    if not optimizer.absolute:
        rate = b.mul(rate, b.maximum(_rms(b, p), SMALLEST_SCALE))
    new = b.sub(p, b.mul(step, b.broadcast(rate, p, ())))
    return decayed(b, optimizer, new, p, decay, lr), after


def _shape(optimizer: Adafactor, moment: str, shape: Shape) -> Shape | None:
    axes = optimizer.factored(shape)
    if axes is None:
        return shape if moment == "v" else None
    return {"rows": _without(shape, axes[0]), "columns": _without(shape, axes[1])}.get(moment)


def _advance(b: Builder, optimizer: Adafactor, scalars: dict[str, Value]) -> dict[str, Value]:
    return {"correction1": b.add(scalars["correction1"], 1.0)}  # the number of the step


RULES[Adafactor] = OptimizerRule(
    lambda optimizer: ("v", "rows", "columns"), ("correction1",), _advance, _update, _shape
)
