"""What an optimizer's rule is: the tensors that it keeps, and one update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.netspec.errors import UserError
from netc.netspec.optimizers import Optimizer

Update = Callable[[Builder, Any, Value, Value, bool, dict[str, Value], Value], tuple[Value, dict[str, Value]]]
Shape = tuple[int, ...]
Shared = Callable[[Builder, Any, dict[str, Value]], dict[str, Value]]


@dataclass(frozen=True)
class OptimizerRule:
    """`moments`: names of the tensors kept for each parameter, zero at first. `scalars`: names kept once.

    `shape(optimizer, moment, shape)` is the shape of a moment for a parameter of that shape: the same, if nothing else
    is said; None where none is kept.

    `advance(b, optimizer, scalars)` gives the scalars of this step from those of the last and the rate `lr`, which is
    among them; `update(b, optimizer, p, g, decay, kept, lr)` the new parameter and its new moments, where `kept` holds
    the moments and the advanced scalars. `point(b, optimizer, p, kept)` is where the gradient is taken, if not at p.
    """

    moments: Callable[[Any], tuple[str, ...]]
    scalars: tuple[str, ...]
    advance: Shared
    update: Update
    shape: Callable[[Any, str, Shape], Shape | None] = lambda optimizer, moment, shape: shape
    point: Callable[[Builder, Any, Value, dict[str, Value]], Value] | None = None


RULES: dict[type[Optimizer], OptimizerRule] = {}


def with_decay(b: Builder, optimizer: Optimizer, p: Value, g: Value, decay: bool) -> Value:
    """The gradient, or a step before its rate, with weight decay: g + weight_decay p, or g where nothing decays."""
    return b.add(g, b.mul(p, optimizer.weight_decay)) if decay and optimizer.weight_decay else g


def decayed(b: Builder, optimizer: Optimizer, new: Value, p: Value, decay: bool, lr: Value) -> Value:
    """The new parameter with decoupled weight decay: new - lr weight_decay p, or new where nothing decays."""
    if not (decay and optimizer.weight_decay):
        return new
    return b.sub(new, b.mul(p, b.broadcast(b.mul(lr, optimizer.weight_decay), p, ())))


def rule_of(optimizer: Optimizer) -> OptimizerRule:
    """The rule that updates parameters as `optimizer` declares; raises UserError if none was written."""
    found = RULES.get(type(optimizer))
    if found is None:
        raise UserError(
            f"{optimizer.kind} is declared and has no rule, got RULES of {', '.join(cls.kind for cls in RULES)}; add "
            f"RULES[{type(optimizer).__name__}] in codegen/optim"
        )
    return found
