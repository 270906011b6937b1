"""What a training step of many equal blocks costs, from steps of few: each block more costs what the one before did.

A layer with `blocks` or `times` above `FEWEST` is counted with 8 or 9 blocks and with two more (some kinds alternate
two forms), and the rest is added as often as it is missing. What is not a block's, the sums of the gradient's norm, is
off by less than one operation in a thousand; the rows are those of the net's own layers, depth 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, cast

from netc.codegen.analysis.step_cost import Ceiling, CostRow, step_works, table, useful_flops
from netc.codegen.ir import Module
from netc.codegen.program import Program, build
from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import SpecError
from netc.netspec.layer import Layer
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec

FEWEST = 12
COUNTS = ("blocks", "times")


def step_rows(
    net: CheckedNet, recipe: Recipe, batch: int, lower: Callable[[Program], Module], ceiling: Ceiling, depth: int = 0
) -> tuple[tuple[CostRow, ...], int]:
    """The rows of a step as `table` gives them, and its `useful_flops`; below depth 0 every block is counted."""

    def counted(given: CheckedNet) -> tuple[dict[tuple[str, str], CostRow], int]:
        program = build(given, recipe, batch)
        rows = table(step_works(lower(program)), ceiling, depth)
        return {(row.layer, row.phase): row for row in rows}, useful_flops(program.module)

    many = [] if depth else list(_many(net.spec))
    short = _with_blocks(net.spec, {index: _few(count) for index, count in many})
    if not many or short is None:
        rows, useful = counted(net)
        return tuple(rows.values()), useful
    rows, useful = counted(short)
    total, total_useful = dict(rows), useful
    for index, count in many:
        longer = _with_blocks(short.spec, {index: _few(count) + 2})
        assert longer is not None  # a net of fewer blocks was sound
        more, more_useful = counted(longer)
        times = (count - _few(count)) // 2
        total = {key: _plus(row, times, more[key], rows[key]) for key, row in total.items()}
        total_useful += times * (more_useful - useful)
    return tuple(total.values()), total_useful


def _many(spec: NetSpec) -> Iterator[tuple[int, int]]:
    """The layers of many blocks: index and count."""
    for index, layer in enumerate(spec.layers):
        name = _count_of(layer)
        if name and getattr(layer, name) > FEWEST:
            yield index, getattr(layer, name)


def _count_of(layer: Layer) -> str | None:
    return next((f.name for f in dataclasses.fields(layer) if f.name in COUNTS), None)


def _few(count: int) -> int:
    return 8 + count % 2


def _with_blocks(spec: NetSpec, counts: dict[int, int]) -> CheckedNet | None:
    """The net with so many blocks in these layers; None where a layer has an option for each of its blocks."""
    layers = list(spec.layers)
    for index, count in counts.items():
        name = _count_of(layers[index])
        assert name is not None  # `_many` chose it
        layers[index] = dataclasses.replace(layers[index], **cast("Any", {name: count}))
    try:
        return check(dataclasses.replace(spec, layers=tuple(layers)))
    except SpecError:
        return None


def _plus(row: CostRow, times: int, more: CostRow, less: CostRow) -> CostRow:
    def sum_of(name: str) -> float:
        return float(getattr(row, name) + times * (getattr(more, name) - getattr(less, name)))

    return CostRow(
        row.layer, row.phase, int(sum_of("flops")), int(sum_of("bytes")), sum_of("seconds"), sum_of("arithmetic")
    )  # fmt: skip
