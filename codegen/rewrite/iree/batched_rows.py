"""Puts barriers before products of a few matrices whose rows do not fill their tiles, on IREE's CPU.

IREE 3.12 packs the operands of a product in tiles of 16 rows (8 or 4 where there are fewer), within the operation that
makes them, and unpacks the result within the one that reads it. Where these have a reduction in them, such as the
maximum and the sum of a softmax, and B matrices of T rows take as many tiles one by one as all their rows do end to
end, it takes them end to end: wrong numbers, and no word of it (docs/upstream-issues/short-attention-cpu.md). Behind a
barrier an operand is packed by itself, and a result unpacked by itself, and they are right.
"""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite

TILES = (4, 8, 16)


def part_batched_rows(module: Module) -> Module:
    """The module with a barrier before each such operand that is computed, and behind the product."""
    return each_function(module, _part)


def _part(function: Function) -> Function:
    given = set(function.params)

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        sides = zip(op.operands, op.attr("contract"), op.attr("batch"), strict=True)
        ragged = [_ragged(v.shape, axes, batch) for v, axes, batch in sides]
        if not any(ragged):
            return None
        made = (v not in given and here for v, here in zip(op.operands, ragged, strict=True))
        behind = (b.op("barrier", v) if part else v for v, part in zip(operands, made, strict=True))
        return b.op("barrier", b.op("dot", *behind, **dict(op.attrs)))

    return rewrite(function, visit, ("dot",))


def _ragged(shape: tuple[int, ...], contract: tuple[int, ...], batch: tuple[int, ...]) -> bool:
    """Whether several matrices take as many tiles as their rows end to end, some of them not full."""
    count = math.prod(shape[i] for i in batch)
    rows = math.prod(n for i, n in enumerate(shape) if i not in (*contract, *batch))
    if not isinstance(count * rows, int) or count < 2:
        return False
    return any(0 < count * (-rows % tile) < tile for tile in TILES)
