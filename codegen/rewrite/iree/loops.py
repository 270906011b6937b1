"""The forms of a loop for IREE, in place of `stablehlo.while`.

A loop that keeps its calls apart is blocks of its function. IREE puts operations on scalars into dispatches of their
own only outside of regions. In the region of a `while` the same function would be fused, and rounded, in another way
than where it is called by itself; as blocks it is not, and K steps in one call are bit for bit those of K calls. A call
that is not inlined is no way out: IREE 3.12 packs the 64-bit arguments of a call that may yield as 32-bit ones.

Any other loop is `scf.for`: only there IREE sees that a row of a buffer can be written where it lies.
"""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.ir import Function, Module, Op
from netc.codegen.rewrite.walk import each_function


def loops_for_iree(module: Module) -> Module:
    """The module with every loop in IREE's form; the values keep their names."""
    return each_function(module, _formed_in)


def _formed_in(function: Function) -> Function:
    if not any(op.kind == "loop" for op in function.ops):
        return function
    return replace(function, ops=tuple([_formed(op) if op.kind == "loop" else op for op in function.ops]))


def _formed(op: Op) -> Op:
    return replace(op, kind="block_loop" if op.attr("apart") else "for_loop")
