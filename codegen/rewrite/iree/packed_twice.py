"""Puts a barrier behind what two products read by rows and by columns, where its axes stay apart, on IREE's CPU.

IREE 3.12 packs a product's operand in the kernel that makes it. A layer's input is read by two products, y = x w and
dw = x^T dy, so that its kernel has two results, and tiles by one of them: by which is chance, another in every
compile. Where the rows are one axis, either will do. A factor such as a gate [N, C] on an image [N, H, W, C] keeps N
and H W apart, and the wrong choice leaves vectors of whole images, on which LLVM works for minutes. Behind the barrier
the operand is stored once, and packed by kernels of one result.

So is what is made of a depthwise convolution, a layer norm above all: where the convolution is one of IREE's own, the
norm's kernel packs in both ways, and a row of 768 channels was compiled for more than a minute.
"""

from __future__ import annotations

from collections import Counter

from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.iree.shared_products import FOLLOWS
from netc.codegen.rewrite.walk import behind_barriers, each_function

LARGE = 16 << 10  # bytes: a smaller one compiles in any order
ROWS, COLUMNS = 1, 2  # how a product reads its operand: a row for each result's row, or a column


def part_packed_twice(module: Module) -> Module:
    """The module with a barrier behind every value packed in both ways that is made of axes apart, or as said above."""
    return each_function(module, _parted)


def _packed_in_both_ways(function: Function) -> set[Value]:
    packed: dict[Value, int] = {}
    for op in reversed(function.ops):
        if op.kind == "dot" and not any(op.attr("batch")):
            for v, axes in zip(op.operands, op.attr("contract"), strict=True):
                packed[v] = packed.get(v, 0) | way_of(v, axes)
        elif op.kind == "reshape" and op.result in packed:
            v = op.operands[0]
            packed[v] = packed.get(v, 0) | packed[op.result]
    return {v for v, ways in packed.items() if ways == ROWS | COLUMNS and v.type.bytes >= LARGE}


def _parted(function: Function) -> Function:
    both = _packed_in_both_ways(function)
    if not both:
        return function
    reads = Counter(v for op in function.ops for v in op.operands)
    apart: set[Value] = set()  # made, in the kernel of whoever reads them, of axes that stay apart
    images: set[Value] = set()  # made of a depthwise convolution's result
    held: set[Value] = set()
    for op in function.ops:
        v = op.result
        if op.kind == "conv" and op.attr("groups") == v.shape[-1] > 1:
            images.add(v)
        elif op.kind == "broadcast" and keeps_rows_apart(op):
            apart.add(v)
        elif op.kind in FOLLOWS:
            if of_image := not images.isdisjoint(op.operands):
                images.add(v)
            if of_image or not apart.isdisjoint(op.operands):
                if v in both and op.kind != "reshape":
                    held.add(v)
                elif reads[v] == 1:
                    apart.add(v)
    return behind_barriers(function, held, ELEMENTWISE) if held else function


def way_of(v: Value, axes: tuple[int, ...]) -> int:
    """How a product that contracts these axes of its operand reads it; 0 for neither by rows nor by columns."""
    last = len(v.shape) - 1
    return ROWS if axes == (last,) else COLUMNS if axes == tuple(range(last)) else 0


def keeps_rows_apart(broadcast: Op) -> bool:
    """Whether it has channels, and some but not all of the axes before them: the rows are then not one axis."""
    dims = broadcast.attr("dims")
    if len(dims) < 2:
        return False
    *rows, last = range(len(broadcast.result.shape))
    sizes = dict(zip(dims, broadcast.operands[0].shape, strict=True))
    repeated = {sizes.get(a, 1) == 1 for a in rows if broadcast.result.shape[a] > 1}
    return sizes.get(last, 1) > 1 and len(repeated) == 2
