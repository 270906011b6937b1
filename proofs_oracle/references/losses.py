"""Losses in JAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True, slots=True)
class LossCase:
    """Logits [batch, classes] drawn by a key of draws.DRAWS, uniform labels [batch]."""

    name: str
    classes: int
    batch: int = 4
    smoothing: float = 0.0
    draw: str = "normal"


def softmax_cross_entropy(logits: Array, labels: Array, smoothing: float) -> Array:
    """Mean over the batch of -sum_k q_k log softmax(z)_k, q = (1 - a) one_hot(label) + a / K; a scalar.

    Source: Szegedy et al. 2016, section 7. logits [B, K], labels int32 [B].
    """
    classes = logits.shape[-1]
    target = (1 - smoothing) * jax.nn.one_hot(labels, classes, dtype=logits.dtype) + smoothing / classes
    return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(logits, axis=-1), axis=-1))


SMOOTHINGS = (0.0, 0.1, 0.9)

CASES = (
    *(LossCase(f"smoothing-{a}", 10, smoothing=a) for a in SMOOTHINGS),
    *(LossCase(f"large-logits-{a}", 6, smoothing=a, draw="tails") for a in SMOOTHINGS),
    *(LossCase(f"equal-logits-{a}", 5, smoothing=a, draw="constant") for a in SMOOTHINGS),
    *(LossCase(f"one-class-{a}", 1, smoothing=a) for a in SMOOTHINGS),
    *(LossCase(f"two-classes-{a}", 2, smoothing=a) for a in SMOOTHINGS),
    LossCase("one-class-large", 1, smoothing=0.1, draw="tails"),
    LossCase("batch-1", 7, batch=1, smoothing=0.1),
    LossCase("many-classes", 100, batch=3, smoothing=0.1),
)
