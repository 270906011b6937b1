"""Steps in the idiom of equinox: modules that are trees, filtered into arrays and the rest, vmapped over a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from foreign.row import KEY, Program, f, graded, i, row, stepped

FAMILY = "equinox"


def filtered(make: Callable[[Any], Any], loss: Callable[..., Any], *data: Any, **fixed: Any) -> Program:
    """`eqx.filter_value_and_grad` as what it is: the arrays are the first argument, the rest is static."""
    shapes = eqx.filter_eval_shape(make, jax.random.key(0))
    arrays, static = eqx.partition(shapes, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    return graded(lambda arrays, *data: loss(eqx.combine(arrays, static), *data), arrays, *data, **fixed)


def squares(make: Callable[[Any], Any], *shape: int) -> Program:
    """The mean square of what a module gives for each example."""
    return filtered(make, lambda m, x: jnp.mean(jax.vmap(m)(x) ** 2), f(*shape))


@row(FAMILY)
def eqx_mlp() -> Program:
    def loss(m: Any, x: Any, y: Any) -> Any:
        return jnp.mean((jax.vmap(m)(x) - y) ** 2)

    return filtered(lambda key: eqx.nn.MLP(3, 2, 4, 2, key=key), loss, f(5, 3), f(5, 2))


@row(FAMILY)
def eqx_mlp_softplus() -> Program:
    return squares(
        lambda key: eqx.nn.MLP(2, 1, 4, 2, activation=jax.nn.softplus, final_activation=jnp.tanh, key=key), 3, 2
    )


@row(FAMILY)
def eqx_cnn_cross_entropy() -> Program:
    def make(key: Any) -> Any:
        a, b, c = jax.random.split(key, 3)
        return eqx.nn.Sequential([
            eqx.nn.Conv2d(1, 2, 3, key=a), eqx.nn.MaxPool2d(2, 2), eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Lambda(jnp.ravel), eqx.nn.Linear(18, 5, key=b), eqx.nn.Lambda(jax.nn.sigmoid),
            eqx.nn.Linear(5, 3, key=c), eqx.nn.Lambda(jax.nn.log_softmax),
        ])  # fmt: skip

    def loss(m: Any, x: Any, y: Any) -> Any:
        return -jnp.mean(jnp.take_along_axis(jax.vmap(m)(x), jnp.expand_dims(y, 1), axis=1))

    return filtered(make, loss, f(2, 1, 8, 8), i(2), ids=3)


class RNN(eqx.Module):
    """A GRU over a sequence by scan, a linear head, a sigmoid."""

    cell: eqx.nn.GRUCell
    linear: eqx.nn.Linear
    bias: jax.Array

    def __init__(self, key: Any) -> None:
        a, b = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(2, 3, key=a)
        self.linear = eqx.nn.Linear(3, 1, use_bias=False, key=b)
        self.bias = jnp.zeros(1)

    def __call__(self, x: Any) -> Any:
        h, _ = jax.lax.scan(lambda h, x: (self.cell(x, h), None), jnp.zeros(3), x)
        return jax.nn.sigmoid(self.linear(h) + self.bias)


@row(FAMILY)
def eqx_spiral_rnn() -> Program:
    def loss(m: Any, x: Any, y: Any) -> Any:
        p = jax.vmap(m)(x)
        return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))

    return filtered(RNN, loss, f(3, 3, 2), f(3, 1))


@row(FAMILY)
def eqx_lstm_cell() -> Program:
    def make(key: Any) -> Any:
        return eqx.nn.LSTMCell(2, 3, key=key)

    def loss(m: Any, x: Any) -> Any:
        state = (jnp.zeros(3), jnp.zeros(3))
        for t in range(3):
            state = m(x[t], state)
        return jnp.sum(state[0] ** 2)

    return filtered(make, loss, f(3, 2))


@row(FAMILY)
def eqx_attention() -> Program:
    def loss(m: Any, x: Any) -> Any:
        return jnp.mean(jax.vmap(lambda s: m(s, s, s, mask=jnp.tril(jnp.ones((3, 3), bool))))(x) ** 2)

    return filtered(lambda key: eqx.nn.MultiheadAttention(2, 4, key=key), loss, f(2, 3, 4))


@row(FAMILY)
def eqx_layer_norm() -> Program:
    return squares(lambda key: eqx.nn.Sequential([eqx.nn.Linear(3, 4, key=key), eqx.nn.LayerNorm(4)]), 5, 3)


@row(FAMILY)
def eqx_rms_norm() -> Program:
    return squares(lambda key: eqx.nn.Sequential([eqx.nn.Linear(3, 4, key=key), eqx.nn.RMSNorm(4)]), 5, 3)


@row(FAMILY)
def eqx_group_norm() -> Program:
    return squares(lambda key: eqx.nn.Sequential([eqx.nn.Conv2d(1, 4, 3, key=key), eqx.nn.GroupNorm(2, 4)]), 2, 1, 4, 4)


@row(FAMILY)
def eqx_average_pool_and_prelu() -> Program:
    def make(key: Any) -> Any:
        return eqx.nn.Conv2d(1, 2, 3, key=key), eqx.nn.AvgPool2d(2, 2), eqx.nn.PReLU()

    def loss(m: Any, x: Any) -> Any:
        return jnp.mean(jax.vmap(lambda x: m[2](m[1](m[0](x))))(x) ** 2)

    return filtered(make, loss, f(2, 1, 6, 6))


@row(FAMILY)
def eqx_conv_transpose() -> Program:
    return squares(lambda key: eqx.nn.ConvTranspose2d(2, 1, 3, stride=2, padding=1, key=key), 2, 2, 3, 3)


@row(FAMILY)
def eqx_rotary_embedding() -> Program:
    turn = eqx.nn.RotaryPositionalEmbedding(4)

    def loss(m: Any, x: Any) -> Any:
        h = turn(jax.vmap(m)(x))
        return jnp.sum(jnp.tril(h @ h.T) ** 2)

    return filtered(lambda key: eqx.nn.Linear(3, 4, key=key), loss, f(3, 3))


@row(FAMILY)
def eqx_dropout() -> Program:
    def make(key: Any) -> Any:
        return eqx.nn.Sequential([eqx.nn.Linear(3, 5, key=key), eqx.nn.Dropout(0.3), eqx.nn.Linear(5, 2, key=key)])

    def loss(m: Any, key: Any, x: Any) -> Any:
        return jnp.mean(jax.vmap(lambda x, k: m(x, key=k))(x, jax.random.split(key, 4)) ** 2)

    return filtered(make, loss, KEY, f(4, 3))


@row(FAMILY)
def eqx_make_step_with_gradients() -> Program:
    shapes = eqx.filter_eval_shape(lambda key: eqx.nn.MLP(2, 1, 3, 1, key=key), jax.random.key(0))
    arrays, static = eqx.partition(shapes, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    tx = optax.adam(1e-2)

    def make_step(arrays: Any, state: Any, x: Any, y: Any) -> Any:
        def loss(m: Any) -> Any:
            return jnp.mean((jax.vmap(m)(x) - y) ** 2)

        value, g = eqx.filter_value_and_grad(loss)(eqx.combine(arrays, static))
        g = eqx.filter(g, eqx.is_array)
        updates, state = tx.update(g, state, arrays)
        return value, g, eqx.apply_updates(arrays, updates), state

    state = jax.eval_shape(tx.init, arrays)
    return stepped(make_step, arrays, state, f(4, 2), f(4, 1), pairs=[(k, 1 + k) for k in range(4)])


@row(FAMILY)
def eqx_deep_wgan_scores() -> Program:
    def make(key: Any) -> Any:
        return eqx.nn.MLP(3, 1, 4, 2, activation=jax.nn.leaky_relu, key=key)

    def loss(m: Any, real: Any, fake: Any) -> Any:
        return jnp.mean(jax.vmap(m)(fake)) - jnp.mean(jax.vmap(m)(real))

    return filtered(make, loss, f(4, 3), f(4, 3))


@row(FAMILY)
def eqx_score_matching() -> Program:
    def loss(m: Any, t: Any, x: Any, noise: Any) -> Any:
        mean = x * jnp.exp(-0.5 * t)[:, None]
        std = jnp.sqrt(jnp.maximum(1 - jnp.exp(-t), 1e-5))[:, None]
        y = mean + std * noise
        score = jax.vmap(lambda y, t: m(jnp.concatenate([y, t[None]])))(y, t)
        return jnp.mean(std**2 * (score + noise / std) ** 2)

    return filtered(lambda key: eqx.nn.MLP(3, 2, 4, 1, activation=jnp.tanh, key=key), loss, f(4), f(4, 2), f(4, 2))
