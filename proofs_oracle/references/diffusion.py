"""Conditioning on a time step in JAX: Ho et al. 2020, appendix B."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import Activation, Chain, Conv2d, Dense, Identity, Split, TimeCondAdd, TimeEmbed, TimeFeatures
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.attention import linear

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def features(t: Array, count: int) -> Array:
    """t [..] -> sines, then cosines, [.., 2 count], of wavelengths from 2 pi to 10000 times that."""
    waves = np.power(10_000.0, -np.arange(count) / max(count - 1, 1))
    angle = t[..., None] * waves
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def _time_features(layer: TimeFeatures, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return features(layer.scale * x[..., 0], layer.frequencies), {}


def embed_time(params: Tensors, t: Array, frequencies: int, scale: float) -> Array:
    """DiT's TimestepEmbedder, t [batch] -> [batch, dim]."""
    return linear(params, "out", jax.nn.silu(linear(params, "hidden", features(scale * t, frequencies))))


def _time_embed(layer: TimeEmbed, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return embed_time(params, x[:, 0], layer.frequencies, layer.scale), {}


def _time_cond_add(layer: TimeCondAdd, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    image, time = x[..., :-1], x[..., -1]
    own = features(jnp.mean(time, axis=(1, 2)), layer.frequencies)
    shift = own @ params["body.project.kernel"] + params["body.project.bias"]
    y = image + shift[:, None, None, :]
    return jnp.concatenate([y, time[..., None]], axis=-1) if layer.keep else y, {}


TWICE = Chain((
    TimeCondAdd(3, keep=True, name="first"),
    Split((Chain((Conv2d(2, name="conv"), Activation("tanh"))), Identity(name="time")), (2, 1), name="by"),
    TimeCondAdd(2, name="second"),
))  # fmt: skip

REFERENCES = (
    Reference(
        "timeFeatures",
        _time_features,
        (
            Case("vector", TimeFeatures(4), (1,), batch=5),
            Case("one", TimeFeatures(1), (1,)),
            Case("two", TimeFeatures(2), (1,)),
            Case("everywhere", TimeFeatures(3), (3, 2, 1)),
            Case("batch-1", TimeFeatures(3), (1,), batch=1),
            Case("late", TimeFeatures(3), (1,), batch=6, draw="tails"),
            Case("zero", TimeFeatures(3), (1,), batch=4, draw="ties"),
            Case("scaled", TimeFeatures(3, 50.0), (1,), batch=4),
            Case("integers", Chain((TimeFeatures(4), Dense(2))), (1,), batch=5, ids=1001),
        ),
        (
            BadCase(TimeFeatures(4, float("inf")), (1,), "scale wants a finite number, got inf"),
            BadCase(TimeFeatures(0), (1,), "frequencies wants a positive integer, got 0"),
            BadCase(TimeFeatures(4), (3,), "wants [batch, .., 1], one time each, got [batch, 3]"),
        ),
    ),
    Reference(
        "timeEmbed",
        _time_embed,
        (
            Case("unit", TimeEmbed(4, 3, scale=10.0), (1,), batch=3),
            Case("thousandths", TimeEmbed(3, 2, scale=1.0), (1,), batch=3, ids=1001),
        ),
        (
            BadCase(TimeEmbed(0), (1,), "dim wants a positive integer, got 0"),
            BadCase(TimeEmbed(4), (4, 4, 1), "wants [batch, 1], got [batch, 4, 4, 1]; pick one channel"),
        ),
    ),
    Reference(
        "timeCondAdd",
        _time_cond_add,
        (
            Case("three", TimeCondAdd(3), (3, 2, 3)),
            Case("keep", TimeCondAdd(3, keep=True), (3, 2, 3)),
            Case("one-frequency", TimeCondAdd(1), (2, 2, 2)),
            Case("one-pixel", TimeCondAdd(2), (1, 1, 3)),
            Case("batch-1", TimeCondAdd(2, keep=True), (3, 3, 2), batch=1),
            Case("constant", TimeCondAdd(4), (3, 3, 2), draw="constant"),
            Case("twice", TWICE, (3, 3, 3)),
        ),
        (
            BadCase(TimeCondAdd(0), (4, 4, 3), "frequencies wants a positive integer, got 0"),
            BadCase(TimeCondAdd(4), (4, 4, 1), "wants a channel of time after the image's, got [batch, 4, 4, 1]"),
            BadCase(TimeCondAdd(4), (4,), "give an image whose last channel holds the time"),
        ),
    ),
)
