"""Sums over rows as IREE's CPU adds them well: in two stages, and over many not joined with a product of two tensors.

Such a sum walks down the rows for a few columns at a time. Of one tensor of [12544, 256] it takes 0.6 to 1.1 ms, of the
product of two 4.5 to 5.7; behind a barrier the product is made in order, and both take 1.8 (docs/design-notes.md).

One number after the other is also the order that rounds most: the gradient of a bias, a sum over 128 to 2,080 rows,
erred by up to 3.7 times as much as JAX's or PyTorch's, which add in blocks (docs/measurements/accuracy.md).
"""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.reductions import two_stages
from netc.codegen.rewrite.walk import each_function, rewrite

ROWS = 2500  # from so many on in order: of fewer, as of tokens, a sum is the faster joined with what is summed
STAGES = range(64, 7, -1)  # rows of the first stage's result; the first that divides is taken
FEW = 64  # from so many on in stages of about their root: of fewer one order is as good as another


def sum_columns(module: Module) -> Module:
    """The module with every sum over all axes but the last, of FEW rows or more, in that form."""
    return each_function(module, _summed)


def _summed(function: Function) -> Function:
    makers = {op.result: op for op in function.ops if op.kind in ("mul", "broadcast")}

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        x, dims = operands[0], op.attr("dims")
        if dims != tuple(range(len(x.shape) - 1)) or min(x.shape, default=0) < 1:
            return None
        rows = x.type.size // x.shape[-1]
        if rows < FEW:
            return None
        if rows < ROWS:
            stages = _near_root(rows)
            return two_stages(b, x, stages) if stages > 1 else None
        two = _of_two(makers.get(op.operands[0]), makers)
        if two:
            x = b.op("barrier", x)
        stages = next((n for n in STAGES if rows % n == 0), 1)
        if stages > 1:
            return two_stages(b, x, stages)
        return b.sum(x, dims) if two else None

    return rewrite(function, visit, ("reduce_sum",))


def _near_root(rows: int) -> int:
    """Of the numbers that divide `rows` the one nearest to its root, 1 where none leaves four rows to each stage."""
    fit = (n for n in range(4, rows // 4 + 1) if rows % n == 0)
    return min(fit, key=lambda n: abs(math.log(n * n / rows)), default=1)


def _of_two(made: Op | None, makers: dict[Value, Op]) -> bool:
    """Whether a value is the product of two tensors, neither of which repeats a smaller one."""
    if made is None or made.kind != "mul" or made.operands[0] is made.operands[1]:
        return False
    return not any(v in makers and makers[v].kind == "broadcast" for v in made.operands)
