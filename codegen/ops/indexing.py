"""Operations that read or add rows of a table by integer indices.

`take` and its adjoint `take_grad` clamp: an index below 0 means row 0, one above the last means the last row, as
`stablehlo.gather` has it. Their meaning is a product with a one-hot matrix, which any arithmetic with + and x can say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from netc.codegen.ir import Op
from netc.codegen.ops.table import OpDef, arrow, mlir_type, no_flops, want
from netc.netspec.types import TensorType

INDEX = "index_vector_dim"


def _take(table: TensorType, ids: TensorType) -> TensorType:
    want(table.rank == 2 and table.dtype in ("f32", "f64", "bf16"), "a table of floats [rows, D]", table)
    want(ids.dtype == "i32", "indices of i32", ids)
    return TensorType((*ids.shape, table.shape[1]), table.dtype)


def _take_grad(ids: TensorType, dy: TensorType, *, rows: int) -> TensorType:
    want(rows > 0 and dy.rank > 0, "at least one row and a cotangent [.., D]", (rows, str(dy)))
    table = TensorType((rows, dy.shape[-1]), dy.dtype)
    want(_take(table, ids) == dy, "dy of the type that take gives", dy)
    return table


def _add_rows(table: TensorType, ids: TensorType, rows: TensorType) -> TensorType:
    want(_take(table, ids) == rows, "rows of the type that take gives", rows)
    return table


def _one_hot(A: Any, ids: Any, rows: int, like: TensorType, clamped: bool) -> Any:
    """[number of ids, rows]: 1 where the row is the one that the id means."""
    n = math.prod(A.shape(ids))
    flat = A.reshape(ids, (n,))
    if clamped:
        for direction, bound in (("GE", 0), ("LE", rows - 1)):
            limit = A.constant(bound, TensorType((n,), "i32"))
            flat = A.select(A.compare(direction, flat, limit), flat, limit)
    wide = TensorType((n, rows), "i32")
    hit = A.compare("EQ", A.broadcast(flat, wide.shape, (0,)), A.iota(1, wide))
    one = TensorType(wide.shape, like.dtype)
    return A.select(hit, A.constant(1.0, one), A.constant(0.0, one))


def _mean_take(A: Any, op: Op, table: Any, ids: Any) -> Any:
    """y = onehot(ids) table."""
    hot = _one_hot(A, ids, A.shape(table)[0], op.result.type, clamped=True)
    return A.reshape(A.dot(hot, table, ((1,), (0,)), ((), ())), op.result.shape)


def _sum_of_rows(A: Any, op: Op, ids: Any, dy: Any, clamped: bool) -> Any:
    """onehot(ids)ᵀ dy."""
    rows, features = op.result.shape
    hot = _one_hot(A, ids, rows, op.result.type, clamped)
    return A.dot(hot, A.reshape(dy, (A.shape(hot)[0], features)), ((0,), (0,)), ((), ()))


def _spell_take(op: Op, args: Sequence[str]) -> str:
    table, ids = (v.type for v in op.operands)
    numbers = f"offset_dims = [{ids.rank}], collapsed_slice_dims = [0], start_index_map = [0], {INDEX} = {ids.rank}"
    return (
        f'"stablehlo.gather"({", ".join(args)}) <{{dimension_numbers = #stablehlo.gather<{numbers}>, '
        f"slice_sizes = array<i64: 1, {table.shape[1]}>, indices_are_sorted = false}}> : {arrow(op)}"
    )


def _spell_add_rows(op: Op, args: Sequence[str]) -> str:
    ids = op.operands[1].type
    numbers = (
        f"update_window_dims = [{ids.rank}], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], "
        f"{INDEX} = {ids.rank}"
    )
    number = mlir_type(TensorType((), op.result.type.dtype))
    body = f"^bb0(%x: {number}, %y: {number}): %sum = stablehlo.add %x, %y : {number} stablehlo.return %sum : {number}"
    return (
        f'"stablehlo.scatter"({", ".join(args)}) <{{scatter_dimension_numbers = #stablehlo.scatter<{numbers}>, '
        f"indices_are_sorted = false, unique_indices = false}}> ({{ {body} }}) : {arrow(op)}"
    )


def _one_addition_each(op: Op) -> int:
    return op.operands[-1].type.size


ROWS: tuple[OpDef, ...] = (
    OpDef("take", _take, _spell_take, _mean_take, no_flops),
    OpDef(
        "take_grad", _take_grad, None,
        lambda A, op, ids, dy: _sum_of_rows(A, op, ids, dy, clamped=True), _one_addition_each,
    ),
    # table + rows at their ids; ids outside the table are left out, as stablehlo.scatter has it
    OpDef(
        "add_rows", _add_rows, _spell_add_rows,
        lambda A, op, table, ids, rows: A.add(table, _sum_of_rows(A, op, ids, rows, clamped=False)), _one_addition_each,
    ),
)  # fmt: skip
