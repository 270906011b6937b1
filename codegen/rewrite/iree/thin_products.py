"""Products over an axis of size 1 as products of numbers, in modules of any batch.

IREE does the same by itself, through a reshape of unknown sizes which it cannot compile. Leaves products of known sizes
alone, and those with batch axes.
"""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite
from netc.codegen.symbolic.sizes import is_symbolic


def thin_products(module: Module) -> Module:
    """The module with those products replaced."""
    return each_function(module, lambda function: rewrite(function, _product, {"dot"}))


def _product(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
    """y[i.., j..] = x[i.., 0] w[0, j..]."""
    contract, batch = op.attr("contract"), op.attr("batch")
    if batch[0] or not is_symbolic((op.result,)) or math.prod(operands[0].shape[a] for a in contract[0]) != 1:
        return None
    x, w = (_without(b, b.convert(v, op.result.type.dtype), axes) for v, axes in zip(operands, contract, strict=True))
    first = len(x.shape)
    left = b.broadcast(x, op.result, tuple(range(first)))
    return b.mul(left, b.broadcast(w, op.result, tuple(range(first, first + len(w.shape)))))


def _without(b: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """The value without axes of size 1."""
    return b.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))
