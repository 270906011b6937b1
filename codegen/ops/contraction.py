"""Operations that sum: reductions and products of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netc.codegen.ir import IrError, Op
from netc.codegen.ops.table import OpDef, arrow, ints, summed, want
from netc.netspec.types import TensorType

Ints = tuple[int, ...]


def _reduce(x: TensorType, init: TensorType, *, dims: Ints) -> TensorType:
    want(init == TensorType((), x.dtype), "a scalar of the element type to start from", init)
    want(list(dims) == sorted(set(dims)) and all(0 <= d < x.rank for d in dims), "increasing axes of the operand", dims)
    return TensorType(tuple(n for i, n in enumerate(x.shape) if i not in dims), x.dtype)


def _dot(x: TensorType, y: TensorType, *, contract: tuple[Ints, Ints], batch: tuple[Ints, Ints]) -> TensorType:
    for axes in (contract, batch):
        if any(not 0 <= a < t.rank for t, side in zip((x, y), axes, strict=True) for a in side):
            raise IrError(f"wants axes of {x} and {y}, got {axes}")
        if [x.shape[a] for a in axes[0]] != [y.shape[a] for a in axes[1]]:
            raise IrError(f"wants axes of equal sizes to join, got {x} and {y} by {axes}")
    free = [
        tuple(n for i, n in enumerate(t.shape) if i not in c and i not in b)
        for t, c, b in zip((x, y), contract, batch, strict=True)
    ]
    want(x.dtype == y.dtype, "operands of one element type", (x.dtype, y.dtype))
    return TensorType((*(x.shape[b] for b in batch[0]), *free[0], *free[1]), summed(x.dtype))


def _spell_reduce(name: str, op: Op, args: Sequence[str]) -> str:
    dims = ints(op.attr("dims"))
    return (
        f"stablehlo.reduce({args[0]} init: {args[1]}) applies stablehlo.{name} across dimensions = {dims} : {arrow(op)}"
    )


def _spell_dot(op: Op, args: Sequence[str]) -> str:
    (cx, cy), (bx, by) = op.attr("contract"), op.attr("batch")
    batch = f" batching_dims = {ints(bx)} x {ints(by)}," if bx else ""
    return (
        f"stablehlo.dot_general {args[0]}, {args[1]},{batch} contracting_dims = {ints(cx)} x {ints(cy)}, "
        f"precision = [DEFAULT, DEFAULT] : {arrow(op)}"
    )


def _dot_flops(op: Op) -> int:
    x = op.operands[0].type
    return 2 * op.result.type.size * int(math.prod(x.shape[a] for a in op.attr("contract")[0]))


def _reduce_flops(op: Op) -> int:
    return op.operands[0].type.size


ROWS: tuple[OpDef, ...] = (
    OpDef(
        "reduce_sum", _reduce, lambda op, args: _spell_reduce("add", op, args),
        lambda A, op, x, i: A.reduce_sum(x, op.attr("dims")), _reduce_flops,
    ),
    OpDef(
        "reduce_max", _reduce, lambda op, args: _spell_reduce("maximum", op, args),
        lambda A, op, x, i: A.reduce_max(x, op.attr("dims")), _reduce_flops,
    ),
    OpDef(
        "reduce_min", _reduce, lambda op, args: _spell_reduce("minimum", op, args),
        lambda A, op, x, i: A.reduce_min(x, op.attr("dims")), _reduce_flops,
    ),
    OpDef(
        "dot", _dot, _spell_dot,
        lambda A, op, x, y: A.dot(x, y, op.attr("contract"), op.attr("batch")), _dot_flops,
    ),
)  # fmt: skip

# Those that join the elements along axes into one.
REDUCTIONS = frozenset(row.kind for row in ROWS if row.rule is _reduce)
