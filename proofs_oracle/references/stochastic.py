"""Layers that draw, in JAX, whose own Threefry gives the masks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax.extend.random
import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import Chain, Dense, Dropout, DropPath, Repeat, Residual
from netc.proofs_oracle.reference import KEY, STREAM, BadCase, Case, Reference

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def mask(state: Tensors, shape: tuple[int, ...], rate: float) -> Array:
    """1 where the upper 24 bits of word 0 at counter (index, stream) reach rate 2^24, else 0; float64 of that shape."""
    index = jnp.arange(math.prod(shape), dtype=jnp.uint32)
    counters = jnp.concatenate([index, jnp.full_like(index, np.uint32(state[STREAM]))])
    word = jax.extend.random.threefry_2x32(state[KEY], counters)[: index.size]
    return jnp.reshape(jnp.where(word >> 8 >= round(rate * 2**24), 1.0, 0.0), shape)


def dropout(state: Tensors, x: Array, rate: float, training: bool) -> Array:
    """Each element of x [batch, ..] left out with probability `rate`, the others divided by 1 - rate."""
    return x * mask(state, x.shape, rate) / (1 - rate) if training and rate else x


def drop_path(state: Tensors, x: Array, rate: float, training: bool) -> Array:
    """Each example of x [batch, ..] left out as a whole with probability `rate`, the others divided by 1 - rate."""
    if not training or not rate:
        return x
    return x * jnp.reshape(mask(state, x.shape[:1], rate), (-1, *(1,) * (x.ndim - 1))) / (1 - rate)


def _dropout(layer: Dropout, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return dropout(state, x, layer.rate, training), {}


def _drop_path(layer: DropPath, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return drop_path(state, x, layer.rate, training), {}


REFERENCES = (
    Reference(
        "dropout",
        _dropout,
        (
            Case("half", Dropout(), (6, 5)),
            Case("tenth-image", Dropout(0.1), (4, 4, 3)),
            Case("most", Dropout(0.9), (40,)),
            Case("none", Dropout(0.0), (5,)),
            Case("one-element", Dropout(0.3), (1,), batch=1),
            Case("evaluation", Dropout(0.4), (7,), training=False),
            Case("two-in-a-chain", Chain((Dropout(0.3, name="a"), Dense(4), Dropout(0.3, name="b"))), (5,), batch=3),
            Case("repeated", Repeat(Chain((Dense(5), Dropout(0.5))), 3), (5,), batch=3),
        ),
        (
            BadCase(Dropout(1.0), (4,), "rate wants a number in [0, 1), got 1.0"),
            BadCase(Dropout(-0.1), (4,), "rate wants a number in [0, 1), got -0.1"),
        ),
    ),
    Reference(
        "dropPath",
        _drop_path,
        (
            Case("half", DropPath(), (6,), batch=8),
            Case("image", DropPath(0.3), (3, 3, 2), batch=6),
            Case("none", DropPath(0.0), (5,)),
            Case("batch-1", DropPath(0.5), (4,), batch=1),
            Case("evaluation", DropPath(0.4), (7,), training=False),
            Case("in-a-residual", Residual(Chain((Dense(4), DropPath(0.5)))), (4,), batch=6),
        ),
        (BadCase(DropPath(1.5), (4,), "rate wants a number in [0, 1), got 1.5"),),
    ),
)
