"""A module of any batch at one batch: every size that is a multiple of the batch becomes its number. Nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.movement import PerBatch
from netc.codegen.rewrite.walk import each_function
from netc.codegen.symbolic.sizes import SIZED, at, type_at


def specialised(module: Module, batch: int, share: Callable[[PerBatch, int], float] = PerBatch.at) -> Module:
    """The module that emission at this batch gives; `share` is what a number by the batch becomes."""
    return each_function(module, lambda function: _specialised(function, batch, share))


def _specialised(function: Function, batch: int, share: Callable[[PerBatch, int], float]) -> Function:
    new: dict[Value, Value] = {}

    def value(v: Value) -> Value:
        return new.setdefault(v, Value(type_at(v.type, batch)))

    def own(op: Op) -> Op:
        attrs = tuple((name, _attr(name, given, batch, share)) for name, given in op.attrs)
        operands, extra = tuple(map(value, op.operands)), tuple(map(value, op.extra_results))
        return Op(op.kind, operands, attrs, value(op.result), op.loc, extra)

    params, ops = tuple(map(value, function.params)), tuple(map(own, function.ops))
    return replace(function, params=params, ops=ops, results=tuple(map(value, function.results)))


def _attr(name: str, given: Any, batch: int, share: Callable[[PerBatch, int], float]) -> Any:
    if isinstance(given, PerBatch):
        return share(given, batch)
    return tuple(at(n, batch) for n in given) if name in SIZED else given
