"""Normalisations."""

from __future__ import annotations

import math
from collections.abc import Callable

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Pull, Scope, rule, then
from netc.netspec.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LayerScale, RMSNorm

PullInput = Callable[[Value], Value]  # of a step without parameters


@rule(BatchNorm)
def emit_batch_norm(b: Builder, layer: BatchNorm, scope: Scope, x: Value) -> Emitted:
    """y = scale x̂ + bias with x̂ = (x - mean) r, r = 1/sqrt(var + epsilon)."""
    return _trained(b, layer, scope, x) if scope.training else _evaluated(b, layer, scope, x)


def _trained(b: Builder, layer: BatchNorm, scope: Scope, x: Value) -> Emitted:
    scale, axes = scope.param("scale"), tuple(range(len(x.shape) - 1))
    n = x.type.size // x.shape[-1] * scope.replicas

    def total(v: Value) -> Value:
        """The sum over all positions of all replicas that have one mean and variance."""
        return b.over_replicas(b.sum(v, axes), scope.replicas)

    mean = b.mul(total(x), 1 / n)
    centred = b.sub(x, b.broadcast(mean, x))
    var = b.mul(total(b.mul(centred, centred)), 1 / n)
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

    def joint_pull(dy: Value) -> tuple[Value, Grads]:
        # the same over all replicas: their sums are added, both at once, while dscale and dbias are their own shares
        dbias, dscale = b.sum(dy, axes), b.sum(b.mul(dy, hat), axes)
        mean_dy, along = (b.mul(b.over_replicas(v, scope.replicas), 1 / n) for v in (dbias, dscale))
        off = b.sub(b.sub(dy, b.broadcast(mean_dy, x)), b.mul(hat, b.broadcast(along, x)))
        return b.mul(b.broadcast(b.mul(scale, r), x), off), {"scale": dscale, "bias": dbias}

    m = layer.momentum
    unbiased = b.mul(var, n / max(n - 1, 1))
    state = {
        "mean": b.add(b.mul(scope.running("mean"), 1 - m), b.mul(mean, m)),
        "var": b.add(b.mul(scope.running("var"), 1 - m), b.mul(unbiased, m)),
    }
    return Emitted(y, joint_pull if scope.replicas > 1 else batch_norm_pull, state)


def _evaluated(b: Builder, layer: BatchNorm, scope: Scope, x: Value) -> Emitted:
    scale, axes = scope.param("scale"), tuple(range(len(x.shape) - 1))
    r = b.unary("rsqrt", b.add(scope.running("var"), layer.epsilon))
    hat = b.mul(b.sub(x, b.broadcast(scope.running("mean"), x)), b.broadcast(r, x))
    y = b.add(b.mul(hat, b.broadcast(scale, x)), b.broadcast(scope.param("bias"), x))

    def batch_norm_pull(dy: Value) -> tuple[Value, Grads]:
        dx = b.mul(dy, b.broadcast(b.mul(scale, r), x))  # the statistics are constants: dx = dy scale r
        return dx, {"scale": b.sum(b.mul(dy, hat), axes), "bias": b.sum(dy, axes)}

    return Emitted(y, batch_norm_pull, {"mean": scope.running("mean"), "var": scope.running("var")})


@rule(LayerNorm, each_token=True)
def emit_layer_norm(b: Builder, layer: LayerNorm, scope: Scope, x: Value) -> Emitted:
    """y = scale x̂ + bias, x̂ over the last axis."""
    hat, pull = _standardised(b, x, (len(x.shape) - 1,), layer.epsilon)
    return then(Emitted(hat, _without_grads(pull)), _affine(b, scope, hat, layer.scale, layer.bias))


@rule(RMSNorm, each_token=True)
def emit_rms_norm(b: Builder, layer: RMSNorm, scope: Scope, x: Value) -> Emitted:
    """y = scale x̂ with x̂ = x r, r = 1/sqrt(mean(x²) + epsilon) over the last axis."""
    hat, pull = rms_standardised(b, x, layer.epsilon)
    return then(Emitted(hat, _without_grads(pull)), _affine(b, scope, hat, layer.scale, False))


def rms_standardised(b: Builder, x: Value, epsilon: float) -> tuple[Value, Callable[[Value], Value]]:
    """x̂ = x r with r = 1/sqrt(mean(x²) + epsilon) over the last axis, and its pullback."""
    kept, last = tuple(range(len(x.shape) - 1)), (len(x.shape) - 1,)
    share = 1 / x.shape[-1]
    square = b.mul(b.sum(b.mul(x, x), last), share)
    r = b.unary("rsqrt", b.add(square, epsilon))
    hat = b.mul(x, b.broadcast(r, x, kept))

    def rms_pull(g: Value) -> Value:
        # dr = -r³ x·dx / C, so dx = r (g - x̂ mean(g x̂)): the projection of g off x̂, up to epsilon
        along = b.mul(b.sum(b.mul(g, hat), last), share)
        return b.mul(b.broadcast(r, x, kept), b.sub(g, b.mul(hat, b.broadcast(along, x, kept))))

    return hat, rms_pull


@rule(GroupNorm)
def emit_group_norm(b: Builder, layer: GroupNorm, scope: Scope, x: Value) -> Emitted:
    """y = scale x̂ + bias; channels [C] are seen as [groups, C / groups], x̂ is over all but batch and groups."""
    rank, channels = len(x.shape), x.shape[-1]
    grouped = b.reshape(x, (*x.shape[:-1], layer.groups, channels // layer.groups))
    grouped_hat, grouped_pull = _standardised(b, grouped, (*range(1, rank - 1), rank), layer.epsilon)

    def pull(g: Value) -> Value:
        return b.reshape(grouped_pull(b.reshape(g, grouped.shape)), x.shape)

    hat = b.reshape(grouped_hat, x.shape)
    return then(Emitted(hat, _without_grads(pull)), _affine(b, scope, hat, layer.affine, layer.affine))


@rule(InstanceNorm)
def emit_instance_norm(b: Builder, layer: InstanceNorm, scope: Scope, x: Value) -> Emitted:
    """y = x̂, or scale x̂ + bias, x̂ over the axes between batch and channels."""
    hat, pull = _standardised(b, x, tuple(range(1, len(x.shape) - 1)), layer.epsilon)
    return then(Emitted(hat, _without_grads(pull)), _affine(b, scope, hat, layer.affine, layer.affine))


@rule(LayerScale, each_token=True)
def emit_layer_scale(b: Builder, layer: LayerScale, scope: Scope, x: Value) -> Emitted:
    """y = gamma x."""
    own, shared = scope.param("gamma"), layer.shared
    gamma = b.broadcast(b.reshape(own, ()), x, ()) if shared else b.broadcast(own, x)

    def layer_scale_pull(dy: Value) -> tuple[Value, Grads]:
        dgamma = b.sum(b.mul(dy, x), tuple(range(len(x.shape) - (not shared))))  # dgamma[c], or shared: sum of dy x
        dgamma = b.reshape(dgamma, own.shape) if shared else dgamma
        return b.mul(dy, gamma), {"gamma": dgamma}  # dx = gamma dy

    return Emitted(b.mul(x, gamma), layer_scale_pull)


def _standardised(b: Builder, x: Value, axes: tuple[int, ...], epsilon: float) -> tuple[Value, PullInput]:
    """x̂ = (x - mean) r with r = 1/sqrt(var + epsilon), mean and var over `axes`; and its pullback g -> dx."""
    kept = tuple(a for a in range(len(x.shape)) if a not in axes)
    share = math.prod(x.shape[a] for a in kept) / x.type.size
    mean = b.mul(b.sum(x, axes), share)
    centred = b.sub(x, b.broadcast(mean, x, kept))
    var = b.mul(b.sum(b.mul(centred, centred), axes), share)
    r = b.unary("rsqrt", b.add(var, epsilon))
    hat = b.mul(centred, b.broadcast(r, x, kept))

    def standardised_pull(g: Value) -> Value:
        # dx = r (g - mean(g) - x̂ mean(g x̂)): the projection of g off 1 and off x̂. Since mean(x̂) = 0, mean(g x̂) =
        # mean(rest x̂): so the second sum waits for the first, as in batch norm.
        rest = b.sub(g, b.broadcast(b.mul(b.sum(g, axes), share), x, kept))
        along = b.mul(b.sum(b.mul(rest, hat), axes), share)
        return b.mul(b.broadcast(r, x, kept), b.sub(rest, b.mul(hat, b.broadcast(along, x, kept))))

    return hat, standardised_pull


def _without_grads(pull: PullInput) -> Pull:
    """A pullback that has no parameters."""
    return lambda g: (pull(g), {})


def _affine(b: Builder, scope: Scope, hat: Value, scale: bool, bias: bool) -> Emitted:
    """y = scale x̂ + bias for each channel, each where it is wanted."""
    rows = tuple(range(len(hat.shape) - 1))
    y = b.mul(hat, b.broadcast(scope.param("scale"), hat)) if scale else hat
    if bias:
        y = b.add(y, b.broadcast(scope.param("bias"), y))

    def affine_pull(dy: Value) -> tuple[Value, Grads]:
        grads: Grads = {}
        if bias:
            grads["bias"] = b.sum(dy, rows)  # dbias[c] = sum of dy
        if not scale:
            return dy, grads
        grads["scale"] = b.sum(b.mul(dy, hat), rows)  # dscale[c] = sum of dy x̂
        return b.mul(dy, b.broadcast(scope.param("scale"), dy)), grads  # g = scale dy

    return Emitted(y, affine_pull)
