"""The broadcast of one pixel over an image."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Scope, rule
from netc.netspec.layers.aspp import SpatialBroadcast
from netc.netspec.layers.window import pair
from netc.netspec.types import TensorType


@rule(SpatialBroadcast)
def emit_spatial_broadcast(b: Builder, layer: SpatialBroadcast, scope: Scope, x: Value) -> Emitted:
    """y = x at every place."""
    batch, channels = x.shape[0], x.shape[-1]
    image = TensorType((batch, *pair(layer.size), channels), x.type.dtype)
    y = b.broadcast(b.reshape(x, (batch, channels)), image, (0, 3))
    # dx[c] = sum of dy[.., c] over the image
    return Emitted(y, lambda dy: (b.reshape(b.sum(dy, (1, 2)), x.shape), {}))
