"""How a pass visits a function: each operation is kept, or replaced by what a builder makes in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value

# Gets a builder at the op's place, the op, and its operands as rewritten; gives the new value, or None to keep the op.
Visit = Callable[[Builder, Op, tuple[Value, ...]], Value | None]


def each_function(module: Module, change: Callable[[Function], Function]) -> Module:
    """The module with every function changed."""
    return replace(module, functions=tuple(change(f) for f in module))


def rewrite(function: Function, visit: Visit) -> Function:
    """The function with every operation visited in order."""
    new: dict[Value, Value] = {}
    b = Builder(function.name)
    for op in function.ops:
        same = new.keys().isdisjoint(op.operands)
        operands = op.operands if same else tuple([new.get(v, v) for v in op.operands])
        b.place(op.loc)
        value = visit(b, op, operands)
        if value is not None:
            new[op.result] = value
        else:
            b.ops.append(op if same else Op(op.kind, operands, op.attrs, op.result, op.loc, op.further))
    return replace(function, ops=tuple(b.ops), results=tuple(new.get(v, v) for v in function.results))
