"""Whether the backward pass computes again what a recipe asks for, and the sentence where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from netc.codegen.ir import Function
from netc.codegen.location import location_of
from netc.codegen.rules import block_of
from netc.netspec.groups import within
from netc.netspec.nearest import did_you_mean
from netc.netspec.recipe import Recipe

FEW = 8  # names in a sentence
Emit = Callable[[Recipe], Function]


def problems(name: str, recipe: Recipe, step: Iterable[Function], emit: Emit) -> list[str]:
    """One sentence for each thing that is asked for and that the functions of a step do not compute again.

    `emit` gives the step of another recipe of the same net, to find out why.
    """
    if not recipe.recomputed:
        return []
    again = _paths(step)
    missed = [asked for asked in recipe.remat_blocks if not any(within(path, (asked,)) for path in again)]
    if again and not missed:
        return []
    every = replace(recipe.without_remat, remat=True, accumulate=1)
    if known := recomputed_blocks([emit(every)]):
        return [_unknown(name, asked, known) for asked in missed]
    word = "remat" if recipe.remat else "remat_blocks"
    if recipe.groups.freeze and _paths([emit(replace(every, groups=replace(recipe.groups, freeze=())))]):
        return [f"{word} wants a block that is trained, got {name} with all frozen; leave {word} out"]
    return [f"{word} wants a net with blocks (block0, block1, ..), got {name} without; leave {word} out"]


def recomputed_blocks(step: Iterable[Function]) -> list[str]:
    """The paths of the outermost blocks that a step computes again, in the order of the forward pass."""
    found = (block_of(path.split(".")) for path in _paths(step))
    return list(dict.fromkeys(block for block in found if block))[::-1]


def _paths(functions: Iterable[Function]) -> dict[str, None]:
    """The paths of the operations that are computed again."""
    found = (location_of(op.loc) for f in functions for op in f.ops)
    return {".".join(place.path): None for place in found if place.phase == "remat"}


def _unknown(name: str, asked: str, known: list[str]) -> str:
    shown = ", ".join(known[:FEW]) + (", .." if len(known) > FEW else "")
    do = did_you_mean(asked, known, f"its blocks are {shown}")
    return f"{name}: `remat_blocks` wants blocks that are trained, got {asked!r}; {do}"
