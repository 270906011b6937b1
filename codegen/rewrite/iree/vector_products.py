"""A sum that is a product of many matrices with a vector each is computed by itself, on IREE's CPU.

y[i, j] = sum over n of h[i, j, n] c[i, n], as a selective scan reads its states. IREE finds the products in a sum of
elementwise ones and packs them in tiles, within the operation that makes h, and computes within the same operation what
reads y. Such an operation compiles for a minute; between barriers it compiles in a second.
"""

from __future__ import annotations

from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.walk import behind_barriers, each_function


def part_vector_products(module: Module) -> Module:
    """The module with a barrier behind each h that is made element by element, and behind each y that is read so."""
    return each_function(module, _parted)


def _parted(function: Function) -> Function:
    made = {op.result: op for op in function.ops}
    read = {v for op in function.ops if op.kind in ELEMENTWISE for v in op.operands}
    held: set[Value] = set()
    for op in function.ops:
        if op.kind == "reduce_sum" and (matrices := _matrices(op, made)) is not None:
            held |= {op.result} & read
            held |= {matrices} if matrices in made and made[matrices].kind in ELEMENTWISE else set()
    return behind_barriers(function, held, {"reduce_sum", *ELEMENTWISE}) if held else function


def _matrices(op: Op, made: dict[Value, Op]) -> Value | None:
    """h, of a sum over the last axis of h times vectors that are broadcast: more than one vector, each used again."""
    product, last = made.get(op.operands[0]), len(op.operands[0].shape) - 1
    if op.attr("dims") != (last,) or product is None or product.kind != "mul":
        return None
    vectors = [v for v in product.operands if v in made and made[v].kind == "broadcast"]
    if len(vectors) != 1:
        return None
    axes = made[vectors[0]].attr("dims")
    if last not in axes or not 1 < len(axes) <= last:
        return None
    return product.operands[1 - product.operands.index(vectors[0])]
