"""The state of a training as a fixed list of tensors: which there are, in which order."""

from __future__ import annotations

from dataclasses import dataclass

from netc.codegen.optim import rule_of
from netc.netspec.check import CheckedNet
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType

SCALAR = TensorType(())
KEY = TensorType((2,), "ui32")
STEP = TensorType((), "i32")
TEACHER = "teacher/"
"""What the names of a teacher's slots begin with."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor of the state.

    `role` is parameter, statistic, moment, slow, correction, average, teacher, step or key.
    """

    name: str
    role: str
    type: TensorType


def state_of(net: CheckedNet, recipe: Recipe) -> tuple[Slot, ...]:
    """Every tensor of the state: parameters, statistics, moments, scalars, averages, teacher, step, key."""
    rule = rule_of(recipe.optimizer)
    moments = rule.moments(recipe.optimizer)
    average = recipe.averaging.word
    return (
        *(Slot(p.name, "parameter", TensorType(p.shape)) for p in net.params),
        *(Slot(s.name, "statistic", TensorType(s.shape)) for s in net.state),
        *(
            Slot(f"{m}/{p.name}", "moment", TensorType(shape))
            for m in moments
            for p in net.params
            if not recipe.groups.is_frozen(p.name) and (shape := rule.shape(recipe.optimizer, m, p.shape)) is not None
        ),
        *(
            Slot(f"slow/{p.name}", "slow", TensorType(p.shape))
            for p in net.params
            if recipe.wrapping.lookahead and not recipe.groups.is_frozen(p.name)
        ),
        *(Slot(c, "correction", SCALAR) for c in rule.scalars),
        *(Slot(f"{average}/{n}", "average", TensorType(s)) for n, s in net.shapes.items() if average),
        *(Slot(f"{TEACHER}{n}", "teacher", TensorType(s)) for n, s in recipe.distilling.shapes.items()),
        Slot("step", "step", STEP),
        Slot("key", "key", KEY),
    )


def kept_of(state: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """The part that evaluation needs: parameters, then statistics."""
    return tuple(s for s in state if s.role in ("parameter", "statistic"))


def averages_of(state: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """The averages of what `kept_of` gives, in its order; empty if the recipe keeps none."""
    return tuple(s for s in state if s.role == "average")
