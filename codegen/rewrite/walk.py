"""How a pass visits a function: each operation is kept, or replaced by what a builder makes in its place."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value

# Gets a builder at the op's place, the op, and its operands as rewritten; gives the new value, or None to keep the op.
Visit = Callable[[Builder, Op, tuple[Value, ...]], Value | None]


def each_function(module: Module, change: Callable[[Function], Function]) -> Module:
    """The module with every function changed."""
    return replace(module, functions=tuple(change(f) for f in module))


def rewrite(function: Function, visit: Visit, kinds: Container[str] | None = None) -> Function:
    """The function with every operation visited in order, or with those of `kinds`; itself if that changes nothing."""
    new: dict[Value, Value] = {}
    b = Builder(function.name)
    untouched, keep = new.keys().isdisjoint, b.ops.append
    for op in function.ops:
        same = not new or untouched(op.operands)
        if kinds is None or op.kind in kinds:
            operands = op.operands if same else tuple([new.get(v, v) for v in op.operands])
            b.place(op.loc)
            b.visiting = op
            value = visit(b, op, operands)
            if value is not None:
                new[op.result] = value
                continue
        elif same:
            keep(op)
            continue
        else:
            operands = tuple([new.get(v, v) for v in op.operands])
        keep(op if same else Op(op.kind, operands, op.attrs, op.result, op.loc, op.extra_results))
    if not new and len(b.ops) == len(function.ops):
        return function
    return replace(function, ops=tuple(b.ops), results=tuple(new.get(v, v) for v in function.results))


def behind_barriers(function: Function, values: Container[Value], kinds: Container[str]) -> Function:
    """The function in which each of the values that an operation of `kinds` makes is read behind a barrier."""

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        return b.op("barrier", b.again(op.kind, operands, dict(op.attrs))[0]) if op.result in values else None

    return rewrite(function, visit, kinds)
