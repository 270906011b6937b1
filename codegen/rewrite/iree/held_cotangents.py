"""The cotangent that gelu's pullback gives is computed once, on IREE's CPU.

Three operations read it: the sum that is the bias's gradient, and the products for the weights and for x. IREE computes
it within the sum, in loops over columns, where erf and exp take several times as long as by themselves.
"""

from __future__ import annotations

from netc.codegen.ir import Function, Module, Value
from netc.codegen.location import location_of
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.walk import behind_barriers, each_function

LARGE = 64 << 10  # bytes: below that the work is too little to be worth a dispatch of its own


def hold_cotangents(module: Module) -> Module:
    """The module with a barrier behind what a pullback makes of erf and others read."""
    return each_function(module, _held)


def _held(function: Function) -> Function:
    places: dict[Value, str] = {}  # of what erf goes into, element by element
    held: set[Value] = set()
    for op in function.ops:
        made = [v for v in op.operands if v in places]
        within = [v for v in made if op.kind in ELEMENTWISE and places[v] == op.loc]
        if within or (op.kind == "erf" and location_of(op.loc).phase == "vjp"):
            places[op.result] = op.loc
        else:
            held |= {v for v in made if v.type.bytes >= LARGE}
    return behind_barriers(function, held, ELEMENTWISE) if held else function
