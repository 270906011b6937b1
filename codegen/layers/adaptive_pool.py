"""Pooling whose windows follow from the size of the image."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, rule
from netc.netspec.layers.adaptive_pool import AdaptiveAvgPool, window_bounds
from netc.netspec.layers.window import pair
from netc.netspec.types import TensorType


def _means(b: Builder, length: int, count: int, like: Value) -> Value:
    """A [count, length]: row i holds 1 / n in the n columns of window i."""
    rows = tuple(
        1 / (stop - start) if start <= column < stop else 0.0
        for start, stop in window_bounds(length, count)
        for column in range(length)
    )
    return b.constant(rows, TensorType((count, length), like.type.dtype))


def _along(b: Builder, x: Value, matrix: Value, axis: int, contract: int) -> Value:
    """`matrix` applied to one axis of an image [N, H, W, C]; `contract` is the axis of the matrix that is summed."""
    product = b.dot(matrix, x, (contract, axis))  # [m, the other axes]
    order = [*range(1, 4)]
    order.insert(axis, 0)
    return b.transpose(product, (order[0], order[1], order[2], order[3]))


@rule(AdaptiveAvgPool)
def emit_adaptive_avg_pool(b: Builder, layer: AdaptiveAvgPool, scope: Scope, x: Value) -> Emitted:
    """y = A x Bᵀ over (H, W), with a row of A, B for each window; an axis that keeps its size is left alone."""
    steps = [
        (axis, _means(b, x.shape[axis], count, x))
        for axis, count in zip((1, 2), pair(layer.size), strict=True)
        if x.shape[axis] != count
    ]
    y = x
    for axis, matrix in steps:
        y = _along(b, y, matrix, axis, 1)

    def adaptive_avg_pool_pull(dy: Value) -> tuple[Value, Grads]:
        for axis, matrix in reversed(steps):  # dx = Aᵀ dy B
            dy = _along(b, dy, matrix, axis, 0)
        return dy, {}

    return Emitted(y, adaptive_avg_pool_pull)
