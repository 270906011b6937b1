"""Activations of jax.nn and losses of optax, each in the smallest step that has a gradient through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from foreign.row import Program, Spec, add, dense, f, graded, i, mlp

nn = jax.nn
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": nn.relu, "relu6": nn.relu6, "leaky_relu": nn.leaky_relu, "elu": nn.elu, "selu": nn.selu, "celu": nn.celu,
    "gelu_tanh": nn.gelu, "gelu_erf": lambda x: nn.gelu(x, approximate=False), "silu": nn.silu, "mish": nn.mish,
    "softplus": nn.softplus, "softsign": nn.soft_sign, "sigmoid": nn.sigmoid, "log_sigmoid": nn.log_sigmoid,
    "hard_tanh": nn.hard_tanh, "hard_swish": nn.hard_swish, "hard_sigmoid": nn.hard_sigmoid,
    "squareplus": nn.squareplus, "sparse_plus": nn.sparse_plus, "glu": nn.glu, "tanh": jnp.tanh,
    "snake": lambda x: x + jnp.sin(x) ** 2, "squared_relu": lambda x: nn.relu(x) ** 2, "softmax": nn.softmax,
    "arctan": jnp.arctan, "log1p_abs": lambda x: jnp.sign(x) * jnp.log1p(jnp.abs(x)), "cube_root": jnp.cbrt,
    "power": lambda x: jnp.abs(x) ** 1.5,
    "logaddexp": lambda x: jnp.logaddexp(x, 0.5), "sinh_cosh": lambda x: jnp.sinh(x) / jnp.cosh(x), "exp2": jnp.exp2,
    "expm1": jnp.expm1, "erf_inv": lambda x: lax.erf_inv(jnp.tanh(x)), "round_free": lambda x: x - 0 * jnp.floor(x),
    "arcsinh": jnp.arcsinh, "log2": lambda x: jnp.log2(1 + x * x),
    "x_log_x": lambda x: nn.sigmoid(x) * jnp.log(nn.sigmoid(x)),
}  # fmt: skip


def _activated(act: Callable[[Any], Any]) -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean((act(dense(p, x)) @ y) ** 2)

    width = 2 if act is nn.glu else 4
    return graded(loss, mlp(3, 4)[0], f(5, 3), f(width, 2))


for _name, _act in ACTIVATIONS.items():
    add("activations", f"act-{_name}", lambda act=_act: _activated(act))  # type: ignore[misc]

L = optax.losses


def _gaussian(var: Any, gap: Any) -> Any:
    return 0.5 * (jnp.log(var) + gap**2 / var)


def _dice(p: Any, y: Any) -> Any:
    return 1 - (2 * jnp.sum(p * y) + 1) / (jnp.sum(p) + jnp.sum(y) + 1)


def _wing(gap: Any) -> Any:
    return jnp.where(gap < 1, 2 * jnp.log(1 + gap / 0.5), gap)


# name -> the loss of outputs [4, 3] and targets, and the targets
LOSSES: dict[str, tuple[Callable[[Any, Any], Any], Spec]] = {
    "squared_error": (L.squared_error, f(4, 3)),
    "l2": (L.l2_loss, f(4, 3)),
    "huber": (lambda z, y: L.huber_loss(z, y, delta=0.5), f(4, 3)),
    "log_cosh": (L.log_cosh, f(4, 3)),
    "softmax_cross_entropy": (lambda z, y: L.softmax_cross_entropy(z, nn.softmax(y)), f(4, 3)),
    "softmax_cross_entropy_integers": (L.softmax_cross_entropy_with_integer_labels, i(4)),
    "label_smoothing": (lambda z, y: L.softmax_cross_entropy(z, optax.smooth_labels(nn.one_hot(y, 3), 0.1)), i(4)),
    "sigmoid_bce": (lambda z, y: L.sigmoid_binary_cross_entropy(z, nn.sigmoid(y)), f(4, 3)),
    "sigmoid_focal": (lambda z, y: L.sigmoid_focal_loss(z, nn.sigmoid(y), alpha=0.25), f(4, 3)),
    "sigmoid_focal_gamma": (lambda z, y: L.sigmoid_focal_loss(z, nn.sigmoid(y), gamma=1.5), f(4, 3)),
    "hinge": (lambda z, y: L.hinge_loss(z, jnp.sign(y)), f(4, 3)),
    "perceptron": (lambda z, y: L.perceptron_loss(z, jnp.sign(y)), f(4, 3)),
    "multiclass_hinge": (L.multiclass_hinge_loss, i(4)),
    "multiclass_perceptron": (L.multiclass_perceptron_loss, i(4)),
    "poly_cross_entropy": (lambda z, y: L.poly_loss_cross_entropy(z, nn.softmax(y)), f(4, 3)),
    "kl_divergence": (lambda z, y: L.kl_divergence(nn.log_softmax(z), nn.softmax(y)), f(4, 3)),
    "kl_with_log_targets": (
        lambda z, y: L.kl_divergence_with_log_targets(nn.log_softmax(z), nn.log_softmax(y)), f(4, 3)),
    "cosine_distance": (L.cosine_distance, f(4, 3)),
    "cosine_similarity": (lambda z, y: -L.cosine_similarity(z, y), f(4, 3)),
    "convex_kl": (lambda z, y: L.convex_kl_divergence(nn.log_softmax(z), nn.softmax(y)), f(4, 3)),
    "ntxent": (lambda z, y: L.ntxent(jnp.concatenate([z, z + 0.1]), jnp.tile(jnp.arange(4), 2)), f(4, 3)),
    "ranking_softmax": (lambda z, y: optax.losses.ranking_softmax_loss(z, nn.sigmoid(y)), f(4, 3)),
    "gaussian_nll": (lambda z, y: _gaussian(nn.softplus(z[:, :1]) + 1e-3, z[:, 1:2] - y), f(4, 1)),
    "poisson_nll": (lambda z, y: jnp.exp(z) - y * z, f(4, 3)),
    "dice": (lambda z, y: _dice(nn.sigmoid(z), nn.sigmoid(y)), f(4, 3)),
    "focal_softmax": (lambda z, y: -jnp.sum((1 - nn.softmax(z)) ** 2 * nn.log_softmax(z) * nn.one_hot(y, 3), -1), i(4)),
    "quantile": (lambda z, y: jnp.maximum(0.3 * (y - z), -0.7 * (y - z)), f(4, 3)),
    "charbonnier": (lambda z, y: jnp.sqrt((z - y) ** 2 + 1e-6), f(4, 3)),
    "wing": (lambda z, y: _wing(jnp.abs(z - y)), f(4, 3)),
    "masked_logsumexp": (lambda z, y: nn.logsumexp(z, -1, where=y > -9) - z[:, 0], f(4, 3)),
    "masked_sequence": (lambda z, y: L.softmax_cross_entropy_with_integer_labels(z, y) * (y != 0), i(4)),
    "safe_softmax": (lambda z, y: L.safe_softmax_cross_entropy(z, nn.one_hot(y, 3)), i(4)),
}  # fmt: skip


def _lost(of: Callable[[Any, Any], Any], target: Spec) -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean(of(dense(p[1], jnp.tanh(dense(p[0], x))), y))

    return graded(loss, mlp(4, 5, 3), f(4, 4), target, ids=3)


for _name, (_of, _target) in LOSSES.items():
    add("losses", f"loss-{_name}", lambda of=_of, target=_target: _lost(of, target))  # type: ignore[misc]


def _ctc() -> Program:
    def loss(p: Any, x: Any, pad: Any, labels: Any, label_pad: Any) -> Any:
        return jnp.mean(optax.ctc_loss(dense(p, x), pad, labels, label_pad))

    return graded(loss, mlp(3, 4)[0], f(2, 5, 3), f(2, 5), i(2, 2), f(2, 2), ids=3)


add("losses", "loss-ctc", _ctc)
