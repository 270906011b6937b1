"""WaveNet's stack in JAX, with the residual and the skip each in a tensor of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from netc.netspec.layers import WaveNetBlock
from netc.proofs_oracle.reference import BadCase, Case, Reference, under
from netc.proofs_oracle.references.conv1d import convolve1d

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _wavenet(layer: WaveNetBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    r, h, total = layer.residual, x, 0.0
    for level in range(layer.layers):
        p = under(params, f"layer{level}.body")
        both = convolve1d(h, jnp.asarray(p["dilated.conv.kernel"]), dilation=2**level) + p["dilated.conv.bias"]
        z = jnp.tanh(both[..., :r]) * jax.nn.sigmoid(both[..., r:])
        out = z @ p["out.kernel"] + p["out.bias"]
        if level == layer.layers - 1:
            return total + out, {}
        h, total = h + out[..., :r], total + out[..., r:]
    raise AssertionError(layer)


REFERENCES = (
    Reference(
        "waveNetBlock",
        _wavenet,
        (
            Case("one-layer", WaveNetBlock(2, 3, 1), (4, 2)),
            Case("two-layers", WaveNetBlock(3, 2, 2), (5, 3)),
            Case("three-layers", WaveNetBlock(2, 2, 3), (6, 2)),
            Case("three-taps", WaveNetBlock(2, 1, 2, kernel=3), (7, 2)),
            Case("one-step", WaveNetBlock(1, 1, 2), (1, 1), batch=1),
            Case("evaluation", WaveNetBlock(2, 3, 2), (4, 2), training=False),
        ),
        (
            BadCase(WaveNetBlock(2, 0), (4, 2), "skip wants a positive integer, got 0"),
            BadCase(WaveNetBlock(2, 2, 30), (4, 2), "layers wants at most 20, whose dilation is 2^19, got 30"),
            BadCase(WaveNetBlock(2, 2), (4, 3), "wants [batch, T, 2], got [batch, 4, 3]"),
            BadCase(WaveNetBlock(2, 2), (4,), "wants [batch, T, D], got [batch, 4]"),
        ),
    ),
)
