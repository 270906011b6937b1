"""Normalisations."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, rule
from netc.netspec.layers.norm import BatchNorm


@rule(BatchNorm)
def emit_batch_norm(b: Builder, layer: BatchNorm, scope: Scope, x: Value) -> Emitted:
    """y = scale x̂ + bias with x̂ = (x - mean) r, r = 1/sqrt(var + epsilon)."""
    return _trained(b, layer, scope, x) if scope.training else _evaluated(b, layer, scope, x)


def _trained(b: Builder, layer: BatchNorm, scope: Scope, x: Value) -> Emitted:
    scale, axes = scope.param("scale"), tuple(range(len(x.shape) - 1))
    n = x.type.size // x.shape[-1]
    mean = b.mul(b.sum(x, axes), 1 / n)
    centred = b.sub(x, b.broadcast(mean, x))
    var = b.mul(b.sum(b.mul(centred, centred), axes), 1 / n)
    r = b.unary("rsqrt", b.add(var, layer.epsilon))
    hat = b.mul(centred, b.broadcast(r, x))
    y = b.add(b.mul(hat, b.broadcast(scale, x)), b.broadcast(scope.param("bias"), x))

    def batch_norm_pull(dy: Value) -> tuple[Value, Grads]:
        dbias = b.sum(dy, axes)  # dbias = sum dy
        rest = b.sub(dy, b.broadcast(b.mul(dbias, 1 / n), x))  # dy off 1
        # dscale = sum dy x̂ = sum rest x̂, because sum x̂ = 0. Written so, the second sum waits for the first: IREE
        # would else join the two in one loop that does not vectorise.
        dscale = b.sum(b.mul(rest, hat), axes)
        # dx = scale r (dy - mean(dy) - x̂ mean(dy x̂)): the projection of dy off 1 and off x̂
        off = b.sub(rest, b.mul(hat, b.broadcast(b.mul(dscale, 1 / n), x)))
        dx = b.mul(b.broadcast(b.mul(scale, r), x), off)
        return dx, {"scale": dscale, "bias": dbias}

    m = layer.momentum
    unbiased = b.mul(var, n / max(n - 1, 1))
    state = {
        "mean": b.add(b.mul(scope.running("mean"), 1 - m), b.mul(mean, m)),
        "var": b.add(b.mul(scope.running("var"), 1 - m), b.mul(unbiased, m)),
    }
    return Emitted(y, batch_norm_pull, state)


def _evaluated(b: Builder, layer: BatchNorm, scope: Scope, x: Value) -> Emitted:
    scale, axes = scope.param("scale"), tuple(range(len(x.shape) - 1))
    r = b.unary("rsqrt", b.add(scope.running("var"), layer.epsilon))
    hat = b.mul(b.sub(x, b.broadcast(scope.running("mean"), x)), b.broadcast(r, x))
    y = b.add(b.mul(hat, b.broadcast(scale, x)), b.broadcast(scope.param("bias"), x))

    def batch_norm_pull(dy: Value) -> tuple[Value, Grads]:
        dx = b.mul(dy, b.broadcast(b.mul(scale, r), x))  # the statistics are constants: dx = dy scale r
        return dx, {"scale": b.sum(b.mul(dy, hat), axes), "bias": b.sum(dy, axes)}

    return Emitted(y, batch_norm_pull, {"mean": scope.running("mean"), "var": scope.running("var")})
