"""What a training says in epochs of things that its program counts in steps."""

from __future__ import annotations

from dataclasses import replace

from netc.netspec.errors import UserError
from netc.netspec.recipe import Recipe, TrainConfig


def in_steps(training: TrainConfig, recipe: Recipe, per_epoch: int) -> tuple[TrainConfig, Recipe]:
    """Both with `swa_start_epoch` and `unfreeze` said in steps by the recipe, of which an epoch has `per_epoch`.

    An average from epoch E on takes the weights after the last step of each epoch (Izmailov et al. 2018, algorithm 1).
    Raises UserError where both say the same, and SpecError for what the recipe does not take.
    """
    averaging, groups = recipe.averaging, recipe.groups
    if epoch := training.swa_start_epoch:
        if averaging.swa_start or averaging.swa_every != 1:
            raise UserError(
                "`swa_start_epoch` averages after each epoch, `swa_start` and `swa_every` after steps, got both; leave "
                "one of them out"
            )
        averaging = replace(averaging, swa_start=(epoch + 1) * per_epoch - 1, swa_every=per_epoch)
    if training.unfreeze:
        if groups.thaw:
            raise UserError("`unfreeze` says in epochs what `thaw` says in steps, got both; leave one of them out")
        named = (entry.strip().rpartition("=") for entry in training.unfreeze.split(","))
        groups = replace(groups, thaw=tuple(f"{name}={int(epochs) * per_epoch}" for name, _, epochs in named))
    if averaging is recipe.averaging and groups is recipe.groups:
        return training, recipe
    recipe = replace(recipe, averaging=averaging, groups=groups).check()
    return replace(training, swa_start_epoch=0, unfreeze=""), recipe
