"""Operands as C functions take them: what must lie in order in memory is copied there first.

Changes no value. A product takes any strides, as long as its rows, its columns and what it sums over have one each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from netc.codegen.c.expressions import EXPRESSIONS
from netc.codegen.c.fusion import COPY
from netc.codegen.c.views import Source, Uniform, View, of_root, sources
from netc.codegen.ir import Function, Op, Value
from netc.codegen.ops.contraction import REDUCTIONS
from netc.netspec.types import TensorType

STRIDED = frozenset((*EXPRESSIONS, *REDUCTIONS, "concatenate", "pad"))  # they read any view
Ints = tuple[int, ...]


def in_order(function: Function) -> Function:
    """The function with copies before the operations that need them."""
    found: dict[Value, Source] = {p: of_root(p) for p in function.params}
    ops: list[Op] = []

    def add(op: Op) -> None:
        sources(op, found)
        ops.append(op)

    def copied(v: Value, loc: str) -> Value:
        """The value in memory of its own."""
        new = Value(v.type)
        ops.append(Op(COPY, (v,), (), new, loc))
        found[new] = of_root(new)
        return new

    def dense(v: Value, loc: str) -> Value:
        source = found[v]
        plain = v.shape == () or (isinstance(source, View) and source.root is not None and source.dense)
        return v if plain else copied(v, loc)

    for op in function.ops:
        if op.kind == "dot":
            op = _product(op, found, add, copied)  # noqa: PLW2901
        elif op.operands and op.kind not in STRIDED and not sources(op, dict(found)):
            unread = unread_operands(op, found)
            operands = (v if n in unread else dense(v, op.loc) for n, v in enumerate(op.operands))
            op = replace(op, operands=tuple(operands))  # noqa: PLW2901
        add(op)
    return replace(function, ops=tuple(ops))


def unread_operands(op: Op, found: Mapping[Value, Source]) -> range:
    """The buffers of a loop whose every row is written, by their numbers: what lies there before is not read."""
    if op.kind != "loop":
        return range(0)
    first, begin = found[op.operands[0]], 1 + op.attr("carried")
    buffers = range(begin, begin + op.attr("outputs"))
    filled = all(isinstance(found[op.operands[n]], Uniform) for n in buffers)
    return buffers if filled and isinstance(first, Uniform) and first.value == 0 else range(0)


def _product(op: Op, found: dict[Value, Source], add, copied) -> Op:  # type: ignore[no-untyped-def]
    """The product, of operands whose rows, columns and sums have one stride each."""
    operands, contract, batch = list(op.operands), list(op.attr("contract")), list(op.attr("batch"))
    for side, v in enumerate(op.operands):
        source = found[v]
        # the strides of a C function are of no sign
        joined = isinstance(source, View) and source.root is not None and min(source.strides, default=0) >= 0
        free = free_axes(v.type.rank, contract[side], batch[side])
        if joined and all(isinstance(source, View) and one_stride(source, axes) for axes in (free, contract[side])):
            continue
        perm = (*batch[side], *free, *contract[side])
        turned = Value(TensorType(tuple(v.shape[a] for a in perm), v.type.dtype))
        add(Op("transpose", (v,), (("perm", perm),), turned, op.loc))
        operands[side] = copied(turned, op.loc)
        count = len(perm)
        batch[side] = tuple(range(len(batch[side])))
        contract[side] = tuple(range(count - len(contract[side]), count))
    attrs = (("batch", tuple(batch)), ("contract", tuple(contract)))
    return replace(op, operands=tuple(operands), attrs=attrs)


def free_axes(rank: int, contract: Ints, batch: Ints) -> Ints:
    """The axes of an operand of a product that the result keeps."""
    return tuple(a for a in range(rank) if a not in contract and a not in batch)


def one_stride(view: View, axes: Ints) -> bool:
    """Whether a walk over axes, the last of them fastest, takes equal steps."""
    held = [a for a in axes if view.shape[a] != 1]
    return all(view.strides[a] == view.strides[b] * view.shape[b] for a, b in pairwise(held))


def stride_over(view: View, axes: Ints) -> int:
    """The step of such a walk; 1 for one of a single element."""
    held = [a for a in axes if view.shape[a] != 1]
    return view.strides[held[-1]] if held else 1
