"""Adds a zero that IREE does not know to products before they are summed, on IREE's CPU.

IREE 3.12 takes a sum of products for a product of a matrix and a vector, and computes it as one: down the rows of a
matrix in steps of 14 or 16 rows for a few columns, each step added up across a vector. A sum of anything else, such as
products with an addition, runs along the vectors: sums of squares over the rows of [12544, 256] take 0.6 instead of 1.3
ms (docs/design-notes.md). Of a constant zero the addition would be gone; behind a barrier it is a number.

IREE's time to compile grows with the cube of the operations that read one value, and convnext_tiny has nearly a
thousand such sums (docs/upstream-issues/results.md). So a zero is for a few of them. The next is made of a sum that is
long done, so that nothing waits for it: constants, though behind barriers of their own, are one again by then.
"""

from __future__ import annotations

from collections import defaultdict

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite
from netc.netspec.types import DType, TensorType

MAKERS = frozenset(("mul", "reshape"))
READERS = 32  # sums that share a zero


def add_unseen_zeros(module: Module) -> Module:
    """The module with such a zero in every sum of products over rows, all or some; not along them."""
    return each_function(module, _added)


def _added(function: Function) -> Function:
    makers = {op.result: op for op in function.ops if op.kind in MAKERS}
    zeros: dict[DType, Value] = {}
    sums: defaultdict[DType, list[Value]] = defaultdict(list)

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        product = _through(op.operands[0], makers)
        along_rows = len(op.operands[0].shape) - 1 in op.attr("dims")
        if product is None or product.kind != "mul" or along_rows:
            return None
        x = operands[0]
        dtype, before = x.type.dtype, sums[x.type.dtype]
        if len(before) % READERS == 0:
            zeros[dtype] = b.op("barrier", _zero(b, dtype, before))
        before.append(b.sum(b.add(x, b.broadcast(zeros[dtype], x, ())), op.attr("dims")))
        return before[-1]

    return rewrite(function, visit, ("reduce_sum",))


def _zero(b: Builder, dtype: DType, before: list[Value]) -> Value:
    """A constant, or whether an earlier sum's first number is less than itself: that is 0 though it be not finite."""
    if not before:
        return b.constant(0.0, TensorType((), dtype))
    done = before[-READERS]
    first = b.reshape(b.rows(b.reshape(done, (done.type.size,)), 0, 1), ())
    return b.convert(b.compare("LT", first, first), dtype)


def _through(v: Value, makers: dict[Value, Op]) -> Op | None:
    """What makes a value, or what it is a reshape of."""
    made = makers.get(v)
    while made is not None and made.kind == "reshape":
        made = makers.get(made.operands[0])
    return made
