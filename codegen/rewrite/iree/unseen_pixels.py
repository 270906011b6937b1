"""Cuts away the pixels that the one window of a convolution does not see, on IREE's targets.

Where a strided convolution has one output along an axis, IREE 3.12 drops the axis, and with it the stride, but keeps
all of the padded image: one of 4 pixels beside a window of 3. Its own checks refuse that program; netc has them off for
`cpu` (docs/design-notes.md), where the numbers were wrong without a message.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite


def crop_unseen_pixels(module: Module) -> Module:
    """The module in which a convolution's padded image ends where its only window does."""
    return each_function(module, _crop)


def _crop(function: Function) -> Function:
    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        x, w = operands
        sizes, padding = list(x.shape), list(op.attr("padding"))
        for axis in (0, 1):
            low, high = padding[axis]
            seen = (w.shape[axis] - 1) * op.attr("dilation")[axis] + 1
            rest = sizes[axis + 1] + low + high - seen
            if op.result.shape[axis + 1] == 1 and 0 < rest < sizes[axis + 1] + high:
                padding[axis], sizes[axis + 1] = (low, max(high - rest, 0)), sizes[axis + 1] - max(rest - high, 0)
        if tuple(padding) == op.attr("padding") and tuple(sizes) == x.shape:
            return None
        image = b.slice(x, (0, 0, 0, 0), tuple(sizes))
        return b.op("conv", image, w, **{**dict(op.attrs), "padding": tuple(padding)})

    return rewrite(function, visit, ("conv",))
