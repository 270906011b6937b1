"""Steps in the idiom of flax.linen: modules, `apply`, mutable collections, TrainState."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

from foreign.row import KEY, Program, f, graded, i, row, stepped

FAMILY = "flax linen"


def params_of(module: nn.Module, *inputs: Any, **more: Any) -> Any:
    """The specs of a module's collections."""
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    return jax.eval_shape(lambda *x: module.init(keys, *x, **more), *inputs)


def integer_cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean loss."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


class MLP(nn.Module):
    """Dense layers with relu between them."""

    features: Sequence[int] = (5, 3)

    @nn.compact
    def __call__(self, x: Any) -> Any:
        for n in self.features[:-1]:
            x = nn.relu(nn.Dense(n)(x))
        return nn.Dense(self.features[-1])(x)


class CNN(nn.Module):
    """Two convolutions with average pooling."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.avg_pool(nn.relu(nn.Conv(2, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.avg_pool(nn.relu(nn.Conv(3, (3, 3))(x)), (2, 2), (2, 2))
        return nn.Dense(3)(nn.relu(nn.Dense(4)(x.reshape(x.shape[0], -1))))


class Block(nn.Module):
    """A residual block with batch norm."""

    features: int
    strides: int = 1

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        y = nn.Conv(self.features, (3, 3), (self.strides,) * 2, use_bias=False)(x)
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(y))
        y = nn.BatchNorm(use_running_average=not train, scale_init=nn.initializers.zeros)(
            nn.Conv(self.features, (3, 3), use_bias=False)(y)
        )
        if x.shape != y.shape:
            x = nn.Conv(self.features, (1, 1), (self.strides,) * 2, use_bias=False)(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A stem, two blocks, a head."""

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(2, (3, 3), use_bias=False)(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        x = Block(3, 2)(Block(2)(x, train), train)
        return nn.Dense(3)(x.mean((1, 2)))


class Encoder(nn.Module):
    """Multi-head attention and a feed-forward part, before each a layer norm."""

    heads: int = 2
    rate: float = 0.0
    causal: bool = False

    @nn.compact
    def __call__(self, x: Any, deterministic: bool = True) -> Any:
        mask = nn.make_causal_mask(jnp.ones(x.shape[:2])) if self.causal else None
        h = nn.LayerNorm()(x)
        h = nn.MultiHeadDotProductAttention(self.heads, dropout_rate=self.rate)(
            h, h, mask=mask, deterministic=deterministic
        )
        x = x + nn.Dropout(self.rate)(h, deterministic=deterministic)
        h = nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(6)(nn.LayerNorm()(x))))
        return x + nn.Dropout(self.rate)(h, deterministic=deterministic)


class ViT(nn.Module):
    """Patches, a class token, one encoder."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Conv(4, (4, 4), (4, 4), padding="VALID")(x).reshape(x.shape[0], -1, 4)
        token = self.param("cls", nn.initializers.zeros, (1, 1, 4))
        x = jnp.concatenate([jnp.tile(token, (x.shape[0], 1, 1)), x], 1)
        x = x + self.param("pos", nn.initializers.normal(0.02), (1, x.shape[1], 4))
        return nn.Dense(3)(nn.LayerNorm()(Encoder()(x))[:, 0])


class GPT(nn.Module):
    """Tokens, positions, blocks, a head that shares the embedding."""

    rate: float = 0.0

    @nn.compact
    def __call__(self, ids: Any, deterministic: bool = True) -> Any:
        table = nn.Embed(7, 4)
        x = table(ids) + nn.Embed(6, 4)(jnp.arange(ids.shape[1])[None])
        x = nn.Dropout(self.rate)(x, deterministic=deterministic)
        for _ in range(2):
            x = Encoder(rate=self.rate, causal=True)(x, deterministic)
        return table.attend(nn.LayerNorm()(x))


def _classified(module: nn.Module, *shape: int) -> Program:
    p = params_of(module, f(*shape))["params"]
    return graded(lambda p, x, y: integer_cross_entropy(module.apply({"params": p}, x), y), p, f(*shape), i(2), ids=3)


@row(FAMILY)
def linen_mlp() -> Program:
    return _classified(MLP(), 2, 4)


@row(FAMILY)
def linen_cnn() -> Program:
    return _classified(CNN(), 2, 8, 8, 1)


@row(FAMILY)
def linen_vit() -> Program:
    return _classified(ViT(), 2, 8, 8, 1)


@row(FAMILY)
def linen_train_state_with_gradients() -> Program:
    module, tx = MLP(), optax.adam(1e-3)
    state = jax.eval_shape(
        lambda p: TrainState.create(apply_fn=module.apply, params=p, tx=tx), params_of(module, f(1, 4))["params"]
    )

    def step(state: Any, x: Any, y: Any) -> Any:
        def loss(p: Any) -> Any:
            logits = state.apply_fn({"params": p}, x)
            return integer_cross_entropy(logits, y), logits

        (value, logits), g = jax.value_and_grad(loss, has_aux=True)(state.params)
        accuracy = jnp.mean(jnp.argmax(logits, -1) == y)
        return {"a_loss": value, "b_grads": g, "c_state": state.apply_gradients(grads=g), "d_accuracy": accuracy}

    # a TrainState's first leaf is its step
    return stepped(step, state, f(4, 4), i(4), pairs=[(1 + k, 1 + k) for k in range(4)], ids=3)


@row(FAMILY)
def linen_resnet_batch_stats() -> Program:
    module = ResNet()
    held = params_of(module, f(2, 8, 8, 1))

    def loss(p: Any, stats: Any, x: Any, y: Any) -> Any:
        logits, fresh = module.apply({"params": p, "batch_stats": stats}, x, mutable=["batch_stats"])
        return integer_cross_entropy(logits, y), fresh

    aux = len(jax.tree.leaves(held["batch_stats"]))
    return graded(loss, held["params"], held["batch_stats"], f(2, 8, 8, 1), i(2), aux=aux, ids=3)


@row(FAMILY)
def linen_gpt2() -> Program:
    module = GPT()

    def loss(p: Any, ids: Any) -> Any:
        return integer_cross_entropy(module.apply({"params": p}, ids[:, :-1]), ids[:, 1:])

    return graded(loss, params_of(module, i(1, 4))["params"], i(2, 5), ids=7)


@row(FAMILY)
def linen_gpt2_dropout() -> Program:
    module = GPT(rate=0.1)

    def loss(p: Any, key: Any, ids: Any) -> Any:
        logits = module.apply({"params": p}, ids[:, :-1], deterministic=False, rngs={"dropout": key})
        return integer_cross_entropy(logits, ids[:, 1:])

    return graded(loss, params_of(module, i(1, 4))["params"], KEY, i(1, 4), ids=7)


class Named(nn.Module):
    """One layer of the library between two dense ones."""

    layer: Any
    width: int = 4

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.Dense(2)(self.layer()(nn.Dense(self.width)(x)))


def _named(layer: Any, *shape: int) -> Program:
    module = Named(layer)
    p = params_of(module, f(*shape))["params"]
    return graded(lambda p, x: jnp.mean(module.apply({"params": p}, x) ** 2), p, f(*shape))


@row(FAMILY)
def linen_layer_norm() -> Program:
    return _named(nn.LayerNorm, 3, 5)


@row(FAMILY)
def linen_rms_norm() -> Program:
    return _named(nn.RMSNorm, 3, 5)


@row(FAMILY)
def linen_group_norm() -> Program:
    return _named(lambda: nn.GroupNorm(2), 2, 3, 3, 5)


@row(FAMILY)
def linen_instance_norm() -> Program:
    return _named(nn.InstanceNorm, 2, 3, 3, 5)


@row(FAMILY)
def linen_prelu() -> Program:
    return _named(nn.PReLU, 3, 5)


@row(FAMILY)
def linen_conv_transpose() -> Program:
    return _named(lambda: nn.ConvTranspose(3, (3, 3), (2, 2)), 1, 3, 3, 2)


@row(FAMILY)
def linen_depthwise_dilated() -> Program:
    return _named(lambda: nn.Conv(4, (3, 3), feature_group_count=4, kernel_dilation=2), 1, 5, 5, 2)


@row(FAMILY)
def linen_conv_local_unshared() -> Program:
    return _named(lambda: nn.ConvLocal(3, (2, 2), padding="VALID"), 1, 3, 3, 2)


@row(FAMILY)
def linen_dense_general() -> Program:
    return _named(lambda: nn.DenseGeneral((2, 3), axis=(-2, -1)), 2, 3, 5)


@row(FAMILY)
def linen_swish_max_pool() -> Program:
    return _named(lambda: lambda x: nn.max_pool(nn.swish(x), (2, 2), (2, 2)), 1, 4, 4, 2)


@row(FAMILY)
def linen_lstm_rnn() -> Program:
    module = nn.RNN(nn.OptimizedLSTMCell(3))
    p = params_of(module, f(2, 3, 2))
    return graded(lambda p, x, y: jnp.mean((module.apply(p, x)[:, -1] - y) ** 2), p, f(2, 3, 2), f(2, 3))


@row(FAMILY)
def linen_gru_bidirectional() -> Program:
    module = nn.Bidirectional(nn.RNN(nn.GRUCell(2)), nn.RNN(nn.GRUCell(2)))
    p = params_of(module, f(2, 3, 2))
    return graded(lambda p, x: jnp.mean(module.apply(p, x) ** 2), p, f(2, 3, 2))


@row(FAMILY)
def linen_remat_scan_over_layers() -> Program:
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x: Any, _: Any) -> Any:
            return nn.remat(Encoder)()(x), None

    module = nn.scan(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=2)()
    p = params_of(module, f(1, 3, 4), None)
    return graded(lambda p, x: jnp.mean(module.apply(p, x, None)[0] ** 2), p, f(1, 3, 4))


@row(FAMILY)
def linen_bf16_compute() -> Program:
    class Half(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = nn.relu(nn.Dense(5, dtype=jnp.bfloat16)(x))
            return nn.Dense(3, dtype=jnp.bfloat16)(nn.LayerNorm(dtype=jnp.bfloat16)(x)).astype(jnp.float32)

    return _classified(Half(), 2, 4)


@row(FAMILY)
def linen_vae() -> Program:
    class VAE(nn.Module):
        @nn.compact
        def __call__(self, x: Any, eps: Any) -> Any:
            h = nn.relu(nn.Dense(5)(x))
            mean, logvar = nn.Dense(2)(h), nn.Dense(2)(h)
            z = mean + jnp.exp(0.5 * logvar) * eps
            return nn.Dense(4)(nn.relu(nn.Dense(5)(z))), mean, logvar

    module = VAE()

    def loss(p: Any, x: Any, eps: Any) -> Any:
        logits, mean, logvar = module.apply(p, x, eps)
        log_p = nn.log_sigmoid(logits)
        bce = -jnp.sum(x * log_p + (1.0 - x) * jnp.log(-jnp.expm1(log_p)), -1).mean()
        return bce - 0.5 * jnp.sum(1 + logvar - jnp.square(mean) - jnp.exp(logvar), -1).mean()

    return graded(loss, params_of(module, f(3, 4), f(3, 2)), f(3, 4), f(3, 2))
