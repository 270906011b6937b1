"""One loss each for what JAX's transformations, control flow, random numbers and indexing lower to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foreign.row import KEY, Program, add, f, graded, i

FAMILY = "transforms"
random, stats = jax.random, jax.scipy.stats
DATA = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)


def _layer(w: Any) -> Callable[[Any, Any], Any]:
    return lambda h, x: (jnp.tanh(h @ w + x), h)


def _either(w: Any) -> Callable[[Any, Any], Any]:
    def step(h: Any, kx: Any) -> Any:
        k, x = kx
        return lax.cond(k % 2 == 0, lambda h: jnp.tanh(h @ w), lambda h: h * 0.5 + x, h), None

    return step


def _printed(p: Any, x: Any) -> Any:
    value = jnp.mean((x @ p) ** 2)
    jax.debug.print("loss {value}", value=value)
    return value


# name -> the loss, its parameters, its data
LOSSES: dict[str, tuple[Callable[..., Any], Any, tuple[Any, ...]]] = {
    "lax_map": (lambda p, x: jnp.sum(lax.map(lambda r: jnp.tanh(r @ p), x)), f(3, 2), (f(4, 3),)),
    "nested_scans": (
        lambda p, x: jnp.sum(lax.scan(lambda h, xs: lax.scan(_layer(p), h, xs), jnp.zeros(2), x)[0] ** 2),
        f(2, 2), (f(2, 3, 2),)),
    "unrolled_scan": (
        lambda p, x: jnp.sum(lax.scan(_layer(p), jnp.zeros(2), x, unroll=2)[1] ** 2), f(2, 2), (f(4, 2),)),
    "loop_that_indexes": (
        lambda p, x: lax.fori_loop(0, 4, lambda k, s: s + jnp.sum(jnp.sin(x[k] @ p)), 0.0), f(3, 2), (f(4, 3),)),
    "cond_inside_scan": (
        lambda p, x: jnp.sum(lax.scan(_either(p), jnp.ones(2), (jnp.arange(4), x))[0] ** 2), f(2, 2), (f(4, 2),)),
    "associative_scan_backwards": (
        lambda p, x: jnp.sum(lax.associative_scan(jnp.multiply, jax.nn.sigmoid(x @ p), reverse=True)),
        f(3, 2), (f(5, 3),)),
    "linearized": (lambda p, x: jnp.sum(jax.linearize(lambda v: jnp.sin(v @ p), x)[1](x) ** 2), f(3, 2), (f(3),)),
    "trace_of_a_hessian": (
        lambda p, x: jnp.trace(jax.hessian(lambda v: jnp.sum(jnp.tanh(v @ p) ** 2))(x)), f(3, 2), (f(3),)),
    "rows_of_a_jacobian": (lambda p, x: jnp.sum(jax.jacrev(lambda v: jnp.tanh(v @ p))(x) ** 2), f(3, 2), (f(3),)),
    "data_in_the_program": (lambda p: jnp.mean((DATA @ p - 1) ** 2), f(3), ()),
    "printed_on_the_way": (_printed, f(3), (f(4, 3),)),
    "gumbel_softmax": (
        lambda p, key, x: jnp.mean(jax.nn.softmax((x @ p + random.gumbel(key, (4, 3))) / 0.5) ** 2),
        f(2, 3), (KEY, f(4, 2))),
    "sampled_actions": (
        lambda p, key, x: -jnp.mean(
            jnp.take_along_axis(jax.nn.log_softmax(x @ p), random.categorical(key, x @ p)[:, None], 1)),
        f(2, 3), (KEY, f(4, 2))),
    "shuffled_batch": (
        lambda p, key, x: jnp.mean((x[random.permutation(key, 4)] @ p - jnp.arange(4)) ** 2), f(3), (KEY, f(4, 3))),
    "laplace_noise": (lambda p, key, x: jnp.mean((x + random.laplace(key, (4, 3))) @ p) ** 2, f(3), (KEY, f(4, 3))),
    "cubic_resize": (
        lambda p, x: jnp.sum(jax.image.resize(x * p, (1, 5, 5, 1), "cubic") ** 2), f(), (f(1, 3, 3, 1),)),
    "batch_groups": (
        lambda w, x: jnp.sum(lax.conv_general_dilated(x, w, (1, 1), "SAME", batch_group_count=2) ** 2),
        f(4, 2, 3, 3), (f(4, 2, 4, 4),)),
    "rows_beyond_the_table": (
        lambda p, ids: jnp.sum(jnp.take(p, ids, axis=0, mode="clip") ** 2)
        + jnp.sum(jnp.take(p, ids + 3, axis=0, mode="fill", fill_value=0.0)), f(5, 2), (i(3),)),
    "indexed_updates": (
        lambda p: jnp.sum(p.at[0].multiply(2.0).at[1].max(0.1).at[2].divide(3.0) ** 2), f(5, 2), ()),
    "running_maximum": (
        lambda p, x: jnp.sum(lax.cummax(x @ p) + lax.cumsum(x @ p, reverse=True) ** 2), f(3), (f(5, 3),)),
    "running_logsumexp": (lambda p, x: jnp.sum(lax.cumlogsumexp(x @ p)), f(3), (f(5, 3),)),
    "largest_by_argsort": (lambda p, x: jnp.sum((x @ p)[jnp.argsort(-(x @ p))][:2]), f(3), (f(5, 3),)),
    "beta_likelihood": (
        lambda p, x: -jnp.sum(stats.beta.logpdf(jax.nn.sigmoid(x), jnp.exp(p[0]), jnp.exp(p[1]))), f(2), (f(4),)),
    "student_t_likelihood": (lambda p, x: -jnp.sum(stats.t.logpdf(x @ p, 3.0)), f(3), (f(4, 3),)),
    "reflected_borders": (
        lambda p, x: jnp.sum(jnp.pad(x @ p, ((1, 1), (2, 0)), mode="reflect") ** 2), f(3, 4), (f(4, 3),)),
    "interpolated": (
        lambda p, x: jnp.sum(jnp.interp(x @ p, jnp.array([-3.0, 0.0, 3.0]), jnp.array([0.0, 1.0, 5.0]))),
        f(3), (f(4, 3),)),
    "half_of_the_parameters_in_bf16": (
        lambda p, x: jnp.mean((x.astype(jnp.bfloat16) @ p["a"]).astype(jnp.float32) @ p["b"]),
        {"a": f(3, 4, dtype=jnp.bfloat16), "b": f(4)}, (f(5, 3),)),
}  # fmt: skip


def _made(loss: Callable[..., Any], params: Any, data: tuple[Any, ...]) -> Program:
    return graded(loss, params, *data, ids=3 if any(d.dtype == jnp.int32 for d in data) else None)


for _name, _row in LOSSES.items():
    add(FAMILY, _name, lambda row=_row: _made(*row))  # type: ignore[misc]
