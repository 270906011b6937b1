"""Forms of pooling: elementwise over taps, and their gradients by phase."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.codegen.ops.window import Pair
from netc.codegen.rewrite.taps import by_shift, padded, view, window_of
from netc.netspec.types import TensorType


def max_pool(b: Builder, op: Op, x: Value) -> Value:
    """The running maximum over taps."""
    w = window_of(op, x.shape[1:3], op.result.shape[1:3], op.attr("kernel"))
    image = padded(b, x, w, -math.inf)
    y: Value | None = None
    for tap in w.positions:
        v = view(b, image, w, tap)
        y = v if y is None else b.maximum(y, v)
    assert y is not None
    return y


def sum_pool(b: Builder, op: Op, x: Value) -> Value:
    """The running sum over taps."""
    w = window_of(op, x.shape[1:3], op.result.shape[1:3], op.attr("kernel"))
    image = padded(b, x, w)
    y: Value | None = None
    for tap in w.positions:
        v = view(b, image, w, tap)
        y = v if y is None else b.add(y, v)
    assert y is not None
    return y


def max_pool_grad(b: Builder, op: Op, x: Value, y: Value, dy: Value) -> Value:
    """Each window's first maximum is numbered once; a pixel then takes dy from the windows whose number is its tap."""
    w = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    image = padded(b, x, w, -math.inf)
    # a row of numbers so long that what lies beside the window in a row has no number of a tap
    row = w.kernel[1] + 2 * w.phases[1]
    numbers = [a * row + c for a, c in w.positions]
    winner = b.constant(numbers[-1], TensorType(dy.shape, "i32"))
    for number, tap in reversed(list(zip(numbers[:-1], w.positions[:-1], strict=True))):
        winner = b.select(b.compare("EQ", view(b, image, w, tap), y), number, winner)

    def term(first: Pair, values: list[Value]) -> Value:
        chosen, part = values
        number = b.add(b.mul(b.iota(2, chosen.shape), row), b.iota(4, chosen.shape))
        return b.select(b.compare("EQ", chosen, b.add(number, first[0] * row + first[1])), part, 0.0)

    return by_shift(b, w, [winner, dy], term)


def sum_pool_grad(b: Builder, op: Op, dy: Value) -> Value:
    """A pixel takes dy from every window that sees it."""
    w = window_of(op, op.attr("size"), dy.shape[1:3], op.attr("kernel"))

    def term(first: Pair, values: list[Value]) -> Value:
        part = values[0]
        for axis in (0, 1):  # the phases of which it is a tap
            low, high = -first[axis], w.kernel[axis] - first[axis]
            if low > 0 or high < w.phases[axis]:
                phase = b.iota(2 + 2 * axis, part.shape)
                inside = b.op("and", b.compare("GE", phase, low), b.compare("LT", phase, high))
                part = b.select(inside, part, 0.0)
        return part

    return by_shift(b, w, [dy], term)
