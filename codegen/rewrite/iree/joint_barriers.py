"""Takes barriers on several values apart where IREE would lose memory or buffers at them.

IREE 3.12 makes of `stablehlo.optimization_barrier` a place where the host waits for the device, takes new memory and
begins another command buffer (docs/known-limits.md). For one value its own compute barrier is written instead, which is
gone once dispatches are formed (codegen/ops/movement.py). A barrier on several values orders them, and stays, but
where a tensor of a size that would be lost is held across it, and in modules with loops that are blocks
(codegen/ops/loop.py): no host waits in a turn, and where one does, buffers that a loop carries are lost. A function
that is given its memory (given_scratch.py) loses no more than results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function

# bytes of a tensor that IREE 3.12's CPU device may never free where the host waits while it is held
LOST = (32 << 20, 64 << 20)


def part_joint_barriers(module: Module) -> Module:
    """The module with a barrier on each value where one on several would lose memory; itself where none would."""
    blocks = any(op.kind == "loop" and op.attr("apart") for function in module for op in function.ops)

    def change(function: Function) -> Function:
        held = _held(function)
        if function.scratch:
            held &= set(function.results)
        sizes = {v.type.bytes for v in held}
        if not sizes or not (blocks or any(LOST[0] < size <= LOST[1] for size in sizes)):
            return function
        return replace(function, ops=tuple([new for op in function.ops for new in _parted(op)]))

    return each_function(module, change)


def _held(function: Function) -> set[Value]:
    """The values that pass a barrier on several, or are made before one and read, or returned, behind it."""
    waits = [n for n, op in enumerate(function.ops) if op.kind == "joint_barrier"]
    if not waits:
        return set()
    made = {v: n for n, op in enumerate(function.ops) for v in (op.result, *op.extra_results)}
    last = {v: n for n, op in enumerate(function.ops) for v in op.operands}  # by whom it is read
    last |= dict.fromkeys(function.results, len(function.ops))
    return {v for wait in waits for v, n in made.items() if n < wait and v in last and wait <= last[v]}


def _parted(op: Op) -> Iterator[Op]:
    if op.kind != "joint_barrier":
        yield op
        return
    for v, made in zip(op.operands, op.results, strict=True):
        yield Op("barrier", (v,), (), made, op.loc)
