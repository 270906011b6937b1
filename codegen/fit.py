"""What of a program's sizes does not fit each other, said before anything is emitted."""

from __future__ import annotations

from collections.abc import Iterator

from netc.netspec.check import CheckedNet
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import misfits


def size_problems(net: CheckedNet, recipe: Recipe, batch: int, steps_per_call: int, replicas: int) -> list[str]:
    """One sentence for each reason why these cannot be one program."""
    problems = [*_batch_problems(recipe, batch, replicas)]
    if type(steps_per_call) is not int or not 1 <= steps_per_call < 1 << 16:
        problems.append(f"steps_per_call wants a positive integer below 2^16, got {steps_per_call!r}")
    elif steps_per_call > 1 and recipe.accumulate > 1:  # IREE 3.12 loses the buffers of a loop in a loop
        problems.append(
            f"steps_per_call {steps_per_call} is for small nets and accumulate {recipe.accumulate} for large ones, got "
            "both; leave one of them at 1"
        )
    if not net.params:
        problems.append(f"{net.spec.name}: wants at least one trained parameter, got none; add a dense or conv2d layer")
    problems += [f"{net.spec.name}: {p}" for p in (() if recipe.generation.process else recipe.loss.misfits(net.out))]
    return problems or [*misfits(net, recipe, batch // replicas)]


def _batch_problems(recipe: Recipe, batch: int, replicas: int) -> Iterator[str]:
    # a float would be printed, and what is remembered of 8.0 is found for 8
    if type(batch) is not int or not 1 <= batch < 1 << 24:
        yield f"batch wants a positive integer below 2^24, got {batch!r}"
    elif type(replicas) is not int or not 1 <= replicas < 1 << 16:
        yield f"replicas wants a positive integer below 2^16, got {replicas!r}"
    elif batch % replicas:
        yield (
            f"replicas wants a number of equal parts of the batch of {batch}, got {replicas}; choose one that divides "
            "it, or another batch"
        )
    elif batch // replicas % recipe.accumulate:
        each = f" on each of {replicas} replicas" if replicas > 1 else ""
        yield (
            f"accumulate wants a number of equal parts of the batch of {batch // replicas}{each}, got "
            f"{recipe.accumulate}; choose one that divides it"
        )
