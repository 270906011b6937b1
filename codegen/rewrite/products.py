"""Products with a broadcast: what is equal along a joined axis is factored out of the sum over it.

sum_k x[.., k] y = (sum_k x[.., k]) y. Such products are made by the kernel gradient of a convolution whose result is
only averaged: its dy is the same for all pixels. The sum costs less than the product, and IREE's CPU backend cannot
vectorise the product (docs/known-limits.md). The order of additions changes, as it does between any two backends.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite
from netc.netspec.types import TensorType

Ints = tuple[int, ...]


def sum_before_products(module: Module) -> Module:
    """The module with no product that joins an axis along which one side is a broadcast, unless it joins no other."""
    return each_function(module, _factored)


def _factored(function: Function) -> Function:
    makers: dict[Value, Op] = {}
    seen = 0

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        nonlocal seen
        makers.update((made.result, made) for made in b.ops[seen:])
        seen = len(b.ops)
        if op.kind != "dot":
            return None
        for side in (0, 1):
            source = makers.get(operands[side])
            if source is not None and source.kind == "broadcast":
                value = _without_repeats(b, op, operands, side, source)
                if value is not None:
                    return value
        return None

    return rewrite(function, visit)


def _without_repeats(b: Builder, op: Op, operands: tuple[Value, ...], side: int, source: Op) -> Value | None:
    """The product with the repeats along joined axes left out of operand `side`, which `source` made."""
    joined, batch, dims = op.attr("contract"), op.attr("batch"), source.attr("dims")
    repeated = [k for k, axis in enumerate(joined[side]) if axis not in dims]
    if not repeated or len(repeated) == len(joined[side]) or dims != tuple(sorted(dims)):
        return None
    gone: list[Ints] = [tuple(sorted(axes[k] for k in repeated)) for axes in joined]

    def kept(axes: Ints, s: int) -> Ints:
        """Those axes of operand s that remain, as they are numbered after."""
        return tuple(a - sum(g < a for g in gone[s]) for a in axes if a not in gone[s])

    shape = tuple(n for a, n in enumerate(operands[side].shape) if a not in gone[side])
    small = b.broadcast(source.operands[0], TensorType(shape, operands[side].type.dtype), kept(dims, side))
    summed = b.sum(operands[1 - side], gone[1 - side])
    x, y = (small, summed) if side == 0 else (summed, small)
    return b.dot(x, y, (kept(joined[0], 0), kept(joined[1], 1)), (kept(batch[0], 0), kept(batch[1], 1)))
