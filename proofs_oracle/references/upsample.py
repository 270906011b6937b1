"""Up-sampling in JAX, pixel by pixel as torch.nn.functional.interpolate describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import BilinearUpsample, Chain, Conv2d, DepthToSpace, NearestUpsample
from netc.netspec.layers.window import pair
from netc.proofs_oracle.reference import BadCase, Case, Reference

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def nearest(x: Array, high: int, wide: int) -> Array:
    """Each pixel of x [batch, H, W, C] `high` times downwards and `wide` times to the right."""
    return jnp.repeat(jnp.repeat(x, high, axis=1), wide, axis=2)


def bilinear(x: Array, scale: int, axis: int) -> Array:
    """Linear interpolation along one axis: between the two old pixels whose centres enclose the new one's."""
    size = x.shape[axis]
    source = np.maximum((np.arange(scale * size) + 0.5) / scale - 0.5, 0.0)
    low = np.floor(source).astype(int)
    high = np.minimum(low + 1, size - 1)
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    part = (source - low).reshape(shape)
    return jnp.take(x, low, axis=axis) * (1 - part) + jnp.take(x, high, axis=axis) * part


def _nearest(layer: NearestUpsample, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return nearest(x, *pair(layer.scale)), {}


def _bilinear(layer: BilinearUpsample, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    high, wide = pair(layer.scale)
    return bilinear(bilinear(x, high, 1), wide, 2), {}


def unpatchify(x: Array, n: int) -> Array:
    """DiT's unpatchify, x [batch, H, W, n n C] -> [batch, n H, n W, C]."""
    squares = jnp.reshape(x, (*x.shape[:3], n, n, -1))
    y = jnp.einsum("nhwpqc->nchpwq", squares)
    y = jnp.reshape(y, (y.shape[0], y.shape[1], y.shape[2] * n, y.shape[4] * n))
    return jnp.moveaxis(y, 1, -1)


def _depth_to_space(layer: DepthToSpace, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return unpatchify(x, layer.block), {}


def _cases(kind: type[BilinearUpsample | NearestUpsample]) -> tuple[Case, ...]:
    return (
        Case("two", kind(), (3, 4, 2)),
        Case("three", kind(3), (2, 3, 2)),
        Case("four", kind(4), (3, 2, 1)),
        Case("one", kind(1), (3, 2, 2)),
        Case("uneven", kind((2, 5)), (3, 2, 2)),
        Case("one-pixel", kind(3), (1, 1, 2)),
        Case("one-row", kind((1, 2)), (1, 4, 2)),
        Case("batch-1", kind(), (5, 3, 1), batch=1),
        Case("ties", kind(), (3, 3, 2), draw="ties"),
        Case("between-convolutions", Chain((Conv2d(2, activation="tanh"), kind(), Conv2d(2))), (2, 3, 2)),
    )


def _bad(kind: type[BilinearUpsample | NearestUpsample]) -> tuple[BadCase, ...]:
    return (
        BadCase(kind(0), (4, 4, 2), "scale wants positive integers, got 0"),
        BadCase(kind((2, -1)), (4, 4, 2), "scale wants positive integers, got (2, -1)"),
        BadCase(kind(), (4,), "wants [batch, H, W, C], got [batch, 4]"),
    )


REFERENCES = (
    Reference("nearestUpsample", _nearest, _cases(NearestUpsample), _bad(NearestUpsample)),
    Reference("bilinearUpsample", _bilinear, _cases(BilinearUpsample), _bad(BilinearUpsample)),
    Reference(
        "depthToSpace",
        _depth_to_space,
        (
            Case("two", DepthToSpace(), (2, 3, 8)),
            Case("three", DepthToSpace(3), (1, 2, 9), batch=1),
            Case("one", DepthToSpace(1), (2, 2, 3)),
        ),
        (
            BadCase(DepthToSpace(0), (2, 2, 4), "block wants a positive integer, got 0"),
            BadCase(DepthToSpace(2), (2, 2, 6), "wants a multiple of 4 channels, got [batch, 2, 2, 6]"),
            BadCase(DepthToSpace(), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
)
