"""What replicas of one program do together. Each runs the same text on its own part of the batch.

`channel` numbers the collectives of a module, from 1 on, as XLA wants it; 0 until codegen/distribute/buckets.py has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netc.codegen.ir import IrError, Op
from netc.codegen.ops.table import OpDef, arrow, mlir_type, no_flops, want
from netc.netspec.types import TensorType

SUMMED = ("f32", "f64", "i32")


def _all_reduce(x: TensorType, *, replicas: int, channel: int) -> TensorType:
    want(x.dtype in SUMMED, f"an operand of {', '.join(SUMMED)}", x)
    want(replicas > 1 and channel >= 0, "two replicas or more, and a channel", (replicas, channel))
    return x


def _replica_id() -> TensorType:
    return TensorType((), "ui32")


def _spell_all_reduce(op: Op, args: Sequence[str]) -> str:
    count, channel = op.attr("replicas"), op.attr("channel")
    number = mlir_type(TensorType((), op.result.type.dtype))
    handle = f"channel_handle = #stablehlo.channel_handle<handle = {channel}, type = 1>, " if channel else ""
    groups = f"replica_groups = dense<[[{', '.join(map(str, range(count)))}]]> : tensor<1x{count}xi64>"
    body = f"^bb0(%x: {number}, %y: {number}): %r = stablehlo.add %x, %y : {number} stablehlo.return %r : {number}"
    return f'"stablehlo.all_reduce"({args[0]}) <{{{handle}{groups}}}> ({{ {body} }}) : {arrow(op)}'


def _together(A: Any) -> Any:
    """The arithmetic, if it has all replicas; raises IrError for one that has a single one."""
    if not hasattr(A, "all_reduce"):
        raise IrError("wants all replicas together (codegen/distribute/lockstep.py), got one of them")
    return A


# the additions of other replicas' numbers are the network's, not the step's
ROWS: tuple[OpDef, ...] = (
    OpDef(
        "all_reduce", _all_reduce, _spell_all_reduce, lambda A, op, x: _together(A).all_reduce(x), no_flops,
    ),
    OpDef(
        "replica_id", _replica_id, lambda op, args: f"stablehlo.replica_id : {mlir_type(op.result.type)}",
        lambda A, op: _together(A).replica_id(op.result.type), no_flops,
    ),
)  # fmt: skip
