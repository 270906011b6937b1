"""Layers that cut out channels, or multiply them with each other."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, rule
from netc.netspec.layers.channels import ChannelWindow, HalfProduct
from netc.netspec.types import TensorType


def _window(b: Builder, x: Value, start: int, count: int) -> Value:
    """Channels start to start + count of x, zeros where those are outside."""
    channels, around = x.shape[-1], x.shape[:-1]
    first, last = max(start, 0), min(start + count, channels)
    none = (0,) * len(around)
    kept = b.slice(x, (*none, first), (*around, last))
    return b.pad(kept, (*none, first - start), (*none, start + count - last))


@rule(ChannelWindow, each_token=True)
def emit_channel_window(b: Builder, layer: ChannelWindow, scope: Scope, x: Value) -> Emitted:
    """y[.., c] = x[.., start + c]."""

    def window_pull(dy: Value) -> tuple[Value, Grads]:
        return _window(b, dy, -layer.start, x.shape[-1]), {}  # dx[.., c] = dy[.., c - start]: the window the other way

    return Emitted(_window(b, x, layer.start, layer.count), window_pull)


@rule(HalfProduct, each_token=True)
def emit_half_product(b: Builder, layer: HalfProduct, scope: Scope, x: Value) -> Emitted:
    """y = p q for x = (p, q); or y = factor p q, p repeated for a run of q each."""
    last = len(x.shape) - 1
    half = layer.gates or x.shape[-1] // 2
    p, q = _window(b, x, 0, half), _window(b, x, half, x.shape[-1] - half)
    each = q.shape[-1] // half
    wide = TensorType((*p.shape, each), x.type.dtype)

    def spread(p: Value) -> Value:
        scaled = p if layer.factor == 1 else b.mul(p, layer.factor)
        return scaled if each == 1 else b.reshape(b.broadcast(scaled, wide, tuple(range(last + 1))), q.shape)

    def gathered(d: Value) -> Value:  # the adjoint of spread
        total = d if each == 1 else b.sum(b.reshape(d, wide.shape), (last + 1,))
        return total if layer.factor == 1 else b.mul(total, layer.factor)

    many = spread(p)

    def half_product_pull(dy: Value) -> tuple[Value, Grads]:
        return b.concatenate([gathered(b.mul(dy, q)), b.mul(dy, many)], last), {}  # dp = dy q, dq = dy p

    return Emitted(b.mul(many, q), half_product_pull)
