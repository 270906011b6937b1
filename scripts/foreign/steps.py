"""Whole train steps with optax: the optimizer's state goes in and out; the gradients come out beside it, as a log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from foreign.row import Program, add, dense, f, mlp, stepped

FAMILY = "optax steps"

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: optax.sgd(0.1),
    "momentum": lambda: optax.sgd(0.1, momentum=0.9),
    "nesterov": lambda: optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optax.adam(1e-3),
    "adamw_cosine": lambda: optax.adamw(optax.cosine_decay_schedule(1e-3, 100), weight_decay=0.01),
    "adamw_warmup": lambda: optax.adamw(optax.warmup_cosine_decay_schedule(0.0, 1e-3, 10, 100)),
    "adagrad": lambda: optax.adagrad(0.1),
    "rmsprop": lambda: optax.rmsprop(1e-3, momentum=0.9),
    "adadelta": lambda: optax.adadelta(0.1),
    "adamax": lambda: optax.adamax(1e-3),
    "nadam": lambda: optax.nadam(1e-3),
    "radam": lambda: optax.radam(1e-3),
    "lamb": lambda: optax.lamb(1e-3),
    "lars": lambda: optax.lars(0.1),
    "lion": lambda: optax.lion(1e-4),
    "novograd": lambda: optax.novograd(1e-3),
    "adafactor": lambda: optax.adafactor(1e-3),
    "yogi": lambda: optax.yogi(1e-3),
    "clip_global_norm": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)),
    "clip_each": lambda: optax.chain(optax.clip(1.0), optax.sgd(0.1)),
    "masked_decay": lambda: optax.adamw(1e-3, mask=lambda p: jax.tree.map(lambda v: v.ndim > 1, p)),
    "multi_steps": lambda: optax.MultiSteps(optax.adam(1e-3), 2),
    "apply_if_finite": lambda: optax.apply_if_finite(optax.sgd(0.1), 3),
    "ema_of_updates": lambda: optax.chain(optax.trace(0.9), optax.ema(0.9), optax.scale(-0.1)),
    "piecewise_rate": lambda: optax.sgd(optax.piecewise_constant_schedule(0.1, {10: 0.1, 20: 0.1})),
    "gradient_noise": lambda: optax.chain(optax.add_noise(0.01, 0.55, 0), optax.sgd(0.1)),
}  # fmt: skip


def _step(make: Callable[[], Any]) -> Program:
    tx, params = make(), mlp(3, 4, 2)

    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        def loss(p: Any) -> Any:
            return jnp.mean(optax.huber_loss(dense(p[1], jnp.tanh(dense(p[0], x))), y))

        value, g = jax.value_and_grad(loss)(params)
        updates, state = tx.update(g, state, params)
        return value, g, optax.apply_updates(params, updates), state, optax.global_norm(g)

    return stepped(
        step, params, jax.eval_shape(tx.init, params), f(5, 3), f(5, 2), pairs=[(k, 1 + k) for k in range(4)]
    )


for _name, _make in OPTIMIZERS.items():
    add(FAMILY, f"step-{_name}", lambda make=_make: _step(make))  # type: ignore[misc]
