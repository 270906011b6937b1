"""Puts a barrier between rows that are looked up and sums over them, as in a layer norm of embeddings, on IREE's CPU.

IREE 3.12 joins a lookup with those who read it. Inside a sum over a row's numbers it becomes a read for each number,
one after the other: tiny-gpt's first layer norm becomes code of 139 KB, on which the compiler works for as long as on
all its other kernels. Behind the barrier the rows are copied in vectors, and the sum is one of vectors too.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.contraction import REDUCTIONS
from netc.codegen.rewrite.iree.repeated_sums import CARRIES
from netc.codegen.rewrite.walk import each_function, rewrite

READERS = CARRIES | {"slice"}


def part_lookups(module: Module) -> Module:
    """The module with a barrier behind each lookup that a compiler can compute inside a reduction."""
    return each_function(module, _part)


def _part(function: Function) -> Function:
    read: set[Value] = set()  # inside reductions
    for op in reversed(function.ops):
        if op.kind in REDUCTIONS or (op.kind in READERS and op.result in read):
            read.update(op.operands)

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        return b.op("barrier", b.op("take", *operands, **dict(op.attrs))) if op.result in read else None

    return rewrite(function, visit, ("take",))
