"""Blocks to compute again so that what a compiler plans for a step fits a budget of memory.

The counted bytes order the blocks (codegen/analysis/recompute.py), and the compiler's own plan judges: of the step
without, of the choice that is counted least, and of those between them where a straight line through what is known
meets the budget. Nothing is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from netc.codegen.analysis.recompute import Choice, choices
from netc.codegen.program import Program
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.codegen.rewrite.lower import lower
from netc.netspec.errors import SpecError, UserError
from netc.netspec.recipe import Recipe
from netc.runtime.measure.memory import compiled_peak
from netc.runtime.prepare import in_use
from netc.runtime.target import Target

MOST = 8  # plans that are made at most; what fits then is taken


@dataclass(frozen=True)
class Fit:
    """The blocks, of so many `known`, that are computed again; the bytes planned with that, and `without`.

    `share`: what it adds to the time of a step, by the cost model.
    """

    blocks: tuple[str, ...]
    known: int
    peak: int
    without: int
    share: float

    def __str__(self) -> str:
        if not self.blocks:
            return f"no block is recomputed: the plan of a step, {_mb(self.peak)}, fits"
        return (
            f"recomputes {len(self.blocks)} of {self.known} blocks, {', '.join(ranges(self.blocks))}: the plan of a "
            f"step is {_mb(self.peak)}, {_mb(self.without)} without; by the cost model a step takes {self.share:.0%} "
            "longer"
        )


def fit_blocks(
    build: Callable[[Recipe], Program],
    recipe: Recipe,
    target: Target,
    budget: int,
    forms: FormOverrides = NO_OVERRIDES,
    said: Callable[[str], None] = lambda text: None,
) -> Fit:
    """The blocks of the net whose step `build` makes to compute again, so that its plan has at most `budget` bytes.

    `forms` are those of single convolutions; `said` gets what is being planned. Raises UserError where nothing fits,
    which names the smallest plan that was found, where the recipe names blocks itself, and for a target without a
    compiler.
    """
    for word in ("remat", "remat_blocks"):
        if getattr(recipe, word):
            raise UserError(f"`memory_budget` chooses the blocks to recompute, got `{word}` too; leave one of them out")
    plain = build(recipe)
    forms = in_use(plain, target, forms)

    def planned(blocks: Sequence[str]) -> int:
        said(f"planning the memory of {plain.net.spec.name}, {len(blocks) or 'no'} blocks recomputed")
        program = build(replace(recipe, remat_blocks=tuple(blocks))) if blocks else plain
        return compiled_peak(program, target, forms).total

    plans = {0: planned(())}
    if plans[0] <= budget:
        return Fit((), 0, plans[0], plans[0], 0.0)
    order = _order(plain, build, target, forms)
    least = min(range(len(order)), key=lambda n: order[n].bytes)
    for last in dict.fromkeys((least, len(order) - 1)):
        plans.setdefault(last, 0)
        plans[last] = plans[last] or planned(order[last].blocks)
        if plans[last] <= budget:
            break
    else:
        raise UserError(_too_small(plain, target, budget, order, plans))
    first = 0
    while last - first > 1 and len(plans) < MOST:
        guess = _between(order, plans, first, last, budget)
        plans[guess] = planned(order[guess].blocks)
        first, last = (first, guess) if plans[guess] <= budget else (guess, last)
    found = order[last]
    return Fit(found.blocks, len(order) - 1, plans[last], plans[0], found.share)


def _order(plain: Program, build: Callable[[Recipe], Program], target: Target, forms: FormOverrides) -> list[Choice]:
    """The choices, from no block to all; no other than the first of a net without blocks that are trained."""
    try:
        again = build(replace(plain.recipe, remat=True))
    except SpecError:  # the step without was sound, so it is blocks that are missing
        return [Choice((), 0, 0.0)]
    modules = (lower(target.suited(program.module), target.profile, forms) for program in (plain, again))
    return list(choices(plain.state, *modules))


def _between(order: Sequence[Choice], plans: dict[int, int], first: int, last: int, budget: int) -> int:
    """The choice between two that are planned, where the plan is expected to fit first."""
    high, low = order[first].bytes, order[last].bytes
    slope = (plans[first] - plans[last]) / (high - low) if high != low else 0.0
    inside = range(first + 1, last)
    fits = (n for n in inside if plans[last] + slope * (order[n].bytes - low) <= budget)
    return next(fits, inside[-1])


def _too_small(
    plain: Program, target: Target, budget: int, order: Sequence[Choice], plans: dict[int, int]
) -> str:  # fmt: skip
    least = min(plans, key=lambda n: plans[n])
    what = f"{plain.net.spec.name} at a batch of {plain.batch} on {target.word}"
    how = f"its smallest plan, {len(order[least].blocks)} of {len(order) - 1} blocks recomputed"
    if len(order) == 1:
        how = "its plan, for it has no blocks to recompute"
    return (
        f"`memory_budget` wants at least {_mb(plans[least])} for {what}, {how}, got {_exact(budget)}; give that, a "
        "smaller `batch`, or `accumulate` to take the batch in parts"
    )


def _mb(count: int) -> str:
    return f"{-(-count // 10**5) / 10:.1f} MB"  # rounded up: what is said to be enough is


def _exact(count: int) -> str:
    return f"{count / 1e6:.6f}".rstrip("0").rstrip(".") + " MB"


_NUMBERED = re.compile(r"(.*\D)(\d+)")


def ranges(blocks: Sequence[str]) -> Iterator[str]:
    """`stage1.block0-2` for three in a row.

    >>> [*ranges(("a.block0", "a.block1", "b.block4"))]
    ['a.block0-1', 'b.block4']
    """
    parts = [(found[1], int(found[2])) for path in blocks if (found := _NUMBERED.fullmatch(path))]
    for (stem, _), run in groupby(enumerate(parts), key=lambda pair: (pair[1][0], pair[1][1] - pair[0])):
        numbers = [number for _, (_, number) in run]
        yield f"{stem}{numbers[0]}" + (f"-{numbers[-1]}" if len(numbers) > 1 else "")
