"""Whether a recipe's parts fit a net, and the net as the recipe changes it."""

from __future__ import annotations

from collections.abc import Iterator

from netc.netspec.check import CheckedNet, check
from netc.netspec.recipe import Recipe


def misfits(net: CheckedNet, recipe: Recipe, batch: int) -> Iterator[str]:
    """Yield one sentence for each part of the recipe that cannot train this net on batches of that many examples."""
    yield from recipe.mixing.misfits(net.x, net.out, batch // recipe.accumulate)
    yield from recipe.erasing.misfits(net.x)
    yield from recipe.regularisation.misfits(net.spec)
    yield from recipe.groups.misfits(net)
    if recipe.wrapping.sam and recipe.scan_blocks:
        yield "`sam` wants no `scan_blocks`, got both: the step has each block twice; leave one of them out"


def trained(net: CheckedNet, recipe: Recipe) -> CheckedNet:
    """The net that is trained: with the rates of drop-path and dropout that the recipe states."""
    spec = recipe.regularisation.of(net.spec)
    return net if spec is net.spec else check(spec)
