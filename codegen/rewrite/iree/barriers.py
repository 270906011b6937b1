"""The barriers of a text for IREE.

IREE 3.12 makes of `stablehlo.optimization_barrier` a place where the host waits for the device, takes new memory and
begins another command buffer (docs/known-limits.md). Its compute barrier is gone once dispatches are formed. A barrier
on several values orders them, and stays, but for modules with a tensor of a size that would be lost, and for those with
loops of blocks: no host waits in a turn, and where one does, buffers that a loop carries are lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netc.codegen.ir import Function, Module, Op
from netc.codegen.rewrite.walk import each_function

# bytes of a tensor that IREE 3.12's CPU device may never free where the host waits while it is held
LOST = (32 << 20, 64 << 20)
COMPUTE = (("compute", True),)


def barriers_for_iree(module: Module) -> Module:
    """The module with barriers on one value in IREE's own form, and those on several where they would lose memory."""
    ops = [op for function in module for op in function.ops]
    sizes = {v.type.bytes for op in ops for v in op.results} | {v.type.bytes for f in module for v in f.params}
    apart = any(op.kind == "block_loop" for op in ops) or any(LOST[0] < size <= LOST[1] for size in sizes)

    def change(function: Function) -> Function:
        if not any(op.kind in ("barrier", "joint_barrier") for op in function.ops):
            return function
        return replace(function, ops=tuple([new for op in function.ops for new in _formed(op, apart)]))

    return each_function(module, change)


def _formed(op: Op, apart: bool) -> Iterator[Op]:
    if op.kind == "joint_barrier" and apart:
        for v, made in zip(op.operands, op.results, strict=True):
            yield Op("barrier", (v,), COMPUTE, made, op.loc)
    else:
        yield replace(op, attrs=COMPUTE) if op.kind == "barrier" else op
