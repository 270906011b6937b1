"""What a training says in epochs of things that its program counts in steps."""

from __future__ import annotations

from dataclasses import replace

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.recipe import Recipe, TrainConfig


def in_steps(
    training: TrainConfig, recipe: Recipe, per_epoch: int, net: CheckedNet | None = None
) -> tuple[TrainConfig, Recipe]:
    """Both with `swa_start_epoch` and `unfreeze` said in steps by the recipe, of which an epoch has `per_epoch`.

    An average from epoch E on takes the weights after the last step of each epoch (Izmailov et al. 2018, algorithm 1).
    Raises UserError where both say the same, for epochs that the run has not, and for layers that `net` has not, and
    SpecError for what the recipe does not take.
    """
    averaging, groups = recipe.averaging, recipe.groups
    steps = training.steps(per_epoch)
    whole, begun = steps // per_epoch, -(-steps // per_epoch)
    if epoch := training.swa_start_epoch:
        if averaging.swa_start or averaging.swa_every != 1:
            raise UserError(
                "`swa_start_epoch` averages after each epoch, `swa_start` and `swa_every` after steps, got both; leave "
                "one of them out"
            )
        if (epoch + 1) * per_epoch > steps:
            raise UserError(
                f"`swa_start_epoch` wants an epoch of the run, counted from 0 and below {whole:,}, got {epoch:,}; give "
                "a smaller one"
            )
        averaging = replace(averaging, swa_start=(epoch + 1) * per_epoch - 1, swa_every=per_epoch)
    if training.unfreeze:
        if groups.thaw:
            raise UserError("`unfreeze` says in epochs what `thaw` says in steps, got both; leave one of them out")
        named = (entry.strip().rpartition("=") for entry in training.unfreeze.split(","))
        waits = {name: int(epochs) for name, _, epochs in named}
        for name, epochs in waits.items():
            if epochs * per_epoch >= steps:
                raise UserError(
                    f"`unfreeze` wants fewer epochs than the run's {begun:,}, got {epochs:,} for {name}; give "
                    "a smaller number, or freeze the layer"
                )
        groups = replace(groups, thaw=tuple(f"{name}={epochs * per_epoch}" for name, epochs in waits.items()))
        if problems := [*groups.misfits(net)] if net else []:
            raise UserError("\n".join(problem.replace("`thaw`", "`unfreeze`") for problem in problems))
    if averaging is recipe.averaging and groups is recipe.groups:
        return training, recipe
    recipe = replace(recipe, averaging=averaging, groups=groups).check()
    return replace(training, swa_start_epoch=0, unfreeze=""), recipe
