"""Puts a barrier between a reduction and the rows that read its result again: x - mean(x), for GPU targets.

IREE 3.12 joins a reduction with its one reader into a dispatch where, if the reader repeats the result along an axis
before one that it keeps, threads read what other threads have not yet written: the SPIR-V that it makes has no barrier
there (docs/upstream-issues/broadcast-sum-vulkan.md). An optimization barrier keeps the two apart. Sums whose result is
repeated along later axes only (a softmax, a layer norm) are right, and stay as they are.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops import elementwise
from netc.codegen.rewrite.walk import each_function, rewrite

REDUCTIONS = frozenset({"reduce_sum", "reduce_max", "reduce_min", "dot"})
CARRIES = frozenset(row.kind for row in elementwise.ROWS) | {"reshape", "transpose", "broadcast"}


def part_repeated_sums(module: Module) -> Module:
    """The module with a barrier before every repetition of a reduced value along an axis before one that it keeps."""
    return each_function(module, _part)


def _part(function: Function) -> Function:
    reduced: set[Value] = set()  # values that a compiler can compute inside the reduction that they come from

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if op.kind in REDUCTIONS or (op.kind in CARRIES and any(v in reduced for v in op.operands)):
            reduced.add(op.result)
        if op.kind != "broadcast" or op.operands[0] not in reduced or not _repeats_rows(op):
            return None
        return b.op("broadcast", b.op("barrier", operands[0]), **dict(op.attrs))

    return rewrite(function, visit)


def _repeats_rows(op: Op) -> bool:
    shape, kept = op.result.shape, op.attr("dims")
    return any(d not in kept and any(k > d and shape[k] > 1 for k in kept) for d in range(len(shape)))
