"""Puts a barrier between rows of two axes and the product's result that they are added to, on IREE's CPU.

IREE 3.12 packs what is added to a product's result as that result is packed, in the kernel that makes it. Where that
kernel sums the rows too, for a layer norm, and its rows are two axes, as those of tokens [B, T, C] with positions
[T, C] are, it is unrolled over all of B: a batch of 256 takes 8 seconds of LLVM where 16 takes 0.3. Behind the barrier
the sum with the product reads what was stored.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.contraction import REDUCTIONS
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.iree.packed_twice import LARGE, keeps_rows_apart
from netc.codegen.rewrite.iree.shared_products import FOLLOWS
from netc.codegen.rewrite.walk import each_function, rewrite


def part_packed_addends(module: Module) -> Module:
    """The module with a barrier before each sum with a product of what is made of axes apart and is summed itself."""
    return each_function(module, _parted)


def _parted(function: Function) -> Function:
    summed = {op.operands[0] for op in function.ops if op.kind in REDUCTIONS and _by_rows(op)}
    if not summed:
        return function
    apart = {op.result for op in function.ops if op.kind == "broadcast" and keeps_rows_apart(op)}
    products: set[Value] = set()  # and what follows them in their kernels
    source: dict[Value, Value] = {}  # of a reshape
    readers: dict[Value, Value] = {}  # the result of a sum with a product -> the other operand
    for op in function.ops:
        known = products.intersection(op.operands)
        if op.kind == "dot" or (known and op.kind in FOLLOWS):
            products.add(op.result)
        elif op.kind in ELEMENTWISE and not apart.isdisjoint(op.operands) and op.result.type.bytes >= LARGE:
            apart.add(op.result)
        elif op.kind == "reshape":
            source[op.result] = op.operands[0]
        if known and op.kind in ELEMENTWISE:
            others = ((v, source.get(v, v)) for v in op.operands)
            readers.update((op.result, v) for v, made in others if made in apart and made in summed)

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if (addend := readers.get(op.result)) is None:
            return None
        behind = [b.op("barrier", v) if o is addend else v for o, v in zip(op.operands, operands, strict=True)]
        return b.again(op.kind, tuple(behind), dict(op.attrs))[0]

    return rewrite(function, visit, ELEMENTWISE) if readers else function


def _by_rows(reduction: Op) -> bool:
    """Whether it sums what lies along the last axis, for rows of two axes and more."""
    last = len(reduction.operands[0].shape) - 1
    return last > 1 and reduction.attr("dims") == (last,)
