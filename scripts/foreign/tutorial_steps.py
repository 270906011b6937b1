"""Steps of JAX tutorials with control flow, adapters, statistics, accumulation, and pullbacks called by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from foreign.row import Program, dense, f, graded, i, mlp, row, stepped


@row("tutorial")
def gradient_of_a_sorted_loss() -> Program:
    return graded(lambda p, x: jnp.sum(jnp.sort(x @ p) * jnp.arange(1.0, 6.0)), f(3), f(5, 3))


@row("tutorial")
def quantile_and_median() -> Program:
    return graded(lambda p, x: jnp.median(x @ p) + jnp.quantile((x @ p) ** 2, 0.25), f(3), f(6, 3))


@row("tutorial")
def low_rank_adapter() -> Program:
    def loss(p: Any, w: Any, x: Any, y: Any) -> Any:
        return jnp.mean((x @ w + (x @ p["a"]) @ p["b"] * (8 / 2) - y) ** 2)

    return graded(loss, {"a": f(4, 2), "b": f(2, 3)}, f(4, 3), f(5, 4), f(5, 3))


@row("tutorial")
def frozen_trunk() -> Program:
    def loss(head: Any, trunk: Any, x: Any, y: Any) -> Any:
        h = lax.stop_gradient(jax.nn.relu(dense(trunk, x)))
        return jnp.mean((dense(head, h) - y) ** 2)

    return graded(loss, mlp(4, 2)[0], mlp(3, 4)[0], f(5, 3), f(5, 2))


@row("tutorial")
def cond_on_a_flag() -> Program:
    def loss(p: Any, flag: Any, x: Any) -> Any:
        h = lax.cond(flag > 0, lambda h: jnp.tanh(h @ p), lambda h: (h @ p) ** 2, x)
        return jnp.sum(h)

    return graded(loss, f(3, 2), i(), f(4, 3), ids=2)


@row("tutorial")
def switch_of_experts() -> Program:
    def loss(p: Any, which: Any, x: Any) -> Any:
        return jnp.mean(lax.switch(which, [lambda h, k=k: jnp.sin(h @ p[k]) for k in range(3)], x) ** 2)

    return graded(loss, f(3, 2, 2), i(), f(4, 2), ids=3)


@row("tutorial")
def power_iteration_while() -> Program:
    def loss(p: Any, v: Any) -> Any:
        a = p @ p.T
        v = lax.fori_loop(0, 3, lambda _, v: a @ v / jnp.linalg.norm(a @ v), v)
        return v @ a @ v / (v @ v)

    return graded(loss, f(3, 3), f(3))


@row("tutorial")
def batch_norm_with_running_stats() -> Program:
    def loss(p: Any, stats: Any, x: Any, y: Any) -> Any:
        h = dense(p["in"], x)
        mean, var = jnp.mean(h, 0), jnp.var(h, 0)
        fresh = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, stats, (mean, var))
        h = (h - mean) / jnp.sqrt(var + 1e-5) * p["scale"] + p["shift"]
        return jnp.mean((dense(p["out"], jax.nn.relu(h)) - y) ** 2), fresh

    p = {"in": mlp(3, 4)[0], "out": mlp(4, 2)[0], "scale": f(4), "shift": f(4)}
    return graded(loss, p, (f(4), f(4)), f(6, 3), f(6, 2), aux=2)


@row("tutorial")
def gradient_accumulation_over_scan() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean((jnp.tanh(x @ p["w"]) @ p["v"] - y) ** 2)

    def step(p: Any, xs: Any, ys: Any) -> Any:
        def part(carry: Any, batch: Any) -> Any:
            value, g = jax.value_and_grad(loss)(p, *batch)
            return jax.tree.map(jnp.add, carry, (value, g)), None

        zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, p))
        total, _ = lax.scan(part, zero, (xs, ys))
        return jax.tree.map(lambda v: v / 3, total)

    return stepped(step, {"v": f(4), "w": f(2, 4)}, f(3, 5, 2), f(3, 5), pairs=[(0, 1), (1, 2)])


@row("tutorial")
def vjp_called_by_hand() -> Program:
    def step(w: Any, v: Any, x: Any, y: Any) -> Any:
        out, pull = jax.vjp(lambda w, v: jnp.tanh(x @ w) @ v, w, v)
        gap = out - y
        return (jnp.sum(gap**2), *pull(2 * gap))

    return stepped(step, f(3, 4), f(4, 2), f(5, 3), f(5, 2), pairs=[(0, 1), (1, 2)])


@row("tutorial")
def jacobian_by_vmap_summed() -> Program:
    def loss(p: Any, x: Any) -> Any:
        return jnp.sum(jax.jacfwd(lambda v: jnp.tanh(v @ p))(x) ** 2)

    return graded(loss, f(3, 2), f(3))


@row("tutorial")
def mean_of_per_example_gradients() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.square(jnp.dot(jnp.sin(x @ p["w"]), p["v"]) - y)

    def step(p: Any, x: Any, y: Any) -> Any:
        values, g = jax.vmap(jax.value_and_grad(loss), (None, 0, 0))(p, x, y)
        return values.mean(), jax.tree.map(lambda v: v.mean(0), g)

    return stepped(step, {"v": f(4), "w": f(3, 4)}, f(5, 3), f(5), pairs=[(0, 1), (1, 2)])
