"""Normalisations in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LayerScale, RMSNorm
from netc.proofs_oracle.reference import BadCase, Case, Reference

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def batch_norm(
    x: Array, params: Tensors, state: Tensors, *, training: bool, epsilon: float = 1e-5, momentum: float = 0.1
) -> Applied:
    """Ioffe and Szegedy 2015, algorithm 1, over all axes but the last; new states `mean` and `var` [C].

    In evaluation (algorithm 2) the statistics are the running ones, which stay as they are.
    """
    mean, var, new = state["mean"], state["var"], dict(state)
    if training:
        axes = tuple(range(x.ndim - 1))
        count = x.size // x.shape[-1]
        mean = jnp.sum(x, axes) / count
        var = jnp.sum((x - mean) ** 2, axes) / count
        unbiased = var * count / max(count - 1, 1)
        new = {
            "mean": (1 - momentum) * state["mean"] + momentum * mean,
            "var": (1 - momentum) * state["var"] + momentum * unbiased,
        }
    return params["scale"] * (x - mean) / jnp.sqrt(var + epsilon) + params["bias"], new


def _batch_norm(layer: BatchNorm, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return batch_norm(x, params, state, training=training, epsilon=layer.epsilon, momentum=layer.momentum)


def standardise(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """(x - mean) / sqrt(var + epsilon), mean and var over `axes`, var divided by the count."""
    mean = jnp.mean(x, axes, keepdims=True)
    var = jnp.mean((x - mean) ** 2, axes, keepdims=True)
    return (x - mean) / jnp.sqrt(var + epsilon)


def layer_norm(x: Array, params: Tensors, *, epsilon: float = 1e-5) -> Array:
    """Ba et al. 2016, eq. 4, over the last axis; a scale or bias that is not in `params` is 1 or 0."""
    return params.get("scale", 1.0) * standardise(x, (x.ndim - 1,), epsilon) + params.get("bias", 0.0)


def _layer_norm(layer: LayerNorm, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return layer_norm(x, params, epsilon=layer.epsilon), {}


def rms_norm(x: Array, params: Tensors, *, epsilon: float = 1e-6) -> Array:
    """Zhang and Sennrich 2019, eq. 4, over the last axis."""
    return params.get("scale", 1.0) * x / jnp.sqrt(jnp.mean(x**2, -1, keepdims=True) + epsilon)


def _rms_norm(layer: RMSNorm, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return rms_norm(x, params, epsilon=layer.epsilon), {}


def group_norm(x: Array, params: Tensors, groups: int, *, epsilon: float = 1e-5) -> Array:
    """Wu and He 2018, eq. 7: every group of channels is standardised by itself."""
    parts = [standardise(part, tuple(range(1, x.ndim)), epsilon) for part in jnp.split(x, groups, axis=-1)]
    return params.get("scale", 1.0) * jnp.concatenate(parts, -1) + params.get("bias", 0.0)


def _group_norm(layer: GroupNorm, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return group_norm(x, params, layer.groups, epsilon=layer.epsilon), {}


def _instance_norm(layer: InstanceNorm, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    hat = standardise(x, tuple(range(1, x.ndim - 1)), layer.epsilon)
    return params.get("scale", 1.0) * hat + params.get("bias", 0.0), {}


def _layer_scale(layer: LayerScale, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return params["gamma"] * x, {}


REFERENCES = (
    Reference(
        "batchNorm",
        _batch_norm,
        (
            Case("image", BatchNorm(), (3, 4, 5)),
            Case("vector", BatchNorm(), (6,), batch=5),
            Case("sequence", BatchNorm(), (4, 3)),
            Case("batch-1", BatchNorm(), (3, 3, 2), batch=1),
            Case("one-channel", BatchNorm(), (4, 4, 1)),
            Case("one-pixel", BatchNorm(), (1, 1, 3), batch=4),
            Case("two-elements", BatchNorm(epsilon=0.1), (3,), batch=2),
            Case("single-element", BatchNorm(), (1,), batch=1),
            Case("single-element-per-channel", BatchNorm(), (1, 1, 4), batch=1),
            Case("no-variance", BatchNorm(epsilon=1e-2), (2, 3, 2), draw="constant"),
            Case("integers", BatchNorm(), (4, 4, 3), draw="ties"),
            Case("zero-scales", BatchNorm(), (3, 3, 6), draw="kinks"),
            Case("epsilon-large", BatchNorm(epsilon=0.5), (3, 3, 2)),
            Case("momentum-0", BatchNorm(momentum=0.0), (3, 3, 2)),
            Case("momentum-1", BatchNorm(momentum=1.0), (3, 3, 2)),
            Case("evaluation", BatchNorm(), (3, 4, 5), training=False),
            Case("evaluation-vector", BatchNorm(epsilon=1e-3), (6,), batch=3, training=False),
            Case("evaluation-single-element", BatchNorm(), (1,), batch=1, training=False),
        ),
        (
            BadCase(BatchNorm(epsilon=0.0), (4,), "epsilon wants a positive number, got 0.0"),
            BadCase(BatchNorm(epsilon=float("nan")), (4,), "epsilon wants a positive number, got nan"),
            BadCase(BatchNorm(momentum=1.5), (4,), "momentum wants a number from 0 to 1, got 1.5"),
        ),
    ),
    Reference(
        "layerNorm",
        _layer_norm,
        (
            Case("sequence", LayerNorm(), (4, 6)),
            Case("image", LayerNorm(1e-6), (3, 2, 5)),
            Case("vector", LayerNorm(), (7,), batch=3),
            Case("batch-1", LayerNorm(), (5,), batch=1),
            Case("scale-less", LayerNorm(scale=False), (3, 4)),
            Case("bias-less", LayerNorm(bias=False), (3, 4)),
            Case("plain", LayerNorm(scale=False, bias=False), (3, 4)),
            Case("two-channels", LayerNorm(epsilon=0.1), (3, 2)),
            Case("one-channel", LayerNorm(), (4, 1)),
            Case("one-place", LayerNorm(), (1, 6), batch=1),
            Case("no-variance", LayerNorm(epsilon=1e-2), (3, 4), draw="constant"),
            Case("integers", LayerNorm(), (3, 8), draw="ties"),
            Case("zero-scales", LayerNorm(), (3, 6), draw="kinks"),
            Case("epsilon-large", LayerNorm(epsilon=0.5), (3, 4)),
            Case("evaluation", LayerNorm(), (4, 6), training=False),
        ),
        (
            BadCase(LayerNorm(epsilon=0.0), (4,), "epsilon wants a positive number, got 0.0"),
            BadCase(LayerNorm(epsilon=float("inf")), (4,), "epsilon wants a positive number, got inf"),
        ),
    ),
    Reference(
        "rmsNorm",
        _rms_norm,
        (
            Case("sequence", RMSNorm(), (4, 6)),
            Case("image", RMSNorm(), (3, 2, 5)),
            Case("vector", RMSNorm(1e-5), (7,), batch=3),
            Case("batch-1", RMSNorm(), (5,), batch=1),
            Case("one-channel", RMSNorm(epsilon=0.1), (4, 1)),
            Case("constant", RMSNorm(), (3, 4), draw="constant"),
            Case("integers", RMSNorm(epsilon=0.5), (3, 8), draw="ties"),
            Case("zero-scales", RMSNorm(), (3, 6), draw="kinks"),
            Case("no-scale", RMSNorm(scale=False), (4, 6)),
            Case("evaluation", RMSNorm(), (4, 6), training=False),
        ),
        (BadCase(RMSNorm(epsilon=-1.0), (4,), "epsilon wants a positive number, got -1.0"),),
    ),
    Reference(
        "groupNorm",
        _group_norm,
        (
            Case("image", GroupNorm(2), (3, 4, 6)),
            Case("sequence", GroupNorm(3), (4, 6)),
            Case("vector", GroupNorm(2), (6,), batch=3),
            Case("one-group", GroupNorm(1), (3, 2, 4)),
            Case("a-group-for-each-channel", GroupNorm(4), (3, 2, 4)),
            Case("one-pixel", GroupNorm(2), (1, 1, 6)),
            Case("single-element", GroupNorm(3, epsilon=0.1), (3,), batch=1),
            Case("plain", GroupNorm(2, affine=False), (2, 3, 4)),
            Case("batch-1", GroupNorm(2), (2, 3, 4), batch=1),
            Case("no-variance", GroupNorm(2, epsilon=1e-2), (2, 2, 4), draw="constant"),
            Case("zero-scales", GroupNorm(3), (2, 2, 6), draw="kinks"),
            Case("evaluation", GroupNorm(2, epsilon=1e-3), (3, 2, 4), training=False),
        ),
        (
            BadCase(GroupNorm(0), (4, 4, 8), "groups wants a positive integer, got 0"),
            BadCase(GroupNorm(3), (4, 4, 8), "wants a multiple of groups=3 channels, got [batch, 4, 4, 8]"),
            BadCase(GroupNorm(2, epsilon=0.0), (8,), "epsilon wants a positive number, got 0.0"),
        ),
    ),
    Reference(
        "instanceNorm",
        _instance_norm,
        (
            Case("image", InstanceNorm(), (3, 4, 2)),
            Case("affine", InstanceNorm(affine=True), (3, 4, 2)),
            Case("sequence", InstanceNorm(affine=True), (5, 3)),
            Case("batch-1", InstanceNorm(), (3, 3, 2), batch=1),
            Case("one-channel", InstanceNorm(affine=True), (3, 3, 1)),
            Case("one-pixel", InstanceNorm(epsilon=0.1, affine=True), (1, 1, 3)),
            Case("no-variance", InstanceNorm(epsilon=1e-2), (2, 3, 2), draw="constant"),
            Case("zero-scales", InstanceNorm(affine=True), (2, 3, 4), draw="kinks"),
            Case("evaluation", InstanceNorm(1e-3, affine=True), (3, 4, 2), training=False),
        ),
        (
            BadCase(InstanceNorm(), (4,), "wants [batch, .., channels] with an axis between, got [batch, 4]"),
            BadCase(InstanceNorm(epsilon=0.0), (4, 4), "epsilon wants a positive number, got 0.0"),
        ),
    ),
    Reference(
        "layerScale",
        _layer_scale,
        (
            Case("image", LayerScale(), (3, 2, 4)),
            Case("sequence", LayerScale(0.1), (3, 4)),
            Case("vector", LayerScale(1.0), (5,), batch=1),
            Case("one-channel", LayerScale(), (2, 2, 1)),
            Case("zeros", LayerScale(0.0), (6,), draw="kinks"),
            Case("shared", LayerScale(0.5, shared=True), (3, 4)),
            Case("evaluation", LayerScale(), (3, 4), training=False),
        ),
        (
            BadCase(LayerScale(float("nan")), (4,), "start wants a finite number, got nan"),
            BadCase(LayerScale(-1e30), (4,), "start wants a number of at most 1e+09, got -1e+30"),
        ),
    ),
)
