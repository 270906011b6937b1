"""Keeps the slices of one long draw apart from what is made of them, so that equal parameters share a kernel.

`init` draws all parameters as one vector. IREE takes a slice into the kernel that scales it, with its place as a
constant: a kernel for each parameter. Behind a barrier the slice is a copy, and the kernel that of the shape.
"""

from __future__ import annotations

from netc.codegen.ir import Function, Module
from netc.codegen.rewrite.walk import behind_barriers, each_function

FLOATS = frozenset({"f32", "f64"})


def share_draws(module: Module) -> Module:
    """The module with a barrier behind each slice of a vector in `init`."""
    return each_function(module, lambda f: _shared(f) if f.name == "init" else f)


def _shared(function: Function) -> Function:
    seeds = set(function.params)
    parts = {
        op.result
        for op in function.ops
        if op.kind == "slice" and len(op.result.shape) == 1 and op.operands[0] not in seeds
        and op.result.type.dtype in FLOATS
    }  # fmt: skip
    return behind_barriers(function, parts, ("slice",))
