"""Forms of pooling: elementwise over taps, and their gradients by phase."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.codegen.ops.window import Pair
from netc.codegen.rewrite.taps import Window, by_phase, padded, surrounded, view, window_of
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


def _phase_zero(b: Builder, w: Window, dx: TensorType) -> Value:
    size = tuple(-(-n // s) for n, s in zip(w.size, w.stride, strict=True))
    return b.constant(0.0, TensorType((dx.shape[0], *size, dx.shape[3]), dx.dtype))


def _max_pool_grad_tiled(b: Builder, w: Window, winner: Value, x: Value, dy: Value) -> Value:
    """Windows that tile the image: winner and dy repeated over each window, and one comparison."""
    (kh, kw), (n, p, q, c) = w.kernel, dy.shape
    whole = TensorType((n, p, kh, q, kw, c), "i32")
    number = b.add(b.mul(b.iota(2, whole.shape), kw), b.iota(4, whole.shape))
    hit = b.compare("EQ", b.broadcast(winner, whole, (0, 1, 3, 5)), number)
    wide = b.broadcast(dy, TensorType(whole.shape, dy.type.dtype), (0, 1, 3, 5))
    return b.reshape(b.select(hit, wide, 0.0), x.shape)


def max_pool_grad(b: Builder, op: Op, x: Value, y: Value, dy: Value) -> Value:
    """Each window's first maximum is numbered once; a pixel then takes dy from the windows whose number is its tap."""
    w = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    image = padded(b, x, w, -math.inf)
    last = len(w.positions) - 1
    winner = b.constant(last, TensorType(dy.shape, "i32"))
    for number, tap in reversed(list(enumerate(w.positions[:-1]))):
        winner = b.select(b.compare("EQ", view(b, image, w, tap), y), number, winner)

    tiles = w.kernel == w.stride and w.padding == ((0, 0), (0, 0))
    if tiles and w.size == (w.out[0] * w.kernel[0], w.out[1] * w.kernel[1]):
        return _max_pool_grad_tiled(b, w, winner, x, dy)

    numbers, seen = surrounded(b, winner, w, -1), surrounded(b, dy, w)

    def phase(pairs: list[tuple[Pair, Pair]], size: Pair) -> Value:
        total: Value | None = None
        for tap, shift in pairs:
            number = tap[0] * w.kernel[1] + tap[1]
            hit = b.compare("EQ", numbers(shift, size), number)
            part = b.select(hit, seen(shift, size), 0.0)
            total = part if total is None else b.add(total, part)
        assert total is not None
        return total

    return by_phase(b, w, _phase_zero(b, w, x.type), phase)


def sum_pool_grad(b: Builder, op: Op, dy: Value) -> Value:
    """A pixel takes dy from every window that sees it."""
    w = window_of(op, op.attr("size"), dy.shape[1:3], op.attr("kernel"))
    seen = surrounded(b, dy, w)

    def phase(pairs: list[tuple[Pair, Pair]], size: Pair) -> Value:
        total: Value | None = None
        for _, shift in pairs:
            part = seen(shift, size)
            total = part if total is None else b.add(total, part)
        assert total is not None
        return total

    return by_phase(b, w, _phase_zero(b, w, op.result.type), phase)
