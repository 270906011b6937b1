"""Pooling."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, example, rule
from netc.netspec.layers.pool import AvgPool, GlobalAvgPool, MaxPool
from netc.netspec.layers.window import Pair, pair


@rule(MaxPool)
def emit_max_pool(b: Builder, layer: MaxPool, scope: Scope, x: Value) -> Emitted:
    """y = the maximum of each window."""
    _, sides = layer.window(example(x))
    window = {"kernel": pair(layer.size), "stride": layer.step, "padding": sides}
    y = b.op("max_pool", x, **window)

    def max_pool_pull(dy: Value) -> tuple[Value, Grads]:
        return b.op("max_pool_grad", x, y, dy, **window), {}  # dy goes to the first maximum of its window

    return Emitted(y, max_pool_pull)


@rule(AvgPool)
def emit_avg_pool(b: Builder, layer: AvgPool, scope: Scope, x: Value) -> Emitted:
    """y = (sum of each window) / n."""
    out, sides = layer.window(example(x))
    window = {"kernel": pair(layer.size), "stride": layer.step, "padding": sides}
    total = b.op("sum_pool", x, **window)
    shares = _shares(layer, (x.shape[1], x.shape[2]), out, sides)

    def share(v: Value) -> Value:
        if len(set(shares)) == 1:
            return b.mul(v, shares[0])
        weights = b.op("constant", value=shares, shape=out, dtype=v.type.dtype)
        return b.mul(v, b.broadcast(weights, v, (1, 2)))

    def avg_pool_pull(dy: Value) -> tuple[Value, Grads]:
        return b.op("sum_pool_grad", share(dy), size=x.shape[1:3], **window), {}  # dx = spread(dy / n)

    return Emitted(share(total), avg_pool_pull)


def _shares(layer: AvgPool, size: Pair, out: Pair, sides: tuple[Pair, Pair]) -> tuple[float, ...]:
    """1 / n of each window, row-major."""
    kernel = pair(layer.size)
    if layer.count_padding:
        return (1 / (kernel[0] * kernel[1]),) * (out[0] * out[1])
    counts = [
        [min(p * s - lo + k, n) - max(p * s - lo, 0) for p in range(o)]
        for n, o, k, s, (lo, _) in zip(size, out, kernel, layer.step, sides, strict=True)
    ]
    return tuple(1 / (h * w) for h in counts[0] for w in counts[1])


@rule(GlobalAvgPool)
def emit_global_avg_pool(b: Builder, layer: GlobalAvgPool, scope: Scope, x: Value) -> Emitted:
    """y = mean over all axes but the batch and the channels."""
    axes = tuple(range(1, len(x.shape) - 1))
    share = x.shape[0] * x.shape[-1] / x.type.size
    y = b.mul(b.sum(x, axes), share)

    def global_avg_pool_pull(dy: Value) -> tuple[Value, Grads]:
        return b.broadcast(b.mul(dy, share), x, (0, len(x.shape) - 1)), {}  # dx[p, q] = dy / (H W)

    return Emitted(y, global_avg_pool_pull)
