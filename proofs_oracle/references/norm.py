"""Normalisations in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import BatchNorm
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
)
