"""Adam and AdamW (Kingma and Ba 2015; Loshchilov and Hutter 2019)."""

from __future__ import annotations

from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.optim.rule import RULES, OptimizerRule, decayed, with_decay
from netc.netspec.optimizers import Adam


def average(b: Builder, beta: float, old: Value, new: Value | float) -> Value:
    """The moving average beta old + (1 - beta) new."""
    kept = b.mul(old, beta)
    return b.add(kept, b.mul(new, 1 - beta) if isinstance(new, Value) else (1 - beta) * new)


def corrections(b: Builder, optimizer: Any, scalars: dict[str, Value]) -> dict[str, Value]:
    """Adam's scalars of this step, for whatever keeps the same."""
    # The bias correction 1 - beta^t is the moving average of the constant 1, so it is kept as one: both averages
    # round alike, and there is no power and no cancellation.
    return {
        "correction1": average(b, optimizer.beta1, scalars["correction1"], 1.0),
        "correction2": average(b, optimizer.beta2, scalars["correction2"], 1.0),
    }


def moments(b: Builder, optimizer: Any, g: Value, kept: dict[str, Value]) -> tuple[Value, Value]:
    """Adam's m and v of this step."""
    return average(b, optimizer.beta1, kept["m"], g), average(b, optimizer.beta2, kept["v"], b.mul(g, g))


def root(b: Builder, v: Value, kept: dict[str, Value]) -> Value:
    """sqrt(v / c2)."""
    return b.unary("sqrt", b.mul(v, b.broadcast(b.div(1.0, kept["correction2"]), v, ())))


def update(
    b: Builder, optimizer: Adam, p: Value, g: Value, decay: bool, kept: dict[str, Value], lr: Value
) -> tuple[Value, dict[str, Value]]:
    """The new parameter and its moments."""
    m, v = moments(b, optimizer, g if optimizer.decoupled else with_decay(b, optimizer, p, g, decay), kept)
    # lr (m / c1) / (sqrt(v / c2) + epsilon)
    step = b.broadcast(b.div(lr, kept["correction1"]), p, ())
    below = root(b, v, kept)
    new = b.sub(p, b.div(b.mul(m, step), b.add(below, optimizer.epsilon)))
    return decayed(b, optimizer, new, p, decay and optimizer.decoupled, lr), {"m": m, "v": v}


RULES[Adam] = OptimizerRule(lambda optimizer: ("m", "v"), ("correction1", "correction2"), corrections, update)
