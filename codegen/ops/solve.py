"""Triangular systems of equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netc.codegen.ir import Op
from netc.codegen.ops.table import OpDef, arrow, want
from netc.netspec.types import TensorType


def _triangular_solve(
    a: TensorType, b: TensorType, *, left_side: bool, lower: bool, unit_diagonal: bool, transpose_a: bool
) -> TensorType:
    want(a.dtype == b.dtype and a.dtype in ("f32", "f64"), "operands of f32 or f64", f"{a}, {b}")
    square = a.rank >= 2 and a.shape[-1] == a.shape[-2]
    want(square and b.rank == a.rank and a.shape[:-2] == b.shape[:-2], "a [.., n, n] and b [.., n, r] or [.., r, n]",
         f"{a}, {b}")  # fmt: skip
    side = -2 if left_side else -1
    want(a.shape[-1] == b.shape[side], f"{a.shape[-1]} {'rows' if left_side else 'columns'} of b", b)
    return b


def _spell(op: Op, args: Sequence[str]) -> str:
    marks = [f"{name} = {str(op.attr(name)).lower()}" for name in ("left_side", "lower", "unit_diagonal")]
    turned = "TRANSPOSE" if op.attr("transpose_a") else "NO_TRANSPOSE"
    said = ", ".join((*marks, f"transpose_a = #stablehlo<transpose {turned}>"))
    return f'"stablehlo.triangular_solve"({args[0]}, {args[1]}) <{{{said}}}> : {arrow(op)}'


def _turned(A: Any, x: Any) -> Any:
    rank = len(A.shape(x))
    return A.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def _part(A: Any, x: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
    lead = A.shape(x)[:-2]
    zeros, ones = (0,) * len(lead), (1,) * len(lead)
    return A.slice(x, (*zeros, rows[0], columns[0]), (*lead, rows[1], columns[1]), (*ones, 1, 1))


def _mean_triangular_solve(A: Any, op: Op, a: Any, b: Any) -> Any:
    """Substitution, a row of x at a time: x[i] = (b[i] - sum over j < i of a[i, j] x[j]) / a[i, i].

    Every system is read as one with a lower triangle on the left: x a = b is aᵀ xᵀ = bᵀ, and an upper triangle is a
    lower one in the reverse order. What lies in the other triangle, and on a unit diagonal, is not read.
    """
    rank = len(A.shape(b))
    lower, left = op.attr("lower"), op.attr("left_side")
    if op.attr("transpose_a") == left:  # op(a) on the left, or op(a)ᵀ from the right
        a, lower = _turned(A, a), not lower
    b = b if left else _turned(A, b)
    if not lower:
        a, b = A.reverse(a, (rank - 2, rank - 1)), A.reverse(b, (rank - 2,))
    n, r = A.shape(b)[-2:]
    lead = tuple(range(rank - 2))
    rows: list[Any] = []
    for i in range(n):
        row = _part(A, b, (i, i + 1), (0, r))
        if i:
            known = A.concatenate(rows, rank - 2)
            row = A.sub(row, A.dot(_part(A, a, (i, i + 1), (0, i)), known, ((rank - 1,), (rank - 2,)), (lead, lead)))
        if not op.attr("unit_diagonal"):
            pivot = _part(A, a, (i, i + 1), (i, i + 1))
            row = A.div(row, A.broadcast(pivot, A.shape(row), tuple(range(rank))))
        rows.append(row)
    x = A.concatenate(rows, rank - 2) if rows else b
    x = x if lower else A.reverse(x, (rank - 2,))
    return x if left else _turned(A, x)


def _flops(op: Op) -> int:
    """A multiplication and an addition for each element of the triangle and each element beside it."""
    return op.operands[0].type.shape[-1] * op.result.type.size


ROWS: tuple[OpDef, ...] = (
    OpDef("triangular_solve", _triangular_solve, _spell, _mean_triangular_solve, _flops),
)  # fmt: skip
