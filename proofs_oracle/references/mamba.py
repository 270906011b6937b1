"""Selective state spaces in JAX: the recurrence step by step, as the paper writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from netc.netspec.layers import MambaBlock, SelectiveScan
from netc.proofs_oracle.reference import BadCase, Case, Reference, under
from netc.proofs_oracle.references.norm import rms_norm

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def selective_scan(u: Array, step: Array, b: Array, c: Array, params: Tensors) -> Array:
    """u and step [B, T, E], b and c [B, T, N] -> [B, T, E]."""
    rate = -jnp.exp(jnp.asarray(params["log_rate"]))
    delta = jnp.logaddexp(step + params["step_bias"], 0.0)
    h = jnp.zeros((u.shape[0], *rate.shape))
    ys = []
    for t in range(u.shape[1]):
        d, now = delta[:, t, :, None], u[:, t]
        h = jnp.exp(d * rate) * h + d * b[:, t, None, :] * now[:, :, None]
        ys.append(jnp.einsum("ben,bn->be", h, c[:, t]) + params["skip"] * now)
    return jnp.stack(ys, axis=1)


def _scan(layer: SelectiveScan, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    inner = params["skip"].shape[0]
    u, step, b, c = jnp.split(x, (inner, 2 * inner, 2 * inner + layer.state), axis=-1)
    return selective_scan(u, step, b, c, params), {}


def _depthwise(x: Array, kernel: Array, bias: Array) -> Array:
    """Causal: [B, T, E], kernel [taps, 1, 1, E]."""
    taps = kernel.shape[0]
    wide = jnp.pad(x, ((0, 0), (taps - 1, 0), (0, 0)))
    return sum((wide[:, a : a + x.shape[1]] * kernel[a, 0, 0] for a in range(taps)), start=bias + jnp.zeros_like(x))


def _mamba(layer: MambaBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    for index in range(layer.layers):
        p = under(params, f"block{index}.body")
        u, z = jnp.split(rms_norm(x, under(p, "norm"), epsilon=layer.epsilon) @ p["in.kernel"], 2, axis=-1)
        left = under(p, "halves.left")
        u = jax.nn.silu(_depthwise(u, left["conv.conv.kernel"], left["conv.conv.bias"]))
        chosen = u @ left["inputs.selected.select.kernel"]
        rank = chosen.shape[-1] - 2 * layer.state
        low, b, c = jnp.split(chosen, (rank, rank + layer.state), axis=-1)
        step = low @ left["inputs.selected.split1.step.kernel"]
        y = selective_scan(u, step, b, c, under(left, "scan"))
        x = x + (y * jax.nn.silu(z)) @ p["out.kernel"]
    return x, {}


REFERENCES = (
    Reference(
        "selectiveScan",
        _scan,
        (
            Case("sequence", SelectiveScan(2), (5, 10)),
            Case("eight", SelectiveScan(3), (8, 8)),
            Case("one-step", SelectiveScan(2), (1, 8)),
            Case("two-steps", SelectiveScan(2), (2, 6), batch=1),
            Case("one-of-each", SelectiveScan(1), (4, 4), batch=1),
            Case("integers", SelectiveScan(2), (6, 8), draw="ties"),
            Case("constant", SelectiveScan(1), (7, 6), draw="constant"),
            Case("evaluation", SelectiveScan(2), (3, 8), training=False),
        ),
        (
            BadCase(SelectiveScan(0), (4, 8), "state wants a positive integer, got 0"),
            BadCase(SelectiveScan(4), (4, 8), "wants [batch, T, 2 E + 8], got [batch, 4, 8]"),
            BadCase(SelectiveScan(2), (4, 7), "wants [batch, T, 2 E + 4], got [batch, 4, 7]"),
            BadCase(SelectiveScan(2), (8,), "wants [batch, T, D], got [batch, 8]"),
        ),
    ),
    Reference(
        "mambaBlock",
        _mamba,
        (
            Case("block", MambaBlock(2), (5, 3)),
            Case("twice", MambaBlock(2, layers=2), (3, 2)),
            Case("wider", MambaBlock(1, expansion=3, kernel=2), (4, 2)),
            Case("rank", MambaBlock(2, rank=2, epsilon=0.1), (4, 3)),
            Case("short", MambaBlock(2), (1, 3), batch=1),
            Case("not-wider", MambaBlock(2, expansion=1, kernel=1), (3, 4)),
            Case("evaluation", MambaBlock(2), (4, 3), training=False),
        ),
        (
            BadCase(MambaBlock(0), (4, 3), "state wants a positive integer, got 0"),
            BadCase(MambaBlock(2, layers=0), (4, 3), "layers wants an integer from 1 to 10000, got 0"),
            BadCase(MambaBlock(2, rank=0), (4, 3), "rank wants a positive integer, got 0"),
            BadCase(MambaBlock(2), (4, 4, 3), "wants [batch, T, D], got [batch, 4, 4, 3]"),
        ),
    ),
)
