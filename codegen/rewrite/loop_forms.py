"""The form of a loop for IREE: blocks of its function in place of `stablehlo.while`.

IREE puts operations on scalars into dispatches of their own only outside of regions. In the region of a `while` the
same function would be fused, and rounded, in another way than where it is called by itself; as blocks it is not, and K
steps in one call are bit for bit those of K calls. A call that is not inlined is no way out: IREE 3.12 packs the 64-bit
arguments of a call that may yield as 32-bit ones.
"""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.ir import Function


def in_blocks(function: Function) -> Function:
    """The function with every loop as blocks; the values keep their names."""
    if not any(op.kind == "loop" for op in function.ops):
        return function
    ops = tuple([replace(op, kind="block_loop") if op.kind == "loop" else op for op in function.ops])
    return replace(function, ops=ops)
