"""The combinator that gives each branch its own part of the channels, in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from netc.netspec.layer import part_names
from netc.netspec.layers import (
    Activation,
    BatchNorm,
    Chain,
    ChannelShuffle,
    Conv2d,
    ConvBn,
    Dense,
    Flatten,
    GlobalAvgPool,
    Identity,
    MaxPool,
    Split,
)
from netc.proofs_oracle.reference import BadCase, Case, Reference, apply, under, within

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _split(layer: Split, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    count = len(layer.branches)
    if layer.widths is None:
        pieces = jnp.split(x, count, axis=-1)
    else:
        pieces = jnp.split(x, np.cumsum(layer.widths)[:-1], axis=-1)
    ys: list[Array] = []
    new: dict[str, Array] = {}
    for name, branch, piece in zip(part_names(layer.branches), layer.branches, pieces, strict=True):
        y, own = apply(branch, under(params, name), under(state, name), piece, training)
        ys.append(y)
        new |= within(name, own)
    return jnp.concatenate(ys, axis=-1), new


LEFT = Identity(name="left")

REFERENCES = (
    Reference(
        "split",
        _split,
        (
            Case("half-kept", Split((LEFT, Dense(3, activation="tanh"))), (4,)),
            Case("three-of-image", Split((Conv2d(2, 1), LEFT, ConvBn(3))), (3, 4, 6)),
            Case("widths", Split((Dense(2), LEFT, Dense(1)), (1, 3, 2)), (6,)),
            Case("one", Split((Dense(3),)), (4,)),
            Case("one-channel-each", Split((Dense(1, name="a"), Dense(2, name="b"))), (3, 2)),
            Case("only-identities", Split((LEFT, Identity(name="right"))), (2, 3, 4)),
            Case("strided", Split((ConvBn(2, 3, 2), MaxPool(2))), (4, 6, 4)),
            Case("to-vectors", Split((GlobalAvgPool(), Chain((Flatten(), Dense(3))))), (2, 3, 4)),
            Case("nested", Split((Split((LEFT, Dense(2))), Chain((Dense(3), Activation("relu"))))), (8,)),
            Case("shuffled", Chain((Split((LEFT, ConvBn(2))), ChannelShuffle(2))), (3, 3, 4)),
            Case("batch-1", Split((LEFT, ConvBn(3))), (3, 4, 4), batch=1),
            Case("ties", Split((MaxPool(2, 1, name="a"), MaxPool(2, 1, name="b"))), (4, 4, 2), draw="ties"),
            Case("evaluation", Split((BatchNorm(name="a"), BatchNorm(name="b")), (1, 2)), (3, 3, 3), training=False),
        ),
        (
            BadCase(Split(()), (4,), "branches wants at least one layer, got none"),
            BadCase(Split((LEFT, Dense(2))), (5,), "wants a multiple of 2 channels, got 5"),
            BadCase(Split((LEFT, Dense(2)), (1, 2)), (4,), "wants 3 channels in total, got 4"),
            BadCase(Split((LEFT, Dense(2)), (4,)), (4,), "widths wants one number for each of 2 branches, got [4]"),
            BadCase(Split((LEFT, Dense(2)), (4, 0)), (4,), "widths wants positive integers, got [4, 0]"),
            BadCase(Split((LEFT, Identity(name="left"))), (4,), "wants a different name for each part, got 'left'"),
            BadCase(
                Split((LEFT, Conv2d(2, stride=2))), (4, 4, 2), "wants branches that agree on all axes but the last"
            ),
        ),
    ),
)
