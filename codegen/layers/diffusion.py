"""Features of a time step."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, rule
from netc.netspec.layers.diffusion import TimeFeatures
from netc.netspec.types import TensorType

LARGEST_WAVE = 10_000


@rule(TimeFeatures)
def emit_time_features(b: Builder, layer: TimeFeatures, scope: Scope, x: Value) -> Emitted:
    """y = (sin(t w), cos(t w)), t = scale x."""
    count, last = layer.frequencies, len(x.shape) - 1
    rate = -math.log(LARGEST_WAVE) / max(count - 1, 1)
    ids = x.type.dtype == "i32"
    if ids:
        x = b.convert(x, "f32")
    w = b.unary("exp", b.mul(b.iota(0, (count,), x.type.dtype), rate))
    w = w if layer.scale == 1 else b.mul(w, layer.scale)
    like = TensorType((*x.shape[:-1], count), x.type.dtype)
    waves = b.broadcast(w, like)
    angle = b.mul(b.broadcast(x, like, tuple(range(last + 1))), waves)
    sine, cosine = b.unary("sin", angle), b.unary("cos", angle)

    def time_pull(dy: Value) -> tuple[Value, Grads]:
        if ids:
            return b.constant(0.0, x.type), {}  # an integer has no gradient
        none = (0,) * last
        of_sine = b.slice(dy, (*none, 0), (*x.shape[:-1], count))
        of_cosine = b.slice(dy, (*none, count), (*x.shape[:-1], 2 * count))
        slope = b.sub(b.mul(of_sine, cosine), b.mul(of_cosine, sine))
        return b.reshape(b.sum(b.mul(slope, waves), (last,)), x.shape), {}  # dt = sum_i w_i (ds_i cos - dc_i sin)

    return Emitted(b.concatenate([sine, cosine], last), time_pull)
