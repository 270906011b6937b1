"""Functions that a text computes by an approximation: read as what they approximate.

StableHLO has no erf. Plain texts, JAX's exported ones among them, have XLA's rational approximation in its place, whose
derivative is not erf's. It is recognised operation by operation and literal by literal, and never by a name.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from netc.codegen.ir import Function, Op, Value
from netc.codegen.rewrite.plain_forms import erf_function
from netc.netspec.types import TensorType


def with_erf(function: Function) -> tuple[Function, int]:
    """The function with every whole approximation of erf as erf, and how many there were."""
    makers = {op.result: op for op in function.ops}
    templates: dict[TensorType, Function] = {}
    new: dict[Op, Op] = {}
    for op in function.ops:
        t = op.result.type
        if op.kind != "min" or t.dtype != "f32":
            continue
        template = templates.setdefault(t, erf_function(t))
        found = _matched(template, op.result, makers)
        if found is not None:
            new[op] = replace(op, kind="erf", operands=(found,), attrs=())
    if not new:
        return function, 0
    ops, live = [], set(function.results)
    for op in reversed([new.get(op, op) for op in function.ops]):
        if op.result in live:
            live.update(op.operands)
            ops.append(op)
    return replace(function, ops=tuple(reversed(ops))), len(new)


def _matched(template: Function, value: Value, makers: dict[Value, Op]) -> Value | None:
    """What stands for the template's argument if `value` is computed as its result is; None if it is not."""
    (x,), (y,) = template.params, template.results
    wanted = {op.result: op for op in template.ops}
    found = {y: value}
    todo = [y]
    while todo:
        theirs = todo.pop()
        if theirs is x:
            continue
        ours, op = wanted[theirs], makers.get(found[theirs])
        if op is None or op.kind != ours.kind or op.result.type != ours.result.type or not _same_number(ours, op):
            return None
        for a, b in zip(ours.operands, op.operands, strict=True):
            if a not in found:
                found[a] = b
                todo.append(a)
            elif found[a] is not b:
                return None
    return found[x]


def _same_number(ours: Op, theirs: Op) -> bool:
    """Whether two ops are no constants, or constants of one float32 everywhere."""
    if ours.kind != "constant":
        return ours.attrs == theirs.attrs
    value = theirs.attr("value")
    return not isinstance(value, tuple) and np.float32(value) == np.float32(ours.attr("value"))
