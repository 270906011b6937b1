"""Pooling in JAX, straight from the sums and maxima over windows.

The maximum is the element at the first arg max of a window in row-major order, so that autodiff sends the whole
cotangent there. `lax.reduce_window`'s own derivative chooses the same element; the tests compare the two.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import AvgPool, GlobalAvgPool, MaxPool
from netc.netspec.layers.window import Padding, Pair
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.window import Window, window_of

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors

AROUND: Padding = ((1, 1), (1, 1))


def _window(layer: MaxPool | AvgPool, x: Array) -> Window:
    """A pool without a stride moves by its own size."""
    stride = layer.size if layer.stride is None else layer.stride
    return window_of(layer.padding, x.shape[1:3], layer.size, stride)


def _max_pool(layer: MaxPool, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    pixels = _window(layer, x).pixels(x, -np.inf)
    first = jnp.argmax(pixels, axis=0, keepdims=True)
    return jnp.take_along_axis(pixels, first, axis=0)[0], {}


def _avg_pool(layer: AvgPool, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    pixels, inside = (_window(layer, x).pixels(pixel, 0.0) for pixel in (x, jnp.ones_like(x)))
    count = pixels.shape[0] if layer.count_padding else jnp.sum(inside, axis=0)
    return jnp.sum(pixels, axis=0) / count, {}


def _global_avg_pool(layer: GlobalAvgPool, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    axes = tuple(range(1, x.ndim - 1))
    return jnp.sum(x, axes) / math.prod(x.shape[1:-1]), {}


# name -> size, stride, padding, example
GEOMETRIES: dict[str, tuple[int | Pair, int | Pair | None, Padding, tuple[int, int, int]]] = {
    "2x2": (2, None, "valid", (4, 6, 3)),
    "2x2-odd": (2, None, "valid", (5, 7, 2)),
    "2x2-one": (2, 1, "valid", (4, 5, 2)),
    "2x2-same-odd": (2, 2, "same", (5, 5, 2)),
    "2x2-symmetric": (2, 2, "same-symmetric", (4, 4, 2)),
    "3x3-two-around": (3, 2, AROUND, (7, 8, 2)),
    "3x3-two-around-even": (3, 2, AROUND, (6, 6, 2)),
    "3x3-one": (3, 1, "valid", (5, 4, 2)),
    "3x3-one-same": (3, 1, "same", (4, 5, 2)),
    "3x3-two-same-even": (3, 2, "same", (6, 8, 2)),
    "3x3-two-symmetric-even": (3, 2, "same-symmetric", (6, 8, 2)),
    "3x3-stride-3": (3, None, "valid", (7, 6, 2)),
    "1x1": (1, 1, "valid", (3, 2, 2)),
    "1x1-skipping": (1, 2, "valid", (5, 4, 2)),
    "stride-above-size": (2, 3, "valid", (8, 7, 2)),
    "stride-above-size-same": (2, 3, "same", (8, 7, 2)),
    "wide": ((1, 3), (2, 1), "valid", (5, 6, 2)),
    "tall": ((3, 2), (1, 2), "same", (5, 5, 2)),
    "lopsided": (3, 2, ((2, 0), (0, 1)), (5, 6, 2)),
    "lopsided-after": (3, 2, ((0, 2), (1, 0)), (6, 5, 2)),
    "axes-of-1": (2, 1, ((1, 0), (0, 1)), (1, 1, 2)),
    "height-1": ((1, 2), 1, "valid", (1, 5, 1)),
    "whole-image": ((3, 4), None, "valid", (3, 4, 2)),
    "above-image": (5, 2, ((2, 2), (3, 2)), (3, 3, 2)),
}


def _max_cases() -> tuple[Case, ...]:
    cases = [
        Case(name if draw == "normal" else f"{name}-{draw}", MaxPool(size, stride, padding), example, draw=draw)
        for name, (size, stride, padding, example) in GEOMETRIES.items()
        for draw in ("normal", "ties", "negative-ties")
        if draw != "negative-ties" or padding != "valid"
    ]
    return (*cases, Case("batch-1", MaxPool(2, 1), (3, 3, 1), batch=1, draw="ties"))


def _avg_cases() -> tuple[Case, ...]:
    cases = [
        Case(f"{name}-counting" if counting else name, AvgPool(size, stride, padding, count_padding=counting), example)
        for name, (size, stride, padding, example) in GEOMETRIES.items()
        for counting in (False, True)
    ]
    return (*cases, Case("batch-1", AvgPool(2, 1), (3, 3, 1), batch=1))


REFERENCES = (
    Reference(
        "maxPool",
        _max_pool,
        _max_cases(),
        (
            BadCase(MaxPool(3), (2, 2, 1), "wants an image of at least 3 pixels a side, got 2x2"),
            BadCase(MaxPool(2), (16,), "wants [batch, H, W, C], got [batch, 16]; give an image"),
            BadCase(MaxPool(0), (4, 4, 1), "wants positive integers, got 0"),
            BadCase(MaxPool(2, 0), (4, 4, 1), "stride wants positive integers, got (0, 0)"),
            BadCase(
                MaxPool(2, padding=((2, 0), (0, 0))),
                (4, 4, 1),
                "padding wants less than the window's size 2, got (2, 0)",
            ),
            BadCase(MaxPool(2, padding=((-1, 0), (0, 0))), (4, 4, 1), "padding wants no negative numbers"),
        ),
    ),
    Reference(
        "avgPool",
        _avg_pool,
        _avg_cases(),
        (
            BadCase(AvgPool(5), (4, 9, 1), "wants an image of at least 5 pixels a side, got 4x9"),
            BadCase(AvgPool(2), (4, 4), "wants [batch, H, W, C], got [batch, 4, 4]; give an image"),
            BadCase(AvgPool(3, padding=((0, 0), (0, 3))), (4, 4, 1), "a window would see no pixel"),
        ),
    ),
    Reference(
        "globalAvgPool",
        _global_avg_pool,
        (
            Case("image", GlobalAvgPool(), (3, 4, 5)),
            Case("one-pixel", GlobalAvgPool(), (1, 1, 3)),
            Case("one-row", GlobalAvgPool(), (1, 6, 2), batch=1),
            Case("one-channel", GlobalAvgPool(), (3, 2, 1)),
            Case("sequence", GlobalAvgPool(), (4, 3)),
        ),
        (BadCase(GlobalAvgPool(), (5,), "wants [batch, .., C], got"),),
    ),
)
