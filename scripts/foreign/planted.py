"""Gradients that are none: changed after JAX gave them, or by a rule that JAX was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from foreign.parts import conv, picked
from foreign.row import ROWS, Program, add, altered, dense, f, graded, i, mlp, row

FAMILY = "planted"


def _leaf(at: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Change one gradient."""

    def changed(grads: Any) -> Any:
        leaves, tree = jax.tree.flatten(grads)
        leaves[at] = change(leaves[at])
        return jax.tree.unflatten(tree, leaves)

    return changed


def _swapped(a: int, b: int) -> Callable[[Any], Any]:
    def changed(grads: Any) -> Any:
        leaves, tree = jax.tree.flatten(grads)
        leaves[a], leaves[b] = leaves[b], leaves[a]
        return jax.tree.unflatten(tree, leaves)

    return changed


# base row, what was done to its gradients, how
CHANGES: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("linear-regression", "negated", lambda g: jax.tree.map(jnp.negative, g)),
    ("linear-regression", "doubled", lambda g: jax.tree.map(lambda v: 2 * v, g)),
    ("mnist-stax", "one sign", _leaf(0, lambda v: v.at[0, 0].multiply(-1))),
    ("mnist-stax", "a hundredth more", _leaf(2, lambda v: v * 1.01)),
    ("rbf-kernel-ridge", "zero", _leaf(2, lambda v: v * 0)),
    ("checkpointed-layers", "transposed", _leaf(2, lambda v: v.T)),
    ("matrix-factorisation", "swapped", _swapped(0, 1)),
    ("maml", "first order", _leaf(0, lambda v: v + 0.01)),
    ("gaussian-mixture-likelihood", "of the mean instead of the sum", _leaf(2, lambda v: v / 3)),
    ("physics-informed-net", "rolled", _leaf(1, lambda v: jnp.roll(v, 1))),
    ("lenet-max-pool", "turned round", _leaf(1, lambda v: v[::-1, ::-1])),
    ("nchw-conv-transposed-layout", "in and out exchanged", _leaf(1, lambda v: jnp.roll(v, 1, 0))),
    ("depthwise-separable", "channels reversed", _leaf(0, lambda v: v[..., ::-1])),
    ("residual-block-batch-norm", "no shift", _leaf(1, lambda v: v * 0)),
    ("lstm-unrolled", "gates in another order", _leaf(0, lambda v: jnp.roll(v, 3))),
    ("lstm-by-scan", "gates in another order", _leaf(2, lambda v: jnp.roll(v, 3, 1))),
    ("gpt2-train-step", "the head's part left out", _leaf(27, lambda v: v * 0.5)),
    ("vit-train-step", "positions shifted", _leaf(17, lambda v: jnp.roll(v, 1, 0))),
    ("word2vec-negative-sampling", "rows exchanged", _leaf(0, lambda v: v[::-1])),
    ("batch-norm-with-running-stats", "biased", _leaf(4, lambda v: v + 1e-2)),
    ("act-softplus", "one element", _leaf(0, lambda v: v.at[1].add(1e-2))),
    ("act-gelu_erf", "a thousandth and more", _leaf(1, lambda v: v * 1.002)),
    ("loss-huber", "clipped", _leaf(3, lambda v: jnp.clip(v, -0.05, 0.05))),
    ("loss-softmax_cross_entropy", "normalised", lambda g: jax.tree.map(lambda v: v / jnp.linalg.norm(v), g)),
    ("gru-by-scan-all-outputs", "zero where small", _leaf(2, lambda v: jnp.where(jnp.abs(v) > 0.05, v, 0))),
    ("mixed-precision-bf16", "scaled and not unscaled", lambda g: jax.tree.map(lambda v: v * 8, g)),
    ("mlp-mixer", "signs only", _leaf(0, jnp.sign)),
    ("hessian-vector-product", "symmetric only in part", _leaf(0, lambda v: v + 0.1 * jnp.tril(v[:2]).sum())),
)
for _base, _how, _change in CHANGES:
    _key = _base.replace("_", "-")
    add(FAMILY, f"{_key}--{_how.replace(' ', '-')}", lambda base=_key, change=_change: altered(ROWS[base](), change))  # type: ignore[misc]


def taught(forward: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that JAX believes to have this derivative."""

    @jax.custom_vjp
    def function(x: Any) -> Any:
        return forward(x)

    function.defvjp(lambda x: (forward(x), x), lambda x, dy: (dy * slope(x),))
    return function


# name -> function, and a slope that is not its own
SLOPES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (jnp.tanh, lambda x: 1 - jnp.tanh(x)),
    "cube": (lambda x: x**3, lambda x: 2 * x**2),
    "sigmoid": (jax.nn.sigmoid, jax.nn.sigmoid),
    "gelu_as_silu": (lambda x: jax.nn.gelu(x, approximate=False), lambda x: jax.nn.sigmoid(1.702 * x)),
    "relu_everywhere": (jax.nn.relu, jnp.ones_like),
    "rounded_straight_through": (lambda x: jnp.round(4 * x) / 4, jnp.ones_like),
    "sign_straight_through": (jnp.sign, lambda x: (jnp.abs(x) < 1).astype(x.dtype)),
    "leaky_other_slope": (lambda x: jnp.where(x > 0, x, 0.1 * x), lambda x: jnp.where(x > 0, 1.0, 0.2)),
    "exp_of_negative": (lambda x: jnp.exp(-x), lambda x: jnp.exp(-x)),
    "log_cosh": (lambda x: jnp.log(jnp.cosh(x)), lambda x: jnp.tanh(2 * x)),
    "softplus_at_half": (jax.nn.softplus, lambda x: jax.nn.sigmoid(x / 2)),
    "rsqrt_without_half": (lambda x: lax.rsqrt(x * x + 1), lambda x: -2 * x * lax.rsqrt(x * x + 1) ** 3),
    "sine_for_cosine": (jnp.sin, jnp.sin),
}
for _name, (_forward, _slope) in SLOPES.items():

    def _told(forward: Any = _forward, slope: Any = _slope) -> Program:
        act = taught(forward, slope)

        def loss(p: Any, x: Any, y: Any) -> Any:
            return jnp.mean((dense(p[1], act(dense(p[0], x))) - y) ** 2)

        return graded(loss, mlp(3, 4, 2), f(5, 3), f(5, 2), right=False)

    add(FAMILY, f"taught-{_name}", _told)


@row(FAMILY, right=False)
def gradient_reversal() -> Program:
    flip = taught(lambda x: x, lambda x: -jnp.ones_like(x))
    return graded(lambda p, x, y: jnp.mean((flip(dense(p, x)) - y) ** 2), mlp(3, 2)[0], f(4, 3), f(4, 2))


@row(FAMILY, right=False)
def clipped_inside() -> Program:
    @jax.custom_vjp
    def clip(x: Any) -> Any:
        return x

    clip.defvjp(lambda x: (x, None), lambda _, dy: (jnp.clip(dy, -0.01, 0.01),))
    return graded(lambda p, x, y: jnp.sum((clip(dense(p, x)) - y) ** 2), mlp(3, 2)[0], f(4, 3), f(4, 2))


@row(FAMILY, right=False)
def vector_quantised_straight_through() -> Program:
    def loss(p: Any, x: Any) -> Any:
        z = dense(p["enc"], x)
        near = jnp.argmin(jnp.sum((z[:, None] - p["codes"]) ** 2, -1), -1)
        q = p["codes"][near]
        through = z + lax.stop_gradient(q - z)
        commitment = jnp.mean((z - lax.stop_gradient(q)) ** 2) + jnp.mean((lax.stop_gradient(z) - q) ** 2)
        return jnp.mean((dense(p["dec"], through) - x) ** 2) + commitment

    return graded(loss, {"codes": f(3, 2), "dec": mlp(2, 4)[0], "enc": mlp(4, 2)[0]}, f(5, 4))


@row(FAMILY, right=False)
def simsiam_stopped_target() -> Program:
    def loss(p: Any, a: Any, b: Any) -> Any:
        u, v = dense(p[0], a), dense(p[0], b)
        return -jnp.mean(jnp.sum(dense(p[1], u) * lax.stop_gradient(v), -1))

    return graded(loss, mlp(3, 4, 4), f(5, 3), f(5, 3))


@row(FAMILY, right=False)
def semi_gradient_q_learning() -> Program:
    def loss(p: Any, s: Any, a: Any, r: Any, s2: Any) -> Any:
        target = r + 0.9 * jnp.max(lax.stop_gradient(s2 @ p), -1)
        return jnp.mean(((s @ p)[jnp.arange(4), a] - target) ** 2)

    return graded(loss, f(3, 2), f(4, 3), i(4), f(4), f(4, 3), ids=2)


@row(FAMILY, right=False)
def layer_norm_with_stopped_statistics() -> Program:
    def loss(p: Any, x: Any) -> Any:
        h = x @ p
        mean, var = lax.stop_gradient(h.mean(-1, keepdims=True)), lax.stop_gradient(h.var(-1, keepdims=True))
        return jnp.mean(jnp.sin((h - mean) / jnp.sqrt(var + 1e-5)))

    return graded(loss, f(3, 4), f(5, 3))


@row(FAMILY, right=False)
def average_pool_backward_to_the_corner() -> Program:
    @jax.custom_vjp
    def pool(x: Any) -> Any:
        return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4

    def corner(_: Any, dy: Any) -> Any:
        return (lax.pad(dy, jnp.zeros((), dy.dtype), ((0, 0, 0), (0, 1, 1), (0, 1, 1), (0, 0, 0))),)

    pool.defvjp(lambda x: (pool(x), None), corner)
    return graded(lambda w, x: jnp.mean(pool(conv(x, w)) ** 2), f(3, 3, 1, 2), f(2, 4, 4, 1))


@row(FAMILY, right=False)
def conv_kernel_gradient_of_another_stride() -> Program:
    @jax.custom_vjp
    def layer(x: Any, w: Any) -> Any:
        return conv(x, w, 1, "SAME")

    def backward(kept: Any, dy: Any) -> Any:
        x, w = kept
        dx, _ = jax.vjp(lambda x, w: conv(x, w, 1, "SAME"), x, w)[1](dy)
        _, dw = jax.vjp(lambda x, w: conv(x, jnp.flip(w, 0), 1, "SAME"), x, w)[1](dy)
        return dx, dw

    layer.defvjp(lambda x, w: (layer(x, w), (x, w)), backward)
    return graded(lambda w, x, y: picked(layer(x, w).mean((1, 2)), y), f(3, 3, 1, 3), f(2, 4, 4, 1), i(2), ids=3)


@row(FAMILY, right=False)
def embedding_gradient_without_repeats() -> Program:
    @jax.custom_vjp
    def look(table: Any, ids: Any) -> Any:
        return table[ids]

    def once(kept: Any, dy: Any) -> Any:
        table, ids = kept
        return jnp.zeros_like(table).at[ids].set(dy), None

    look.defvjp(lambda table, ids: (table[ids], (table, ids)), once)
    return graded(lambda t, w, ids: jnp.sum(jnp.tanh(look(t, ids) @ w) ** 2), f(3, 4), f(4, 2), i(7), ids=3)


@row(FAMILY, right=False)
def dropout_with_a_fresh_mask_in_the_backward() -> Program:
    @jax.custom_vjp
    def drop(x: Any, masks: Any) -> Any:
        return x * masks[0] * 2

    drop.defvjp(lambda x, m: (x * m[0] * 2, m), lambda m, dy: (dy * m[1] * 2, jnp.zeros_like(m)))

    def loss(p: Any, masks: Any, x: Any) -> Any:
        return jnp.sum(drop(dense(p, x), (masks > 0).astype(jnp.float32)) ** 2)

    return graded(loss, mlp(3, 4)[0], f(2, 5, 4), f(5, 3))
