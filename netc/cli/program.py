"""The program that a command's NET and recipe options ask for, a Lean file's TrainConfig among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netc.cli.lean_config import with_config
from netc.cli.options import resolve_net
from netc.cli.recipe_options import recipe_of

if TYPE_CHECKING:
    from netc.codegen.program import Program
    from netc.netspec.check import CheckedNet
    from netc.netspec.recipe import Recipe


def training_of(
    net: str, classes: int | None, input_: str | None, batch: int, recipe: dict[str, Any]
) -> tuple[CheckedNet, Recipe, int]:
    """The net, the recipe and the batch that are asked for. Raises UserError or SpecError."""
    checked, options = resolve_net(net, classes, input_), with_config(net, {"batch": batch, **recipe})
    return checked, recipe_of(options), options["batch"]


def program_of(
    net: str,
    classes: int | None,
    input_: str | None,
    batch: int,
    recipe: dict[str, Any],
    *,
    steps_per_call: int = 1,
) -> Program:
    """The program, not lowered yet. Raises UserError or SpecError."""
    from netc.codegen.program import build

    return build(*training_of(net, classes, input_, batch, recipe), steps_per_call=steps_per_call)
