"""Puts a barrier between a reduction and the rows that read its result again: x - mean(x), for IREE's targets.

IREE 3.12 joins a reduction with its one reader into a dispatch. Where the reader repeats the result along an axis
before one that it keeps, that goes wrong in two ways, and a barrier keeps the two apart:

- On a GPU threads read what other threads have not yet written: the SPIR-V that it makes has no barrier there
  (docs/upstream-issues/broadcast-sum-vulkan.md).
- On a CPU a reader with several results, one of them packed for a product, is unrolled over all rows: 156,000 lines for
  the 8192 rows of mobilenet_v2's first block, on which LLVM works for longer than ten minutes (docs/known-limits.md).
  Only a reader of as many elements as were summed is joined so; apart from others, mnist-cnn takes longer. A sum in
  two stages (../reductions.py) is of all the elements of its first: efficientnet_b0 at 224x224 and batch 8 did not
  compile within ten minutes for the second stage, which its 16 channels read.

Sums whose result is repeated along later axes only (a softmax, a layer norm) are right, and stay as they are.
"""

from __future__ import annotations

from functools import partial

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.contraction import REDUCTIONS
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.walk import each_function, rewrite

JOINED = REDUCTIONS | {"dot"}
CARRIES = ELEMENTWISE | {"reshape", "transpose", "broadcast"}


def part_repeated_sums(module: Module) -> Module:
    """The module with a barrier before every repetition of a reduced value along an axis before one that it keeps."""
    return each_function(module, partial(_part, every=True))


def part_joined_sums(module: Module) -> Module:
    """The same before the repetitions over as many elements as were reduced, no others."""
    return each_function(module, partial(_part, every=False))


def _part(function: Function, every: bool) -> Function:
    reduced: dict[Value, set[int]] = {}  # values that a compiler can compute inside reductions of so many elements
    summed: dict[Value, set[int]] = {}  # those that are sums themselves

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if op.kind in JOINED:
            reduced[op.result] = summed[op.result] = {op.operands[0].type.size} | summed.get(op.operands[0], set())
        elif not reduced.keys().isdisjoint(op.operands):
            reduced[op.result] = set[int]().union(*(reduced.get(v, ()) for v in op.operands))
        if op.kind != "broadcast" or op.operands[0] not in reduced or not _repeats_rows(op):
            return None
        if not every and op.result.type.size not in reduced[op.operands[0]]:
            return None
        return b.op("broadcast", b.op("barrier", operands[0]), **dict(op.attrs))

    return rewrite(function, visit, JOINED | CARRIES)


def _repeats_rows(op: Op) -> bool:
    shape, kept = op.result.shape, op.attr("dims")
    return any(d not in kept and any(k > d and shape[k] > 1 for k in kept) for d in range(len(shape)))
