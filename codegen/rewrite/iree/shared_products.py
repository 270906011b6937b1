"""Puts a barrier between a product and what is made of it, where both are stored, on IREE's CPU.

IREE 3.12 computes the operations that follow a product in its kernel, tile by tile, if they have one result. If they
have several, as a layer and its activation that the backward pass reads, only one is tiled: the others become vectors
of whole strips of rows, on which LLVM works for minutes. Behind the barrier they are a kernel of their own.
"""

from __future__ import annotations

from collections import defaultdict
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
    readers: Readers = defaultdict(list)
    for op in function.ops:
        for v in set(op.operands):
            readers[v].append(op)
    shared, results = _shared(function, readers), set(function.results)
    held: set[Value] = set()
    for op in function.ops:
        if op.result in shared and _unrolled(op):
            v = op.result
            while v not in results and len(readers[v]) == 1 and readers[v][0].kind in FOLLOWS:
                v = readers[v][0].result
            held.add(v)
    return behind_barriers(function, held, FOLLOWS | {"dot"}) if held else function


def _shared(function: Function, readers: Readers) -> set[Value]:
    """The products with which IREE stores several results: themselves, or what follows them."""
    bits = {op.result: 1 << n for n, op in enumerate(o for o in function.ops if o.kind == "dot")}
    within = _within(function, readers, bits)
    results = set(function.results)
    names: dict[Value, Value] = {}  # a value that is reshaped is stored once
    stored: dict[Value, int] = defaultdict(int)
    for op in function.ops:
        v = op.result
        if within[v]:
            names[v] = names.get(op.operands[0], v) if op.kind == "reshape" else v
            apart = [~within[o.result] if o.kind in FOLLOWS else -1 for o in readers[v]]
            for outside in (*apart, -1) if v in results else apart:
                stored[names[v]] |= within[v] & outside
    once = twice = 0
    for some in stored.values():
        twice |= once & some
        once |= some
    return {v for v, bit in bits.items() if twice & bit}


def _within(function: Function, readers: Readers, bits: dict[Value, int]) -> dict[Value, int]:
    """In which products' kernels each value is computed, as a sum of their bits."""
    within: dict[Value, int] = {}
    behind: dict[Value, int] = {}  # of whose results it is made by way of another kernel
    for op in function.ops:
        together = apart = 0
        for v in op.operands:
            together |= within.get(v, 0)
            apart |= behind.get(v, 0)
        follows = op.kind in FOLLOWS
        within[op.result] = together & ~apart if follows else bits.get(op.result, 0)
        behind[op.result] = apart if follows else together | apart
    results = set(function.results)
    for op in reversed(function.ops):  # what later kernels alone read is computed in these
        mine = within[op.result] if op.kind in FOLLOWS and op.result not in results else 0
        if mine and all(o.kind in JOINS and not within[o.result] & mine for o in readers[op.result]):
            within[op.result] = 0
    return within


def _unrolled(dot: Op) -> bool:
    x = dot.operands[0]
    return dot.result.type.bytes >= LARGE and prod(x.shape[a] for a in dot.attr("contract")[0]) <= SHORT
