"""The latent variable of a variational autoencoder in JAX: Kingma and Welling 2014."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

import jax.extend.random
import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import Chain, Dense, GaussianSample
from netc.proofs_oracle.reference import AUXILIARY, KEY, STREAM, BadCase, Case, Reference

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def normals(state: Tensors, shape: tuple[int, ...]) -> Array:
    """Eight 16-bit uniforms less their mean, in units of the standard deviation of their sum."""
    size, stream = math.prod(shape), int(state[STREAM])
    index = jnp.arange(size, dtype=jnp.uint32)
    total = jnp.zeros(size)
    for number in (stream, (stream * 0x9E3779B1 + zlib.crc32(b"more")) % 2**32):
        counters = jnp.concatenate([index, jnp.full_like(index, np.uint32(number))])
        for word in jnp.split(jax.extend.random.threefry_2x32(state[KEY], counters), 2):
            total = total + (word & 0xFFFF) + (word >> 16)
    return jnp.reshape((total - 8 * 65535 / 2) / math.sqrt(8 * (2**32 - 1) / 12), shape)


def _sample(layer: GaussianSample, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    mean, log_var = jnp.split(x, 2, axis=-1)
    if not training:
        return mean, {}
    divergence = jnp.sum(mean**2 + jnp.exp(log_var) - 1 - log_var) / 2
    z = mean + jnp.exp(log_var / 2) * normals(state, mean.shape)
    return z, {AUXILIARY: layer.weight * divergence / x.shape[0]} if layer.weight else {}


REFERENCES = (
    Reference(
        "gaussianSample",
        _sample,
        (
            # what it adds to the loss is judged in whole steps
            Case("vector", GaussianSample(0.0), (6,), batch=3),
            Case("image", GaussianSample(0.0), (2, 3, 4)),
            Case("one", GaussianSample(0.0), (2,), batch=1),
            Case("evaluation", GaussianSample(0.5), (6,), training=False),
            Case("coded", Chain((Dense(6), GaussianSample(0.0), Dense(4, activation="tanh"))), (4,), batch=3),
        ),
        (
            BadCase(GaussianSample(-1.0), (4,), "weight wants a number of at least 0, got -1.0"),
            BadCase(GaussianSample(), (3,), "wants a mean and a log variance for each channel, got [batch, 3]"),
        ),
    ),
)
