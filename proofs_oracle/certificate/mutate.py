"""Faults planted in pullbacks: one operation of a function changed as a slip of the hand would change it.

Each mutation keeps every type, so that nothing but a check of the numbers can see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from netc.codegen.ir import Function, IrError, Op, Value
from netc.codegen.ops import OPS

SMALL = 1e-12  # a gradient off by this part is far below any float tolerance


@dataclass(frozen=True)
class Fault:
    """What was changed, where, and the function with the change."""

    kind: str
    place: str
    function: Function


Change = Callable[[Op], Iterator[list[Op]]]


def _again(
    op: Op, kind: str | None = None, operands: Sequence[Value] | None = None, **attrs: Any
) -> Iterator[list[Op]]:
    """The operation with another kind, operands or attributes, if its type is the same."""
    kind, operands = kind or op.kind, tuple(op.operands if operands is None else operands)
    merged = {**dict(op.attrs), **attrs} if kind == op.kind else attrs
    try:
        same = OPS[kind].rule(*(v.type for v in operands), **merged) == op.result.type
    except IrError:
        return
    if same:
        yield [Op(kind, operands, tuple(sorted(merged.items())), op.result, op.loc)]


def _sign(op: Op) -> Iterator[list[Op]]:
    if op.kind in ("add", "sub"):
        yield from _again(op, "sub" if op.kind == "add" else "add")
    if op.kind == "neg":
        yield from _again(op, "barrier")
    if op.kind in ("dot", "reduce_sum", "conv_input_grad", "conv_kernel_grad", "select"):
        wrong = Value(op.result.type)
        yield [replace(op, result=wrong), Op("neg", (wrong,), (), op.result, op.loc)]


def _missing_term(op: Op) -> Iterator[list[Op]]:
    if op.kind in ("add", "sub"):
        yield from _again(op, "barrier", op.operands[:1])
    if op.kind == "add":
        yield from _again(op, "barrier", op.operands[1:])


def _wrong_operand(op: Op) -> Iterator[list[Op]]:
    if op.kind in ("mul", "sub", "div") and op.operands[0] is not op.operands[1]:
        x, y = op.operands
        for operands in ((x, x), (y, y)) if op.kind == "mul" else ((y, x),):
            yield from _again(op, operands=operands)


def _transposed_operand(op: Op) -> Iterator[list[Op]]:
    if op.kind == "dot":
        contract, batch = op.attr("contract"), op.attr("batch")
        for side in (0, 1):
            for axis in range(len(op.operands[side].shape)):
                if len(contract[side]) == 1 and axis not in (*contract[side], *batch[side]):
                    changed = ((axis,), contract[1]) if side == 0 else (contract[0], (axis,))
                    yield from _again(op, contract=changed)
    if op.kind == "transpose":
        for perm in permutations(op.attr("perm")):
            if perm != op.attr("perm"):
                yield from _again(op, perm=perm)


def _axis(op: Op) -> Iterator[list[Op]]:
    if op.kind == "reduce_sum":
        for axis in op.attr("dims"):
            for other in range(len(op.operands[0].shape)):
                if other not in op.attr("dims"):
                    dims = tuple(sorted({*op.attr("dims"), other} - {axis}))
                    yield from _again(op, dims=dims)
    if op.kind == "broadcast":
        for axis, dim in enumerate(op.attr("dims")):
            for other in range(len(op.attr("shape"))):
                dims = tuple(other if i == axis else d for i, d in enumerate(op.attr("dims")))
                if other != dim:
                    yield from _again(op, dims=dims)


def _off_by_one(op: Op) -> Iterator[list[Op]]:
    if op.kind == "pad":
        low, high = op.attr("low"), op.attr("high")
        for axis in range(len(low)):
            for by in (1, -1):
                if low[axis] or high[axis] or op.attr("interior")[axis]:
                    yield from _again(op, low=_moved(low, axis, by), high=_moved(high, axis, -by))
    if op.kind == "slice":
        for axis in range(len(op.attr("start"))):
            for by in (1, -1):
                start, limit = (_moved(op.attr(n), axis, by) for n in ("start", "limit"))
                yield from _again(op, start=start, limit=limit)
    if "padding" in dict(op.attrs):
        padding = op.attr("padding")
        for axis in (0, 1):
            for by in (1, -1):
                low, high = padding[axis]
                changed = tuple((low + by, high - by) if i == axis else p for i, p in enumerate(padding))
                if min(changed[axis]) >= 0:
                    yield from _again(op, padding=changed)


def _moved(values: Sequence[int], axis: int, by: int) -> tuple[int, ...]:
    return tuple(v + by if i == axis else v for i, v in enumerate(values))


def _branch(op: Op) -> Iterator[list[Op]]:
    if op.kind == "select":
        condition, x, y = op.operands
        yield from _again(op, operands=(condition, y, x))
    if op.kind == "compare":
        opposite = {"GT": "LE", "LT": "GE", "GE": "LT", "LE": "GT", "EQ": "NE", "NE": "EQ"}
        yield from _again(op, direction=opposite[op.attr("direction")])


def _constant(op: Op) -> Iterator[list[Op]]:
    value = dict(op.attrs).get("value")
    if op.kind == "constant" and isinstance(value, float) and value and abs(value) < 1e9:
        yield from _again(op, value=value * (1 + 2.0**-22))  # two of float32's neighbours on
        yield from _again(op, value=value * 2)


def _order(op: Op) -> Iterator[list[Op]]:
    if op.kind == "concatenate":
        first, second, *rest = op.operands
        if first.type == second.type and first is not second:
            yield from _again(op, operands=(second, first, *rest))


def _tiny(op: Op) -> Iterator[list[Op]]:
    t = op.result.type
    if t.dtype == "f32" and op.kind in ("mul", "dot", "reduce_sum", "add", "conv_input_grad", "conv_kernel_grad"):
        right, part, off = Value(t), Value(t), Value(t)
        constant = (("dtype", t.dtype), ("shape", t.shape), ("value", SMALL))
        yield [
            replace(op, result=right), Op("constant", (), constant, part, op.loc),
            Op("mul", (right, part), (), off, op.loc), Op("add", (right, off), (), op.result, op.loc),
        ]  # fmt: skip


KINDS: dict[str, Change] = {
    "sign": _sign,
    "missing term": _missing_term,
    "wrong operand": _wrong_operand,
    "transposed operand": _transposed_operand,
    "axis": _axis,
    "off-by-one": _off_by_one,
    "branch": _branch,
    "constant": _constant,
    "order": _order,
    "one part in 1e12": _tiny,
}
"""What can go wrong, and the changes that do it to one operation."""


def faults(function: Function, places: Sequence[Op]) -> Iterator[Fault]:
    """Every fault of every kind at the given operations of the function."""
    for kind, change in KINDS.items():
        for op in places:
            for ops in change(op):
                index = function.ops.index(op)
                changed = replace(function, ops=(*function.ops[:index], *ops, *function.ops[index + 1 :]))
                yield Fault(kind, f"{op.kind} in {op.loc}", changed)


def backward(function: Function, forward: Sequence[Value]) -> list[Op]:
    """The operations that the results hang on but `forward` does not."""
    ahead = _ancestors(function, forward)
    behind = _ancestors(function, function.results)
    return [op for op in function.ops if op in behind and op not in ahead]


def _ancestors(function: Function, roots: Sequence[Value]) -> set[Op]:
    alive, found = set(roots), set()
    for op in reversed(function.ops):
        if op.result in alive:
            found.add(op)
            alive.update(op.operands)
    return found
