"""Keeps the slices of one long draw apart from what is made of them, so that equal parameters share a kernel.

`init` draws all parameters as one vector. IREE takes a slice into the kernel that scales it, with its place as a
constant: a kernel for each parameter. Behind a barrier the slice is a copy, and the kernel that of the shape.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite

FLOATS = frozenset({"f32", "f64"})


def share_draws(module: Module) -> Module:
    """The module with a barrier behind each slice of a vector in `init`."""
    return each_function(module, lambda f: _shared(f) if f.name == "init" else f)


def _shared(function: Function) -> Function:
    seeds = set(function.params)

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if len(op.result.shape) != 1 or op.operands[0] in seeds or op.result.type.dtype not in FLOATS:
            return None
        return b.op("barrier", b.again(op.kind, operands, dict(op.attrs))[0])

    return rewrite(function, visit, ("slice",))
