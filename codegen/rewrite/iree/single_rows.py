"""Puts a barrier before a sum over one short row that others read too, as in a layer norm of one token, on IREE's CPU.

IREE 3.12 joins such a sum with the elementwise operations that make its row. One row has no loop to be shared among
workgroups, and a row shorter than a vector none over vectors either: where the dispatch has a second result, the row
itself, it is refused, as no workgroup writes that. Longer rows and several ones have a loop, and stay as they are.
"""

from __future__ import annotations

from collections import Counter

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.contraction import REDUCTIONS
from netc.codegen.rewrite.walk import each_function, rewrite

VECTOR = 16  # numbers of the widest vector, AVX-512's


def part_single_rows(module: Module) -> Module:
    """The module with a barrier before each sum over the last axis of one row of fewer numbers than a vector has."""
    return each_function(module, _part)


def _part(function: Function) -> Function:
    readers = Counter(v for op in function.ops for v in set(op.operands))
    readers.update(set(function.results))

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        shape = op.operands[0].shape
        row = len(shape) > 1 and op.attr("dims") == (len(shape) - 1,) and op.operands[0].type.size == shape[-1]
        if not row or shape[-1] >= VECTOR or readers[op.operands[0]] < 2:
            return None
        return b.op(op.kind, b.op("barrier", operands[0]), *operands[1:], **dict(op.attrs))

    return rewrite(function, visit, tuple(REDUCTIONS))
