"""What becomes of a batch's examples inside a train step, before the net has them: erased, then mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netc.codegen.builder import Builder
from netc.codegen.erasing import erase
from netc.codegen.ir import Value
from netc.codegen.mixing import Mixed, mix
from netc.netspec.recipe import Recipe


@dataclass(frozen=True)
class Changed:
    """The examples x [B, ..] that the net gets, and with which targets the loss judges its output."""

    x: Value
    mixed: Mixed | None = None

    def targets(self, b: Builder, target: Value) -> tuple[Value, ...]:
        """The examples' own, and where they are mixed those of their partners."""
        return (target, self.mixed.partner(b, target)) if self.mixed else (target,)

    def sum(self, b: Builder, values: Sequence[Value]) -> Value:
        """Of what was made with each of the targets: a v + (1 - a) v', a the share of the own."""
        return self.mixed.sum(b, *values) if self.mixed else values[0]


def change(b: Builder, recipe: Recipe, key: Value | None, x: Value) -> Changed:
    """The examples x [B, ..] of a step, changed as the recipe says; `key` [2] ui32 is the step's, where it draws."""
    if key is None:
        return Changed(x)
    if recipe.erasing.random_erasing:
        with b.at("erasing"):
            x = erase(b, recipe.erasing, key, x)
    if not recipe.mixing.on:
        return Changed(x)
    with b.at("mixing"):
        mixed = mix(b, recipe.mixing, key, x)
    return Changed(mixed.x, mixed)
