"""Convolution along a sequence in JAX: a sum over taps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import Conv1d
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def convolve1d(x: Array, kernel: Array, *, dilation: int = 1, groups: int = 1, causal: bool = True) -> Array:
    """[B, T, C], kernel [taps, 1, C / groups, features]; without `causal` T shrinks by dilation (taps - 1)."""
    reach = dilation * (kernel.shape[0] - 1)
    wide = jnp.pad(x, ((0, 0), (reach if causal else 0, 0), (0, 0)))
    length = wide.shape[1] - reach
    parts = zip(jnp.split(wide, groups, axis=-1), jnp.split(kernel, groups, axis=-1), strict=True)
    outs = [
        sum(part[:, dilation * a : dilation * a + length] @ own[a, 0] for a in range(kernel.shape[0]))
        for part, own in parts
    ]
    return jnp.concatenate(outs, axis=-1)


def _conv1d(layer: Conv1d, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    kernel = jnp.asarray(params["conv.kernel"])
    causal = layer.padding == "causal"
    y = convolve1d(x, kernel, dilation=layer.dilation, groups=layer.groups, causal=causal)
    return activate(layer.activation, y + params.get("conv.bias", 0.0)), {}


REFERENCES = (
    Reference(
        "conv1d",
        _conv1d,
        (
            Case("causal", Conv1d(4), (5, 3)),
            Case("dilated", Conv1d(2, 2, dilation=3), (8, 2)),
            Case("further-than-the-sequence", Conv1d(2, 3, dilation=4), (3, 2)),
            Case("valid", Conv1d(3, 3, "valid", dilation=2), (7, 2)),
            Case("valid-one-window", Conv1d(2, 3, "valid"), (3, 2), batch=1),
            Case("depthwise", Conv1d(4, 4, groups=4), (6, 4)),
            Case("grouped", Conv1d(4, 2, groups=2, bias=False), (4, 6)),
            Case("pointwise", Conv1d(3, 1, activation="tanh"), (4, 2)),
            Case("one-of-each", Conv1d(1, 2), (1, 1), batch=1),
            Case("evaluation", Conv1d(3, 2, activation="swish"), (4, 2), training=False),
        ),
        (
            BadCase(Conv1d(0), (5, 3), "features wants a positive integer, got 0"),
            BadCase(Conv1d(4, padding="same"), (5, 3), "padding wants 'causal' or 'valid', got 'same'"),  # type: ignore[arg-type]
            BadCase(Conv1d(4), (5, 5, 3), "wants [batch, T, D], got [batch, 5, 5, 3]"),
            BadCase(Conv1d(3, groups=2), (5, 4), "features wants a multiple of groups=2, got 3"),
            BadCase(Conv1d(4, groups=2), (5, 3), "wants a multiple of groups=2 channels"),
            BadCase(Conv1d(4, activation="mish"), (5, 3), "activation wants one of identity, relu"),
        ),
    ),
)
