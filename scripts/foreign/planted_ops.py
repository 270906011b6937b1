"""Wrong backward rules of single operations: the slip that each invites, told to JAX with custom_vjp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from foreign.row import Program, add, dense, f, graded, i, mlp, row

FAMILY = "planted"
Forward = Callable[[Any], Any]
Backward = Callable[[Any, Any], Any]


def ruled(forward: Forward, backward: Backward) -> Forward:
    """A function of [5, 4] that JAX believes to have this pullback: (x, dy) to dx."""

    @jax.custom_vjp
    def function(x: Any) -> Any:
        return forward(x)

    function.defvjp(lambda x: (forward(x), x), lambda x, dy: (backward(x, dy),))
    return function


def _late(x: Any) -> Any:
    return lax.dynamic_slice(x, (jnp.argmax(x[:, 0]) // 2, 0), (3, 4))


def _early(x: Any, dy: Any) -> Any:
    return lax.dynamic_update_slice(jnp.zeros_like(x), dy, (0, 0))


def _windows(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 2), "VALID")


def _to_the_last(x: Any, dy: Any) -> Any:
    """To the last element of each window, whatever is the largest."""
    return jnp.zeros_like(x).at[1:, 1::2].add(dy)


def _decayed(x: Any) -> Any:
    return lax.scan(lambda h, r: (0.5 * h + r, 0.5 * h + r), jnp.zeros_like(x[0]), x)[1]


# name -> the function, and a pullback that is not its own
RULES: dict[str, tuple[Forward, Backward]] = {
    "cumsum_not_reversed": (lambda x: jnp.cumsum(x, 0), lambda x, dy: jnp.cumsum(dy, 0)),
    "cumprod_like_a_sum": (
        lambda x: jnp.cumprod(x, 0), lambda x, dy: jnp.cumsum((dy * jnp.cumprod(x, 0))[::-1], 0)[::-1]),
    "sort_in_place": (lambda x: jnp.sort(x, 0), lambda x, dy: dy),
    "roll_the_same_way": (lambda x: jnp.roll(x, 1, 0), lambda x, dy: jnp.roll(dy, 1, 0)),
    "reverse_not_reversed": (lambda x: x[::-1], lambda x, dy: dy),
    "slice_from_the_start": (_late, _early),
    "where_the_other_way": (lambda x: jnp.where(x > 0, x, 0.1), lambda x, dy: jnp.where(x > 0, 0, dy)),
    "clip_that_passes_all": (lambda x: jnp.clip(x, -0.5, 0.5), lambda x, dy: dy),
    "softmax_by_its_diagonal": (jax.nn.softmax, lambda x, dy: dy * jax.nn.softmax(x) * (1 - jax.nn.softmax(x))),
    "logsumexp_unnormalised": (
        lambda x: jax.nn.logsumexp(x, 1, keepdims=True), lambda x, dy: dy * jnp.exp(x - x.max(1, keepdims=True))),
    "max_to_all": (lambda x: x.max(1, keepdims=True), lambda x, dy: jnp.broadcast_to(dy, x.shape)),
    "mean_as_a_sum": (lambda x: x.mean(1, keepdims=True), lambda x, dy: jnp.broadcast_to(dy, x.shape)),
    "window_to_its_last": (_windows, _to_the_last),
    "recurrence_forwards": (_decayed, lambda x, dy: _decayed(dy)),
    "transpose_not_undone": (lambda x: x[:4].T, lambda x, dy: jnp.zeros_like(x).at[:4].set(dy)),
    "power_without_the_factor": (lambda x: jnp.abs(x) ** 1.5, lambda x, dy: dy * jnp.sign(x) * jnp.abs(x) ** 0.5),
    "floor_straight_through": (jnp.floor, lambda x, dy: dy),
    "norm_not_divided": (
        lambda x: jnp.linalg.norm(x, axis=1, keepdims=True), lambda x, dy: dy * x),
    "pad_off_by_one": (
        lambda x: jnp.pad(x, ((1, 0), (0, 0))), lambda x, dy: dy[:-1]),
    "dtype_round_trip_scaled": (
        lambda x: x.astype(jnp.bfloat16).astype(jnp.float32), lambda x, dy: dy * 1.25),
}  # fmt: skip


def _through(forward: Forward, backward: Backward) -> Program:
    act = ruled(forward, backward)
    return graded(lambda p, x: jnp.mean(jnp.sin(act(dense(p, x)) + 0.3)), mlp(3, 4)[0], f(5, 3), right=False)


for _name, (_forward, _backward) in RULES.items():
    add(FAMILY, f"rule-{_name}", lambda a=_forward, b=_backward: _through(a, b))  # type: ignore[misc]


@row(FAMILY, right=False)
def rule_tied_embedding_by_halves() -> Program:
    def loss(p: Any, ids: Any, labels: Any) -> Any:
        logits = jnp.tanh(p[ids]) @ lax.stop_gradient(p).T
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1))

    return graded(loss, f(5, 3), i(4), i(4), ids=5)


@row(FAMILY, right=False)
def rule_scan_with_a_wrong_step() -> Program:
    @jax.custom_vjp
    def cell(h: Any, x: Any) -> Any:
        return jnp.tanh(h + x)

    cell.defvjp(lambda h, x: (cell(h, x), (h, x)), lambda r, dy: (dy * (1 - jnp.tanh(r[0] + r[1])), dy))

    def loss(p: Any, x: Any) -> Any:
        return jnp.sum(lax.scan(lambda h, x: (cell(h @ p, x), None), jnp.zeros(3), x)[0] ** 2)

    return graded(loss, f(3, 3), f(4, 3))


@row(FAMILY, right=False)
def rule_cond_with_branches_exchanged() -> Program:
    @jax.custom_vjp
    def chosen(flag: Any, x: Any) -> Any:
        return lax.cond(flag > 0, jnp.sin, jnp.square, x)

    def backward(kept: Any, dy: Any) -> Any:
        flag, x = kept
        return None, dy * lax.cond(flag > 0, lambda x: 2 * x, jnp.cos, x)

    chosen.defvjp(lambda flag, x: (chosen(flag, x), (flag, x)), backward)
    return graded(lambda p, flag, x: jnp.sum(chosen(flag, x @ p)), f(3, 2), i(), f(4, 3), ids=2)


@row(FAMILY, right=False)
def rule_top_k_by_the_wrong_rank() -> Program:
    @jax.custom_vjp
    def largest(x: Any) -> Any:
        return lax.top_k(x, 2)[0]

    def backward(x: Any, dy: Any) -> Any:
        at = lax.top_k(x, 2)[1]
        return (jnp.zeros_like(x).at[jnp.arange(5)[:, None], at[:, ::-1]].add(dy),)

    largest.defvjp(lambda x: (largest(x), x), backward)
    return graded(lambda p, x: jnp.sum(largest(x @ p) * jnp.array([1.0, 2.0])), f(3, 4), f(5, 3))


@row(FAMILY, right=False)
def rule_inverse_without_the_sign() -> Program:
    @jax.custom_vjp
    def inverse(a: Any) -> Any:
        return jnp.stack([jnp.stack([a[1, 1], -a[0, 1]]), jnp.stack([-a[1, 0], a[0, 0]])]) / (
            a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
        )

    def backward(y: Any, dy: Any) -> Any:
        return (y.T @ dy @ y.T,)

    inverse.defvjp(lambda a: (inverse(a), inverse(a)), backward)
    return graded(lambda a, b: jnp.sum(inverse(a + 3 * jnp.eye(2)) @ b), f(2, 2), f(2))
