"""Computes equal expressions once. Does not reorder, and does not know that x + y = y + x.

Leaves operations of several results as they are.
"""

from __future__ import annotations

from collections.abc import Hashable

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite


def cse(module: Module) -> Module:
    """The module with every expression computed once in each function."""
    return each_function(module, _cse)


def _cse(function: Function) -> Function:
    seen: dict[Hashable, Value] = {}

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if op.extra_results:
            return None
        # 0.0 == -0.0 == 0 == False in Python, so constants are told apart by how they are written
        attrs = repr(op.attrs) if op.kind == "constant" else op.attrs
        first = seen.setdefault((op.kind, operands, attrs), op.result)
        return None if first is op.result else first

    return rewrite(function, visit)
