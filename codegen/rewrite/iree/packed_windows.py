"""Puts a barrier behind an image made of windows that one product reads, on IREE's CPU.

IREE 3.12 packs a product's operand in the kernel that makes it, where the packing's tiles fit its axes. The rows of
what is made of windows, such as a depthwise convolution with all that follows, stay three axes: the kernel then runs
down the image's columns, 16 pixels a vector, each a number of another channel's row away, and stores them one by one. A
[32, 112, 112, 32] takes 60 ms so. Behind the barrier it is made along the channels, and packed by a kernel that has
two axes.
"""

from __future__ import annotations

from collections import Counter

from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.iree.packed_twice import ROWS, way_of
from netc.codegen.rewrite.walk import behind_barriers, each_function


def part_packed_windows(module: Module) -> Module:
    """The module with such a barrier behind every image of several examples that a product reads by its rows."""
    return each_function(module, _parted)


def _parted(function: Function) -> Function:
    parts = {op.result for op in function.ops if op.kind == "slice" and _is_window(op)}
    if not parts:
        return function
    made: set[Value] = set()  # of parts of an image, in the kernel of whoever reads it
    rows: dict[Value, Value] = {}  # pixels below one another -> the image
    for op in function.ops:
        if op.kind in ELEMENTWISE:
            one, other = op.operands[0], op.operands[-1]
            if one in parts or other in parts or one in made or other in made:
                made.add(op.result)
        elif op.kind == "reshape" and (image := op.operands[0]) in made and op.result.shape[-1] == image.shape[-1]:
            rows[op.result] = image
    if not rows:
        return function
    reads = Counter(v for op in function.ops for v in op.operands)
    held = {
        rows[v]
        for op in function.ops
        if op.kind == "dot" and not any(op.attr("batch"))
        for v, axes in zip(op.operands, op.attr("contract"), strict=True)
        if v in rows and way_of(v, axes) == ROWS and reads[v] == reads[rows[v]] == 1
    }
    return behind_barriers(function, held, ELEMENTWISE) if held else function


def _is_window(op: Op) -> bool:
    """Whether a slice is a part of each of several images, whose rows are then not one axis."""
    shape = op.result.shape
    return len(shape) == 4 and shape[0] > 1 and shape[1:3] != op.operands[0].shape[1:3]
