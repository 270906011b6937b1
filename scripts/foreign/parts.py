"""Parts that programs of several families share, as other people write them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

NHWC = ("NHWC", "HWIO", "NHWC")


def conv(x: Any, w: Any, stride: int = 1, padding: Any = "SAME", **more: Any) -> Any:
    """A 2-D convolution, channels last."""
    return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=NHWC, **more)


def norm(x: Any, p: Any, axis: Any = -1, eps: float = 1e-5) -> Any:
    """Layer norm."""
    mean = jnp.mean(x, axis, keepdims=True)
    var = jnp.mean((x - mean) ** 2, axis, keepdims=True)
    return (x - mean) * lax.rsqrt(var + eps) * p[0] + p[1]


def attention(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    """softmax(q k / sqrt d) v over [B, T, H, D]."""
    score = jnp.einsum("bthd,bshd->bhts", q, k) / jnp.sqrt(q.shape[-1])
    if mask is not None:
        score = jnp.where(mask, score, -1e9)
    return jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(score), v)


def picked(logits: Any, labels: Any) -> Any:
    """Cross-entropy by take_along_axis."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))
