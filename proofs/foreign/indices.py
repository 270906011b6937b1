"""Rows of tables and numbers at labels: gathers and scatters of a text, where each index is inside its axis."""

from __future__ import annotations

import math
from typing import Any

from netc.codegen.ir import Op, Value
from netc.netspec.types import TensorType
from netc.proofs.foreign.text import Text

INSIDE = "every index is inside the axis that it indexes"


def gather(t: Text, op: Op, args: list[Value]) -> Value:
    """Rows of a table [V, D], or of each row of x the number at its label: the sum over k of [label = k] x[.., k]."""
    x, ids = args
    t.said[INSIDE] = None
    if _of_rows(op, x, op.result):
        found = t.b.op("take", x, _plain(t, ids))
    else:
        axis, labels = _labels(t, op, x, ids, op.result)
        hot = _one_hot(t, labels, x.type, axis)
        found = t.b.reshape(t.b.sum(t.b.mul(hot, x), (axis,)), op.result.shape)
    t.gathered.add(found)
    return found


def scatter(t: Text, op: Op, args: list[Value]) -> Value:
    """The adjoint of such a gather: updates that are added to 0."""
    x, ids, updates = args
    if op.attr("by") != "add" or t.number(x) != 0:
        raise t.refuse(op, f"by {op.attr('by')}, or into what is not 0")
    t.said[INSIDE] = None
    if _of_rows(op, x, updates):
        return t.b.op("take_grad", _plain(t, ids), updates, rows=x.shape[0])
    axis, labels = _labels(t, op, x, ids, updates)
    kept = tuple(a for a in range(len(x.shape)) if a != axis)
    spread = t.b.broadcast(t.b.reshape(updates, tuple(x.shape[a] for a in kept)), x.type, kept)
    return t.b.mul(_one_hot(t, labels, x.type, axis), spread)


def _of_rows(op: Op, table: Value, rows: Value) -> bool:
    """Whether whole rows are read, by one index each."""
    n: Any = op.attr("numbers")
    last = len(rows.shape) - 1
    return (n.index_map, n.collapsed, n.operand_batch, n.offset) == ((0,), (0,), (), (last,)) and (
        len(table.shape) == 2 and n.sizes == (1, table.shape[1])
    )


def _plain(t: Text, ids: Value) -> Value:
    """The indices without the axis of their single component."""
    return t.b.reshape(ids, ids.shape[:-1])


def _labels(t: Text, op: Op, x: Value, ids: Value, out: Value) -> tuple[int, Value]:
    """Of single numbers, one for each place along all axes of x but one: that axis, and its index at each place."""
    n: Any = op.attr("numbers")
    if set(n.sizes) != {1} or n.offset or n.vector != len(ids.shape) - 1:
        raise t.refuse(op, f"of slices {n.sizes}; rows of a table, and a number of each row, are read")
    held = dict.fromkeys(n.operand_batch, ids)
    along = dict(zip(n.operand_batch, n.index_batch, strict=True))  # the axis of the indices that goes along each
    parts = _components(t, ids, len(n.index_map))
    for a, part in zip(n.index_map, parts, strict=True):
        if (way := _counts(t, part, x.shape[a])) is not None:
            held[a], along[a] = part, way
    free = [a for a in range(len(x.shape)) if a not in held]
    kept = tuple(s for a, s in enumerate(x.shape) if a not in free)
    if len(free) != 1 or free[0] not in n.index_map or tuple(s for s in out.shape if s != 1) != tuple(
        s for s in kept if s != 1
    ):  # fmt: skip
        raise t.refuse(op, "of numbers at more than one index")
    wide = [a for a in sorted(held) if x.shape[a] != 1]
    if [sum(s != 1 for s in ids.shape[: along[a]]) for a in wide] != [*range(len(wide))]:
        raise t.refuse(op, "of numbers at indices that count along another axis than they index")
    return free[0], t.b.reshape(parts[n.index_map.index(free[0])], kept)


def _components(t: Text, ids: Value, count: int) -> list[Value]:
    """The indices along each axis that is indexed."""
    joined = t.maker(ids, "concatenate")
    if joined is not None and len(joined.operands) == count and joined.attr("dim") == len(ids.shape) - 1:
        return list(joined.operands)
    last = len(ids.shape) - 1
    starts = [(0,) * last + (k,) for k in range(count)]
    return [t.b.slice(ids, start, (*ids.shape[:-1], start[-1] + 1)) for start in starts]


def _counts(t: Text, part: Value, size: int) -> int | None:
    """The axis of these indices along which they are 0, 1, .., size - 1 everywhere; None where there is none."""
    steps: list[Op] = []
    while (op := t.maker(part, "broadcast", "reshape")) is not None:
        steps.append(op)
        part = op.operands[0]
    iota = t.maker(part, "iota")
    if iota is None or part.shape != (size,):
        return None
    axis = 0
    if size == 1:
        return axis  # 0 is 0 along any
    for op in reversed(steps):
        if op.kind == "broadcast":
            axis = op.attr("dims")[axis]
        elif (axis := _moved(op, axis)) < 0:
            return None
        if op.result.shape[axis] != size:
            return None
    return axis


def _moved(op: Op, axis: int) -> int:
    """Where a reshape that only adds or drops axes of size 1 has an axis; -1 for another."""
    old, new = op.operands[0].shape, op.result.shape
    if [s for s in old if s != 1] != [s for s in new if s != 1]:
        return -1
    number = sum(s != 1 for s in old[:axis])
    return [i for i, s in enumerate(new) if s != 1][number]


def _one_hot(t: Text, labels: Value, like: TensorType, axis: int) -> Value:
    """[label = k] along an axis of a tensor: one value for the forward and the backward pass."""
    root = labels
    while (op := t.maker(root, "broadcast", "reshape")) is not None and math.prod(root.shape) == math.prod(
        op.operands[0].shape
    ):
        root = op.operands[0]
    if (root, like, axis) in t.hot:
        return t.hot[root, like, axis]
    whole = TensorType(like.shape, "i32")
    kept = tuple(a for a in range(like.rank) if a != axis)
    wide = t.b.broadcast(labels, whole, kept)
    t.hot[root, like, axis] = t.b.convert(t.b.compare("EQ", wide, t.b.iota(axis, like.shape)), like.dtype)
    return t.hot[root, like, axis]
