"""Sums over rows as IREE's CPU adds them well: in two stages.

One number after the other is the order that rounds most: the gradient of a bias, a sum over 128 to 2,080 rows, erred by
up to 3.7 times as much as JAX's or PyTorch's, which add in blocks (docs/measurements/accuracy.md). Over many
rows two stages take 0.5 to 0.7 of the time of one (docs/design-notes.md).
"""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.reductions import two_stages
from netc.codegen.rewrite.walk import each_function, rewrite

ROWS = 2500  # from so many on in STAGES
STAGES = range(64, 7, -1)  # rows of the first stage's result; the first that divides is taken
FEW = 64  # from so many on in stages of about their root: of fewer one order is as good as another


def sum_columns(module: Module) -> Module:
    """The module with every sum over all axes but the last, of FEW rows or more, in that form."""
    return each_function(module, _summed)


def _summed(function: Function) -> Function:
    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        x, dims = operands[0], op.attr("dims")
        if dims != tuple(range(len(x.shape) - 1)) or min(x.shape, default=0) < 1:
            return None
        rows = x.type.size // x.shape[-1]
        if rows < FEW:
            return None
        stages = _near_root(rows) if rows < ROWS else next((n for n in STAGES if rows % n == 0), 1)
        return two_stages(b, x, stages) if stages > 1 else None

    return rewrite(function, visit, ("reduce_sum",))


def _near_root(rows: int) -> int:
    """Of the numbers that divide `rows` the one nearest to its root, 1 where none leaves four rows to each stage."""
    fit = (n for n in range(4, rows // 4 + 1) if rows % n == 0)
    return min(fit, key=lambda n: abs(math.log(n * n / rows)), default=1)
