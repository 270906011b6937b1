"""Up-sampling. All kinds are linear maps, so the pullback is the transpose."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, rule
from netc.netspec.layers.upsample import BilinearUpsample, DepthToSpace, NearestUpsample
from netc.netspec.layers.window import pair
from netc.netspec.types import DType, TensorType


@rule(NearestUpsample)
def emit_nearest_upsample(b: Builder, layer: NearestUpsample, scope: Scope, x: Value) -> Emitted:
    """y[n, i s + a, j s + b, c] = x[n, i, j, c]."""
    (high, wide), (batch, height, width, channels) = pair(layer.scale), x.shape
    blocks = TensorType((batch, height, high, width, wide, channels), x.type.dtype)
    out = (batch, height * high, width * wide, channels)
    y = b.reshape(b.broadcast(x, blocks, (0, 1, 3, 5)), out)

    def nearest_pull(dy: Value) -> tuple[Value, Grads]:
        return b.sum(b.reshape(dy, blocks.shape), (2, 4)), {}  # dx[i, j] = sum of dy over the block of that pixel

    return Emitted(y, nearest_pull)


@rule(BilinearUpsample)
def emit_bilinear_upsample(b: Builder, layer: BilinearUpsample, scope: Scope, x: Value) -> Emitted:
    """y = A_H x A_Wᵀ on the two axes of the image."""
    rows, columns = (_hats(b, n, s, x.type.dtype) for n, s in zip(x.shape[1:3], pair(layer.scale), strict=True))

    def bilinear_pull(dy: Value) -> tuple[Value, Grads]:
        return _along_both(b, dy, rows, columns, 0), {}  # dx = A_Hᵀ dy A_W

    return Emitted(_along_both(b, x, rows, columns, 1), bilinear_pull)


def _along_both(b: Builder, x: Value, rows: Value, columns: Value, axis: int) -> Value:
    """Products with both matrices over their axis `axis`: [n, h, w, c] to [n, w, c, p], [n, c, p, q], [n, p, q, c]."""
    return b.transpose(b.dot(b.dot(x, rows, (1, axis)), columns, (1, axis)), (0, 2, 3, 1))


def _hats(b: Builder, size: int, scale: int, dtype: DType) -> Value:
    """a[p, i] = max(0, 1 - |u(p) - i|), [scale size, size]."""
    shape = (scale * size, size)
    p, i = b.iota(0, shape, dtype), b.iota(1, shape, dtype)
    centre = b.sub(b.mul(b.add(p, 0.5), 1 / scale), 0.5)
    off = b.sub(b.minimum(b.maximum(centre, 0.0), size - 1.0), i)
    return b.maximum(b.sub(1.0, b.maximum(off, b.unary("neg", off))), 0.0)


@rule(DepthToSpace)
def emit_depth_to_space(b: Builder, layer: DepthToSpace, scope: Scope, x: Value) -> Emitted:
    """[B, H, W, n n C] -> [B, H n, W n, C]."""
    (batch, height, width, channels), n = x.shape, layer.block
    apart = b.reshape(x, (batch, height, width, n, n, channels // n**2))
    y = b.reshape(b.transpose(apart, (0, 1, 3, 2, 4, 5)), (batch, height * n, width * n, channels // n**2))

    def depth_to_space_pull(dy: Value) -> tuple[Value, Grads]:
        squares = b.reshape(dy, (batch, height, n, width, n, channels // n**2))
        return b.reshape(b.transpose(squares, (0, 1, 3, 2, 4, 5)), x.shape), {}  # dx = dy, moved back

    return Emitted(y, depth_to_space_pull)
