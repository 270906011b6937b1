"""A call of a function of the module, of one tensor to one of its type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netc.codegen.ir import Function, IrError, Op
from netc.codegen.ops.table import MultiResult, OpDef, arrow, no_flops
from netc.netspec.types import TensorType


def _call(x: TensorType, *, callee: str) -> TensorType:
    return x


def _fits(op: Op, callee: Function) -> None:
    taken, given = ([str(v.type) for v in values] for values in (callee.params, callee.results))
    if taken != given or taken != [str(op.result.type)]:
        raise IrError(f"wants {callee.name} of {op.result.type} to the same, got {taken} to {given}")


def _mean(A: Any, op: Op, call: Callable[[str, Sequence[Any]], list[Any]], x: Any) -> list[Any]:
    return call(op.attr("callee"), [x])


def _state(op: Op, args: Sequence[str], stem: str, location: str) -> list[str]:
    return [f"{stem}_0 = func.call @{op.attr('callee')}({args[0]}) : {arrow(op)} {location}"]


# the additions are counted in the callee
ROWS: tuple[OpDef, ...] = (
    OpDef("call", _call, None, _mean, no_flops, MultiResult(lambda x, **_: (), _state, _fits, "call")),
)
