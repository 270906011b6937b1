"""Rows added to zeros, and the sum then to a gradient, become rows added to that gradient, on IREE's CPU.

    (0 + sum of rows at their ids) + g = g + sum of rows at their ids

An embedding whose matrix is the head too has both: few rows, and a product of the matrix's size. IREE fills the zeros
on one core, and the sum of the two goes through memory once more; added to the product, only the rows are touched. The
order of additions changes, as it does between any two backends.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite

LARGE = 1 << 20  # bytes of the sum: below that nothing is gained


def add_rows_in_place(module: Module) -> Module:
    """The module with those sums replaced."""
    return each_function(module, _joined)


def _joined(function: Function) -> Function:
    makers = {op.result: op for op in function.ops if op.kind in ("add_rows", "constant")}
    readers = [v for op in function.ops for v in op.operands]
    new: dict[Value, Value] = {}  # what a rewritten add_rows's operands have become

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if op.kind == "add_rows":
            new.update(zip(op.operands, operands, strict=True))
            return None
        if op.result.type.bytes < LARGE:
            return None
        for side in (0, 1):
            rows = makers.get(op.operands[side])
            if rows is None or rows.kind != "add_rows" or readers.count(rows.result) > 1:
                continue
            zeros = makers.get(rows.operands[0])
            if zeros is not None and zeros.kind == "constant" and zeros.attr("value") == 0.0:
                ids, added = (new[v] for v in rows.operands[1:])
                return b.op("add_rows", b.op("barrier", operands[1 - side]), ids, b.op("barrier", added))
        return None

    return rewrite(function, visit, ("add", "add_rows"))
