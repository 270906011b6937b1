"""A drawn mask that is broadcast is computed once for each of its elements, on XLA's CPU.

XLA joins the broadcast with what makes the mask, Threefry's twenty rounds, and so draws anew for every element that the
mask falls on. LLVM may then compile for minutes: its loop vectoriser asks which numbers are the same in all lanes, of
each operand of each operand anew, and one of Threefry's rounds reads the one before it three times over.

XLA does not repeat a root, which it takes for expensive. So the mask goes through one: sqrt 0 = 0 and sqrt 1 = 1,
exactly. A barrier does not help: XLA drops it before it chooses what to fuse.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.walk import each_function, rewrite

CARRIES = frozenset((*ELEMENTWISE, "reshape", "slice"))  # of what is drawn, they make something drawn


def hold_masks(module: Module) -> Module:
    """The module with a root of every drawn mask in front of its broadcasts."""
    return each_function(module, _held)


def _held(function: Function) -> Function:
    drawn: set[Value] = set()
    wanted: set[Value] = set()
    for op in function.ops:
        if op.kind == "xor" or (op.kind in CARRIES and not drawn.isdisjoint(op.operands)):
            drawn.add(op.result)
        elif op.kind == "broadcast":
            mask = op.operands[0]
            if mask in drawn and mask.type.dtype == "i1" and mask.type.size < op.result.type.size:
                wanted.add(mask)
    if not wanted:
        return function

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if op.result not in wanted:
            return None
        mask = b.again(op.kind, operands, dict(op.attrs))[0]
        return b.compare("GT", b.unary("sqrt", b.convert(mask, "f32")), 0.5)

    return rewrite(function, visit, CARRIES)
