"""Pooling as StableHLO says it: what a window starts from is an operand, and a maximum's gradient is a scatter.

The ops of window.py say what a net means, and forms compute them tap by tap; these are for a text that says it too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from netc.codegen.ir import Op
from netc.codegen.ops.table import OpDef, arrow, ints, mlir_type, want
from netc.codegen.ops.window import Pair, Sides, mean_max_pool_grad, mean_pool, pool, pool_flops
from netc.netspec.types import TensorType


def _window(x: TensorType, init: TensorType, *, kernel: Pair, stride: Pair, padding: Sides) -> TensorType:
    want(init == TensorType((), x.dtype), "a scalar of the element type to start from", init)
    return pool(x, kernel=kernel, stride=stride, padding=padding)


def _scatter(
    x: TensorType, dy: TensorType, init: TensorType, *, kernel: Pair, stride: Pair, padding: Sides
) -> TensorType:
    y = _window(x, init, kernel=kernel, stride=stride, padding=padding)
    want(y == dy, f"dy of the pool's type {y}", dy)
    return x


def _mean_scatter(A: Any, op: Op, x: Any, dy: Any, init: Any) -> Any:
    """dy of each window is added to its first maximum."""
    y = mean_pool(A, op, x, op.operands[1].type, maximum=True)
    return mean_max_pool_grad(A, op, x, y, dy)


def _attributes(op: Op) -> str:
    (kh, kw), (sh, sw) = op.attr("kernel"), op.attr("stride")
    sides = ints([ints(side) for side in ((0, 0), *op.attr("padding"), (0, 0))])
    return (
        f"window_dimensions = array<i64: 1, {kh}, {kw}, 1>, window_strides = array<i64: 1, {sh}, {sw}, 1>, "
        f"padding = dense<{sides}> : tensor<4x2xi64>"
    )


def _region(statement: str, gives: str, dtype: str) -> str:
    """A body of one statement on two numbers x and y, whose result is `r`."""
    number = f"tensor<{dtype}>"
    return f"{{ ^bb0(%x: {number}, %y: {number}): %r = stablehlo.{statement} stablehlo.return %r : {gives} }}"


def _spell_window(name: str, op: Op, args: Sequence[str]) -> str:
    number = mlir_type(op.operands[1].type)
    body = _region(f"{name} %x, %y : {number}", number, op.result.type.dtype)
    return f'"stablehlo.reduce_window"({", ".join(args)}) <{{{_attributes(op)}}}> ({body}) : {arrow(op)}'


def _spell_scatter(op: Op, args: Sequence[str]) -> str:
    number = mlir_type(op.operands[2].type)
    compared = f"compare GE, %x, %y, FLOAT : ({number}, {number}) -> tensor<i1>"
    dtype = op.result.type.dtype
    bodies = f"{_region(compared, 'tensor<i1>', dtype)}, {_region(f'add %x, %y : {number}', number, dtype)}"
    return f'"stablehlo.select_and_scatter"({", ".join(args)}) <{{{_attributes(op)}}}> ({bodies}) : {arrow(op)}'


ROWS: tuple[OpDef, ...] = (
    OpDef(
        "window_max", _window, lambda op, args: _spell_window("maximum", op, args),
        lambda A, op, x, init: mean_pool(A, op, x, op.result.type, maximum=True), pool_flops,
    ),
    OpDef(
        "window_sum", _window, lambda op, args: _spell_window("add", op, args),
        lambda A, op, x, init: mean_pool(A, op, x, op.result.type, maximum=False), pool_flops,
    ),
    OpDef(
        "scatter_to_max", _scatter, _spell_scatter, _mean_scatter,
        lambda op: op.operands[1].type.size * int(math.prod(op.attr("kernel"))),
    ),
)  # fmt: skip
