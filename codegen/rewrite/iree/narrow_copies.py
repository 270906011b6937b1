"""Puts a barrier before the bf16 copy of what a convolution's dispatch stores as float32 too, for GPU targets.

IREE 3.12 computes what follows a bf16 convolution (bias, batch norm, relu, the rounding) in the convolution's own
dispatch. Where that dispatch stores one value twice, as float32 and rounded, the code for ROCm wants 80 KiB of shared
memory and has 64: the smallest program is a 3x3 convolution of 128 channels, relu, and both types of its result
(docs/known-limits.md). With the barrier the copy is a dispatch of its own, which reads the float32 value once more.
A convolution keeps its form: it becomes matrix instructions as it stands, as im2col's product would, in 2 dispatches
instead of 11.

Leaves alone a value of which only the copy is read, and whatever waits for a sum of the convolution's result (batch
norm's own statistics): it is in another dispatch already. float32 modules hold no such copy.
"""

from __future__ import annotations

from collections import Counter

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.iree.repeated_sums import CARRIES
from netc.codegen.rewrite.walk import each_function, rewrite


def part_narrow_copies(module: Module) -> Module:
    """The module with a barrier before every bf16 copy of a value that a convolution's dispatch gives as float32."""
    return each_function(module, _part)


def _part(function: Function) -> Function:
    if not any(_narrows(op) for op in function.ops):
        return function
    readers = Counter(v for op in function.ops for v in op.operands) + Counter(function.results)
    joined = _joined(function)

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if not _narrows(op) or readers[op.operands[0]] == 1 or op.operands[0] not in joined:
            return None
        return b.convert(b.op("barrier", operands[0]), "bf16")

    return rewrite(function, visit, ("convert",))


def _narrows(op: Op) -> bool:
    return op.kind == "convert" and op.result.type.dtype == "bf16"


def _joined(function: Function) -> set[Value]:
    """The values that a bf16 convolution's dispatch can compute behind it.

    These are elementwise in its result, and wait for nothing that is outside and reads that result. `home` names the
    convolution by a bit; `waits` has the bits of those whose results must be stored before a value can be computed.
    """
    home: dict[Value, int] = {}
    waits: dict[Value, int] = {}
    found = 0
    for op in function.ops:
        stored, homes = 0, set[int]()
        for v in op.operands:
            stored |= waits.get(v, 0)
            homes.add(home.get(v, 0))
        here = 0
        if op.kind == "conv" and op.operands[0].type.dtype == "bf16":
            found, here = found + 1, 1 << found
        elif op.kind in CARRIES and max(homes, default=0) & ~stored:
            here = max(homes)  # of two convolutions the later one, which can read what the earlier one stored
        for other in homes - {here}:
            stored |= other
        for result in op.results:
            home[result], waits[result] = here, stored
    return {v for v, bit in home.items() if bit}
