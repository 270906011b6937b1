"""Mixtures of experts in JAX: `lax.top_k` chooses, and the experts come one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax import lax

from netc.netspec.layers import MixtureOfExperts, TopKGates
from netc.proofs_oracle.reference import AUXILIARY, CHOICES, BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def gates(scores: Array, top: int) -> tuple[Array, Array]:
    """The weights [.., E], softmax over the `top` largest scores, and which those are as 0 and 1. Ties: lower first.

    With top 1 the softmax is over all scores (Fedus et al. 2022, eq. 1 and 2).
    """
    values, places = lax.top_k(scores, top)
    hot = jax.nn.one_hot(places, scores.shape[-1])
    if top == 1:
        return hot[..., 0, :] * jax.nn.softmax(scores, -1), hot.sum(-2)
    return jnp.einsum("...k,...ke->...e", jax.nn.softmax(values, -1), hot), hot.sum(-2)


def balance_loss(scores: Array, chosen: Array, top: int) -> Array:
    """Fedus et al. 2022, eq. 4: E sum_e f_e P_e over all tokens, f the share of all choices."""
    experts = scores.shape[-1]
    f = chosen.reshape(-1, experts).mean(0) / top
    return experts * jnp.sum(lax.stop_gradient(f) * jax.nn.softmax(scores, -1).reshape(-1, experts).mean(0))


def _added(balance: float, top: int, scores: Array, chosen: Array, training: bool) -> dict[str, Array]:
    if not training:
        return {}
    told = {CHOICES: chosen.reshape(-1, scores.shape[-1]).mean(0) / top}
    return {AUXILIARY: balance * balance_loss(scores, chosen, top), **told} if balance else told


def _top_k_gates(layer: TopKGates, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    weights, chosen = gates(x, layer.top)
    return jnp.repeat(weights, layer.each, axis=-1), _added(layer.balance, layer.top, x, chosen, training)


def _mixture(layer: MixtureOfExperts, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    """Jiang et al. 2024, section 2.1."""
    scores = x @ params["both.chosen.router.kernel"]
    weights, chosen = gates(scores, layer.top)
    gate, up = jnp.split(params["both.hidden.in.kernel"], 2, axis=1)
    out, f = params["out.kernel"], layer.mlp
    y = jnp.zeros_like(x)
    for e in range(layer.experts):
        own = slice(e * f, (e + 1) * f)
        hidden = activate(layer.activation, x @ gate[:, own]) * (x @ up[:, own])
        y = y + weights[..., e : e + 1] * (hidden @ out[own])
    return y, _added(layer.balance, layer.top, scores, chosen, training)


REFERENCES = (
    Reference(
        "topKGates",
        _top_k_gates,
        (
            Case("two-of-four", TopKGates(2), (5, 4)),
            Case("one", TopKGates(1), (5, 3)),
            Case("all", TopKGates(3), (4, 3)),
            Case("one-expert", TopKGates(1), (3, 1), batch=1),
            Case("vector", TopKGates(2), (6,), batch=3),
            Case("each", TopKGates(2, each=3), (4, 4)),
            Case("ties", TopKGates(2), (8, 5), draw="ties"),
            Case("balance-of-a-layer-alone", TopKGates(2, balance=0.1), (5, 4)),
            Case("evaluation", TopKGates(2, balance=0.1), (5, 4), training=False),
        ),
        (
            BadCase(TopKGates(0), (3, 4), "top wants a positive integer, got 0"),
            BadCase(TopKGates(5), (3, 4), "wants at least top=5 channels, got [batch, 3, 4]; lower top"),
            BadCase(TopKGates(1, balance=-1.0), (3, 4), "balance wants 0 (none) or a positive number, got -1.0"),
            BadCase(TopKGates(1, each=0), (3, 4), "each wants a positive integer, got 0"),
        ),
    ),
    Reference(
        "mixtureOfExperts",
        _mixture,
        (
            Case("two-of-three", MixtureOfExperts(4, 3), (5, 4)),
            Case("one-of-four", MixtureOfExperts(3, 4, 1), (4, 3)),
            Case("all", MixtureOfExperts(2, 2, 2), (3, 4), batch=1),
            Case("gelu", MixtureOfExperts(2, 3, activation="gelu", balance=0.0), (3, 4)),
            Case("evaluation", MixtureOfExperts(4, 3), (5, 4), training=False),
        ),
        (
            BadCase(MixtureOfExperts(0), (3, 4), "mlp wants a positive integer, got 0"),
            BadCase(MixtureOfExperts(4, 2, 3), (3, 4), "top wants at most experts=2, got 3"),
            BadCase(MixtureOfExperts(4, balance=-0.1), (3, 4), "balance wants 0 (none) or a positive number, got -0.1"),
            BadCase(MixtureOfExperts(4), (3,), "wants [batch, T, D], got [batch, 3]"),
        ),
    ),
)
