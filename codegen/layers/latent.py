"""A draw from a normal distribution whose mean and log variance are given, and what it adds to the loss."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.random import SPREAD, centred_sum
from netc.codegen.rules import AUXILIARY, Emitted, Grads, Scope, part_stream, rule
from netc.netspec.layers.latent import GaussianSample


@rule(GaussianSample)
def emit_gaussian_sample(b: Builder, layer: GaussianSample, scope: Scope, x: Value) -> Emitted:
    """z = m + s e with s = exp(l / 2); weight / B times the sum of (m² + exp(l) - 1 - l) / 2 is added to the loss."""
    none, around, half = (0,) * (len(x.shape) - 1), x.shape[:-1], x.shape[-1] // 2
    mean, log_var = b.slice(x, (*none, 0), (*around, half)), b.slice(x, (*none, half), x.shape)
    if not scope.training:

        def mean_pull(dy: Value) -> tuple[Value, Grads]:
            return b.pad(dy, (*none, 0), (*none, half)), {}  # dm = dz, dl = 0

        return Emitted(mean, mean_pull)
    assert scope.key is not None  # the signature says that it draws
    spread = b.unary("exp", b.mul(log_var, 0.5))
    streams = (scope.stream, part_stream(scope.stream, "more"))
    noise = b.reshape(b.mul(centred_sum(b, scope.key, mean.type.size, streams), 1 / SPREAD), mean.shape)
    z = b.add(mean, b.mul(spread, noise))

    def sample_pull(dy: Value) -> tuple[Value, Value]:
        return dy, b.mul(b.mul(dy, noise), b.mul(spread, 0.5))  # dm = dz, dl = dz e s / 2

    last = len(none)
    price = layer.weight * scope.share / x.shape[0]
    if not price:
        return Emitted(z, lambda dy: (b.concatenate(sample_pull(dy), last), {}))
    variance = b.mul(spread, spread)
    each = b.sub(b.add(b.mul(mean, mean), variance), b.add(log_var, 1.0))
    divergence = b.mul(b.sum(each, tuple(range(len(x.shape)))), price / 2)

    def paid_pull(dy: Value) -> tuple[Value, Grads]:
        dmean, dlog = sample_pull(dy)
        dmean = b.add(dmean, b.mul(mean, price))  # + price m
        dlog = b.add(dlog, b.mul(b.sub(variance, 1.0), price / 2))  # + price (exp(l) - 1) / 2
        return b.concatenate([dmean, dlog], last), {}

    return Emitted(z, paid_pull, {AUXILIARY: divergence})
