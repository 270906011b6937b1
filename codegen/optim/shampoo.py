"""Shampoo: a gradient between roots of its own second moments of rows and columns (Gupta et al. 2018)."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.adam import average, corrections
from netc.codegen.optim.adam import update as adam
from netc.codegen.optim.muon import FACTOR
from netc.codegen.optim.rule import RULES, OptimizerRule, Shape, decayed
from netc.netspec.optimizers import Adam, Shampoo

SMALLEST_TRACE = 1e-30


def inverse_root(b: Builder, a: Value, power: int, damping: float, iterations: int) -> Value:
    """(a + damping tr(a) I)^(-1/power) of a positive semidefinite matrix a [n, n]; `power` is 2 or 4.

    A coupled Newton iteration (Guo and Higham 2006; Anil et al. 2020): Xᵖ a -> I, while M = Xᵖ a is carried along and
    not computed anew, which would be unstable. The matrices commute, and are symmetric.
    """
    n = a.shape[0]
    rows, columns = b.iota(0, (n, n)), b.iota(1, (n, n))
    one = b.select(b.compare("EQ", rows, columns), b.constant(1.0, a.type), 0.0)
    trace = b.maximum(b.sum(b.mul(a, one), (0, 1)), SMALLEST_TRACE)
    a = b.add(b.div(a, b.broadcast(trace, a, ())), b.mul(one, damping))
    # eigenvalues of M within (0, power + 1): those of a are at most 1 + n damping
    z = (1 + power) / 2 / (1 + n * damping)
    x, m = b.mul(one, z ** (1 / power)), b.mul(a, z)
    for step in range(iterations):
        t = b.sub(b.mul(one, (power + 1) / power), b.mul(m, 1 / power))  # ((p + 1) I - M) / p
        x = b.dot(x, t, (1, 0))
        if step < iterations - 1:
            t = b.dot(t, t, (1, 0))
            m = b.dot(b.dot(t, t, (1, 0)) if power == 4 else t, m, (1, 0))
    # the trace again, which is a scalar: its power by square roots
    scale = b.unary("rsqrt", b.unary("sqrt", trace) if power == 4 else trace)
    return b.mul(x, b.broadcast(scale, x, ()))


def _update(
    b: Builder, optimizer: Shampoo, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    o, shape = optimizer, p.shape
    sides = o.sides(shape)
    if not any(sides):
        return adam(b, Adam(o.beta1, o.beta2, o.epsilon, o.weight_decay), p, g, decay, kept, lr)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    matrix = b.reshape(g, (rows, columns))
    after = {"m": average(b, o.beta1, kept["m"], g)}
    step = b.reshape(after["m"], (rows, columns))
    power, whole = 2 * sum(map(bool, sides)), b.div(1.0, kept["correction2"])
    for name, size, axis in (("left", sides[0], 1), ("right", sides[1], 0)):
        if not size:
            continue
        after[name] = average(b, o.beta2, kept[name], b.dot(matrix, matrix, (axis, axis)))
        moment = b.mul(after[name], b.broadcast(whole, after[name], ()))
        root = inverse_root(b, moment, power, o.damping, o.root_iterations)
        step = b.dot(root, step, (1, 0)) if name == "left" else b.dot(step, root, (1, 0))
    rate = b.mul(b.div(lr, kept["correction1"]), FACTOR * math.sqrt(max(rows, columns)))
    new = b.sub(p, b.mul(b.reshape(step, shape), b.broadcast(rate, p, ())))
    return decayed(b, o, new, p, decay, lr), after


def _shape(optimizer: Shampoo, moment: str, shape: Shape) -> Shape | None:
    left, right = optimizer.sides(shape)
    if moment in ("left", "right"):
        size = left if moment == "left" else right
        return (size, size) if size else None
    return shape if moment == "m" or not (left or right) else None


RULES[Shampoo] = OptimizerRule(
    lambda optimizer: ("m", "v", "left", "right"), ("correction1", "correction2"), corrections, _update, _shape
)
