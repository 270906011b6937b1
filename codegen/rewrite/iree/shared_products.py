"""Puts a barrier between a product and what is made of it, where both are stored, on IREE's CPU.

IREE 3.12 computes the operations that follow a product in its kernel, tile by tile, if they have one result. If they
have several, as a layer and its activation that the backward pass reads, only one is tiled: the others become vectors
of whole strips of rows, on which LLVM works for minutes. Behind the barrier they are a kernel of their own.
"""

from __future__ import annotations

from math import prod

from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.contraction import REDUCTIONS
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.walk import behind_barriers, each_function

LARGE = 64 << 10  # bytes: a smaller product is not worth a kernel more
SHORT = 320  # terms of an element's sum: of 256 the vectors are too large, of 384 they are not, but for some sizes
FOLLOWS = frozenset((*ELEMENTWISE, "reshape"))
JOINS = FOLLOWS | REDUCTIONS  # they compute what they read

Readers = dict[Value, list[Op]]


def part_shared_products(module: Module) -> Module:
    """The module with a barrier in front of the readers of every product with which several results are stored."""
    return each_function(module, _parted)


def _parted(function: Function) -> Function:
    results = set(function.results)
    within = _within(function)
    readers: Readers = {v: [] for v in within}
    for op in function.ops:
        for v in op.operands:
            if v in within and op not in readers[v]:
                readers[v].append(op)
    for op in reversed(function.ops):  # what later kernels alone read is computed in these
        v = op.result
        if op.kind not in FOLLOWS or v not in within or v in results:
            continue
        if not any(_inside(v, o, within) or o.kind not in JOINS for o in readers[v]):
            del within[v]
    held: set[Value] = set()
    shared = _shared(function, within, readers, results)
    for op in function.ops:
        if op.kind == "dot" and within.get(op.result, 0) & shared:
            v = op.result
            while v not in results and len(readers[v]) == 1 and readers[v][0].kind in FOLLOWS:
                v = readers[v][0].result
            held.add(v)
    return behind_barriers(function, held, FOLLOWS | {"dot"}) if held else function


def _within(function: Function) -> dict[Value, int]:
    """The values that are computed in the kernels of products which may be unrolled: a bit for each product."""
    within: dict[Value, int] = {}
    behind: dict[Value, int] = {}  # of whose results a value is made by way of another kernel
    bit = 1
    for op in function.ops:
        together = apart = 0
        for v in op.operands:
            if v in within:
                together |= within[v]
            if v in behind:
                apart |= behind[v]
        follows = op.kind in FOLLOWS
        mine = together & ~apart if follows else 0
        if op.kind == "dot" and _unrolled(op):
            mine, bit = bit, bit << 1
        if mine:
            within[op.result] = mine
        if behind_it := apart if follows else together | apart:
            behind[op.result] = behind_it
    return within


def _inside(v: Value, reader: Op, within: dict[Value, int]) -> int:
    """The products in whose kernels a value is read."""
    return within.get(reader.result, 0) & within[v] if reader.kind in FOLLOWS else 0


def _shared(function: Function, within: dict[Value, int], readers: Readers, results: set[Value]) -> int:
    """The products with which IREE stores several values: themselves, or what follows them."""
    names: dict[Value, Value] = {}  # a value that is reshaped is stored once
    stored: dict[Value, int] = {}
    for op in function.ops:
        v = op.result
        if v in within:
            name = names[v] = names.get(op.operands[0], v) if op.kind == "reshape" else v
            outside = within[v] if v in results else 0
            for o in readers[v]:
                outside |= within[v] & ~_inside(v, o, within)
            stored[name] = stored.get(name, 0) | outside
    once = twice = 0
    for some in stored.values():
        twice |= once & some
        once |= some
    return twice


def _unrolled(dot: Op) -> bool:
    x = dot.operands[0]
    return dot.result.type.bytes >= LARGE and prod(x.shape[a] for a in dot.attr("contract")[0]) <= SHORT
