"""Steps in the idiom of flax.nnx: modules that hold their parameters, split and merged around a pure function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from foreign.row import Program, f, graded, i, row

FAMILY = "flax nnx"


def pure(make: Callable[[nnx.Rngs], Any], loss: Callable[..., Any], *data: Any, **fixed: Any) -> Program:
    """`nnx.split` outside, `nnx.merge` inside: parameters are the first argument, other state the second."""
    graph, params, rest = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param, ...)
    params, rest = (jax.tree.map(_spec, tree) for tree in (params, rest))

    def of_params(params: Any, rest: Any, *data: Any) -> Any:
        own = jax.tree.map(lambda leaf: leaf, rest)  # variables of this trace, which the module may write to
        return loss(nnx.merge(graph, params, own), *data)

    return graded(of_params, params, rest, *data, **fixed)


def _spec(leaf: Any) -> Any:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.eval_shape(lambda: jax.random.key(0))
    return f(*leaf.shape, dtype=leaf.dtype)


def integer_cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean loss."""
    return optax.softmax_cross_entropy_with_integer_labels(logits=logits, labels=labels).mean()


class MLP(nnx.Module):
    """Linear, relu, linear."""

    def __init__(self, rngs: nnx.Rngs, out: int = 3) -> None:
        self.linear1 = nnx.Linear(4, 5, rngs=rngs)
        self.linear2 = nnx.Linear(5, out, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.linear2(nnx.relu(self.linear1(x)))


class CNN(nnx.Module):
    """Two convolutions with average pooling, batch norm behind the first."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(1, 2, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(2, rngs=rngs)
        self.conv2 = nnx.Conv(2, 3, (3, 3), rngs=rngs)
        self.linear = nnx.Linear(12, 3, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.avg_pool(nnx.relu(self.norm(self.conv1(x))), (2, 2), (2, 2))
        x = nnx.avg_pool(nnx.relu(self.conv2(x)), (2, 2), (2, 2))
        return self.linear(x.reshape(x.shape[0], -1))


class Block(nnx.Module):
    """A transformer block."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm1, self.norm2 = nnx.LayerNorm(4, rngs=rngs), nnx.LayerNorm(4, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 4, rngs=rngs)

    def __call__(self, x: Any, mask: Any = None) -> Any:
        x = x + self.attention(self.norm1(x), mask=mask)
        return x + self.down(nnx.gelu(self.up(self.norm2(x))))


class GPT(nnx.Module):
    """Tokens, positions, one block, a head."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.tokens, self.positions = nnx.Embed(6, 4, rngs=rngs), nnx.Embed(5, 4, rngs=rngs)
        self.block, self.head = Block(rngs), nnx.Linear(4, 6, use_bias=False, rngs=rngs)

    def __call__(self, ids: Any) -> Any:
        x = self.tokens(ids) + self.positions(jnp.arange(ids.shape[1]))
        return self.head(self.block(x, nnx.make_causal_mask(ids)))


class Holder(nnx.Module):
    """One layer of the library behind a linear one."""

    def __init__(self, layer: Callable[[nnx.Rngs], Any], rngs: nnx.Rngs) -> None:
        self.linear, self.layer = nnx.Linear(3, 4, rngs=rngs), layer(rngs)

    def __call__(self, x: Any) -> Any:
        return self.layer(self.linear(x))


def held(layer: Callable[[nnx.Rngs], Any], *shape: int) -> Program:
    """The mean square of what it gives."""
    return pure(lambda rngs: Holder(layer, rngs), lambda m, x: jnp.mean(m(x) ** 2), f(*shape))


@row(FAMILY)
def nnx_mlp_mse() -> Program:
    return pure(MLP, lambda m, x, y: ((m(x) - y) ** 2).mean(), f(4, 4), f(4, 3))


@row(FAMILY)
def nnx_mlp_with_logits_and_metrics() -> Program:
    def loss(m: Any, x: Any, y: Any) -> Any:
        logits = m(x)
        return integer_cross_entropy(logits, y), (logits, (jnp.argmax(logits, -1) == y).mean())

    return pure(MLP, loss, f(4, 4), i(4), aux=2, ids=3)


@row(FAMILY)
def nnx_cnn_batch_norm() -> Program:
    return pure(CNN, lambda m, x, y: integer_cross_entropy(m(x), y), f(2, 8, 8, 1), i(2), ids=3)


@row(FAMILY)
def nnx_mini_gpt() -> Program:
    return pure(GPT, lambda m, ids: integer_cross_entropy(m(ids[:, :-1]), ids[:, 1:]), i(2, 5), ids=6)


@row(FAMILY)
def nnx_dropout() -> Program:
    def make(rngs: nnx.Rngs) -> Any:
        return nnx.Sequential(nnx.Linear(4, 5, rngs=rngs), nnx.Dropout(0.2, rngs=rngs), nnx.Linear(5, 2, rngs=rngs))

    return pure(make, lambda m, x: jnp.mean(m(x) ** 2), f(3, 4))


@row(FAMILY)
def nnx_lora() -> Program:
    return held(lambda rngs: nnx.LoRA(4, 2, 3, rngs=rngs), 2, 3)


@row(FAMILY)
def nnx_rms_norm() -> Program:
    return held(lambda rngs: nnx.RMSNorm(4, rngs=rngs), 2, 3)


@row(FAMILY)
def nnx_group_norm() -> Program:
    return held(lambda rngs: nnx.GroupNorm(4, 2, rngs=rngs), 2, 3, 3, 3)


@row(FAMILY)
def nnx_conv_transpose() -> Program:
    return held(lambda rngs: nnx.ConvTranspose(4, 2, (3, 3), (2, 2), rngs=rngs), 1, 3, 3, 3)


@row(FAMILY)
def nnx_einsum() -> Program:
    return held(lambda rngs: nnx.Einsum("bd,dhe->bhe", (4, 2, 3), rngs=rngs), 2, 3)


@row(FAMILY)
def nnx_lstm() -> Program:
    return held(lambda rngs: nnx.RNN(nnx.LSTMCell(4, 3, rngs=rngs)), 2, 3, 3)


@row(FAMILY)
def nnx_gru() -> Program:
    return held(lambda rngs: nnx.RNN(nnx.GRUCell(4, 3, rngs=rngs)), 2, 3, 3)


@row(FAMILY)
def nnx_autoencoder() -> Program:
    return pure(lambda rngs: MLP(rngs, 4), lambda m, x: jnp.mean((nnx.sigmoid(m(x)) - x) ** 2), f(4, 4))
