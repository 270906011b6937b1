"""Functions that a text computes by an approximation: read as what they approximate.

StableHLO has no erf and no erfc. Plain texts, JAX's exported ones among them, have XLA's rational approximations in
their place, whose derivatives are not theirs. They are recognised operation by operation and literal by literal, and
never by a name: one of ours, and those that jaxlib itself writes for CHLO's functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from netc.codegen.ir import Function, Op, Value
from netc.codegen.rewrite.plain_forms import erf_function
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.text import legalised

Template = Callable[[TensorType], Function]


def _expansion(name: str) -> Template:
    """What jaxlib writes for CHLO's function of that name."""

    @cache
    def template(t: TensorType) -> Function:
        from netc.proofs_oracle.certificate.parse import parse

        return parse(legalised(name, t.shape))

    return template


# what is read, how it is written
EXPANDED: tuple[tuple[str, Template], ...] = (
    ("erf", erf_function), ("erf", _expansion("erf")), ("erfc", _expansion("erfc")),
)  # fmt: skip


def with_functions(function: Function) -> tuple[Function, dict[str, int]]:
    """The function with every whole approximation as what it approximates, and how many there were of each."""
    makers = {op.result: op for op in function.ops}
    literals = {number for op in function.ops if (number := _literal(op)) is not None}
    new: dict[Op, list[Op]] = {}
    count: dict[str, int] = {}
    for name, template in EXPANDED:
        scalar = template(TensorType((), "f32"))
        if not {number for op in scalar.ops if (number := _literal(op)) is not None} <= literals:
            continue
        last = next(op for op in scalar.ops if op.result == scalar.results[0])
        for op in function.ops:
            if op.kind != last.kind or op.result.type.dtype != "f32" or op in new:
                continue
            found = _matched(template(op.result.type), op.result, makers)
            if found is not None:
                new[op] = WRITTEN[name](op, found)
                count[name] = count.get(name, 0) + 1
    if not new:
        return function, {}
    ops, live = [], set(function.results)
    written = [made for op in function.ops for made in new.get(op, [op])]
    for each in reversed(written):
        if each.result in live:
            live.update(each.operands)
            ops.append(each)
    return replace(function, ops=tuple(reversed(ops))), count


def _erf(op: Op, x: Value) -> list[Op]:
    return [replace(op, kind="erf", operands=(x,), attrs=())]


def _erfc(op: Op, x: Value) -> list[Op]:
    """1 - erf(x)."""
    t = op.result.type
    one, y = Value(t), Value(t)
    return [
        Op("constant", (), (("dtype", t.dtype), ("shape", t.shape), ("value", 1.0)), one, op.loc),
        Op("erf", (x,), (), y, op.loc),
        replace(op, kind="sub", operands=(one, y), attrs=()),
    ]


WRITTEN = {"erf": _erf, "erfc": _erfc}


def _matched(template: Function, value: Value, makers: dict[Value, Op]) -> Value | None:
    """What stands for the template's argument if `value` is computed as its result is; None if it is not."""
    (x,), (y,) = template.params, template.results
    wanted = {op.result: op for op in template.ops}
    found = {y: value}
    todo = [(y, value)]
    while todo:
        theirs, own = todo.pop()
        if theirs is x:
            continue
        ours, op = wanted[theirs], makers.get(own)
        if op is None or op.kind != ours.kind or op.result.type != ours.result.type or not _same_number(ours, op):
            return None
        for a, b in zip(ours.operands, op.operands, strict=True):
            if a not in found or (a in wanted and wanted[a].kind == "constant"):  # one literal may stand there twice
                found[a] = b
                todo.append((a, b))
            elif found[a] is not b:
                return None
    return found[x]


def _literal(op: Op) -> float | None:
    """A float32 that is the same everywhere."""
    value = op.attr("value") if op.kind == "constant" and op.result.type.dtype == "f32" else None
    return None if value is None or isinstance(value, tuple) else float(np.float32(value))


def _same_number(ours: Op, theirs: Op) -> bool:
    """Whether two ops are no constants, or constants of one float32 everywhere."""
    if ours.kind != "constant":
        return ours.attrs == theirs.attrs
    return _literal(theirs) is not None and _literal(theirs) == _literal(ours)
