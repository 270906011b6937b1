"""Parts products from the transposes of what they give, on IREE's CPU.

IREE takes a transpose into the product before it, as attention's heads have them. Such a product is not packed: of
[788, 384] and [384, 384] it runs at 48 GFLOP/s, where the packed one runs at 230 and the transpose takes a tenth of it.
"""

from __future__ import annotations

from netc.codegen.ir import Function, Module, Value
from netc.codegen.rewrite.walk import behind_barriers, each_function

THROUGH = ("reshape", "slice", "convert")


def part_turned_products(module: Module) -> Module:
    """The module with a barrier behind each product that a transpose reads, also through a reshape or a slice."""
    return each_function(module, _part)


def _part(function: Function) -> Function:
    turned: set[Value] = set()
    for op in reversed(function.ops):
        if op.kind == "transpose" or (op.kind in THROUGH and op.result in turned):
            turned.add(op.operands[0])
    return behind_barriers(function, turned, ("dot",))
