"""Pooling whose windows, or whose padding, follow from the size of the image, in JAX: window by window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import AdaptiveAvgPool, CeilMaxPool, Chain, Dense, Flatten
from netc.netspec.layers.window import pair
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.window import Window

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _adaptive_avg_pool(layer: AdaptiveAvgPool, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    for axis, count in zip((1, 2), pair(layer.size), strict=True):
        length = x.shape[axis]
        means = [
            jnp.mean(
                jnp.take(x, np.arange(math.floor(i * length / count), math.ceil((i + 1) * length / count)), axis=axis),
                axis=axis,
            )
            for i in range(count)
        ]
        x = jnp.stack(means, axis=axis)
    return x, {}


def _ceil_max_pool(layer: CeilMaxPool, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    size, stride = pair(layer.size), pair(layer.size if layer.stride is None else layer.stride)
    sides = []
    for length, k, s in zip(x.shape[1:3], size, stride, strict=True):
        count = math.ceil((length - k) / s) + 1
        count -= (count - 1) * s >= length  # the last window must begin inside
        sides.append((0, max((count - 1) * s + k - length, 0)))
    pixels = Window(size, stride, (sides[0], sides[1])).pixels(x, -np.inf)
    first = jnp.argmax(pixels, axis=0, keepdims=True)
    return jnp.take_along_axis(pixels, first, axis=0)[0], {}


# name -> size, example
SIZES: dict[str, tuple[int | tuple[int, int], tuple[int, int, int]]] = {
    "to-one": (1, (3, 4, 2)),
    "even": (2, (4, 6, 2)),
    "overlapping": (3, (5, 4, 2)),
    "identity": (3, (3, 3, 2)),
    "one-axis": ((3, 2), (3, 5, 2)),
    "growing": (5, (3, 2, 2)),
    "from-one": ((3, 4), (1, 1, 2)),
    "growing-and-shrinking": ((2, 5), (5, 3, 1)),
}

# name -> size, stride, example
POOLS: dict[str, tuple[int | tuple[int, int], int | tuple[int, int] | None, tuple[int, int, int]]] = {
    "3x3-two-whole": (3, 2, (5, 7, 2)),
    "3x3-two-rest": (3, 2, (6, 4, 2)),
    "2x2-odd": (2, None, (5, 3, 2)),
    "2x2-even": (2, 2, (4, 2, 2)),
    "smaller-than-window": (3, 2, (2, 2, 2)),
    "stride-above-size": (1, 3, (3, 5, 2)),
    "last-begins-outside": (2, 3, (6, 5, 2)),
    "uneven": ((2, 3), (3, 1), (6, 4, 1)),
}


REFERENCES = (
    Reference(
        "adaptiveAvgPool",
        _adaptive_avg_pool,
        (
            *(Case(name, AdaptiveAvgPool(size), example) for name, (size, example) in SIZES.items()),
            Case("batch-1", AdaptiveAvgPool(2), (3, 3, 1), batch=1),
            Case("before-dense", Chain((AdaptiveAvgPool(2), Flatten(), Dense(3))), (5, 3, 2)),
            Case("evaluation", AdaptiveAvgPool(2), (3, 5, 2), training=False),
        ),
        (
            BadCase(AdaptiveAvgPool(0), (4, 4, 1), "size wants positive integers, got 0"),
            BadCase(AdaptiveAvgPool(2), (16,), "wants [batch, H, W, C], got [batch, 16]; give an image"),
        ),
    ),
    Reference(
        "ceilMaxPool",
        _ceil_max_pool,
        (
            *(Case(name, CeilMaxPool(size, stride), example) for name, (size, stride, example) in POOLS.items()),
            Case("ties", CeilMaxPool(3, 2), (6, 4, 2), draw="ties"),
            Case("negative-ties", CeilMaxPool(3, 2), (4, 6, 2), draw="negative-ties"),
            Case("batch-1", CeilMaxPool(2), (3, 3, 1), batch=1, training=False),
        ),
        (
            BadCase(CeilMaxPool(3, 2), (1, 1, 1), "wants an image of at least 3 pixels a side, got 1x1"),
            BadCase(CeilMaxPool(2), (16,), "wants [batch, H, W, C], got [batch, 16]; give an image"),
            BadCase(CeilMaxPool(0), (4, 4, 1), "wants positive integers, got 0"),
        ),
    ),
)
