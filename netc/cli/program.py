"""The program that a command's NET and recipe options ask for, a Lean file's TrainConfig among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netc.cli.lean_config import with_config
from netc.cli.options import resolve_net
from netc.cli.recipe_options import recipe_of

if TYPE_CHECKING:
    from netc.codegen.program import Program
    from netc.netspec.recipe import Recipe


def program_of(
    net: str,
    classes: int | None,
    input_: str | None,
    batch: int,
    recipe: dict[str, Any],
    *,
    steps_per_call: int = 1,
    whole: str | None = None,
) -> Program:
    """The program, not lowered yet; `whole` is the name of a command that cannot take a batch in parts.

    Raises UserError or SpecError.
    """
    from netc.codegen.program import build

    checked, options = resolve_net(net, classes, input_), with_config(net, {"batch": batch, **recipe})
    chosen = recipe_of(options)
    if whole is not None:
        refuse_parts(whole, chosen)
    return build(checked, chosen, options["batch"], steps_per_call=steps_per_call)


def refuse_parts(command: str, recipe: Recipe) -> None:
    """Raise UserError for a recipe that accumulates."""
    from netc.netspec.errors import UserError

    if recipe.accumulate > 1:
        raise UserError(
            f"{command} wants a step whose batch passes whole, got --accumulate {recipe.accumulate}; give "
            "--accumulate 1, and --batch the size of one part"
        )
