"""A NetSpec as plain JAX, for benchmarks: lax convolutions and reduce_window, as somebody would write it by hand."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netc.netspec.layer import Composite, Layer, expanded, part_names
from netc.netspec.layers import (
    Activation,
    BatchNorm,
    Chain,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Identity,
    MaxPool,
    Residual,
)
from netc.netspec.layers.window import pair
from netc.netspec.types import TensorType

Tree = dict[str, Any]
KEY = "dropout key"  # the state that dropout draws by; only in training
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x, "relu": jax.nn.relu, "relu6": jax.nn.relu6, "swish": jax.nn.silu,
    "gelu": partial(jax.nn.gelu, approximate=False), "gelu-tanh": partial(jax.nn.gelu, approximate=True),
    "h-swish": jax.nn.hard_swish, "h-sigmoid": jax.nn.hard_sigmoid, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh,
}  # fmt: skip


def _example(x: Any) -> TensorType:
    return TensorType(x.shape[1:])


def _chain(layer: Chain, p: Tree, s: Tree, x: Any, at: str) -> tuple[Any, Tree]:
    new: Tree = {}
    for name, part in zip(part_names(layer.layers), layer.layers, strict=True):
        x, own = apply(part, p, s, x, f"{at}{name}.")
        new |= own
    return x, new


def _residual(layer: Residual, p: Tree, s: Tree, x: Any, at: str) -> tuple[Any, Tree]:
    y, new = apply(layer.body, p, s, x, f"{at}body.")
    z, more = apply(layer.shortcut, p, s, x, f"{at}shortcut.")
    return y + z, new | more


def _conv(layer: Conv2d, p: Tree, s: Tree, x: Any, at: str) -> tuple[Any, Tree]:
    y = lax.conv_general_dilated(
        x, p[f"{at}kernel"], pair(layer.stride), layer.window(_example(x))[1], rhs_dilation=pair(layer.dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=layer.groups,
    )  # fmt: skip
    return ACTIVATIONS[layer.activation](y + p[f"{at}bias"] if layer.bias else y), {}


def _dense(layer: Dense, p: Tree, s: Tree, x: Any, at: str) -> tuple[Any, Tree]:
    y = x @ p[f"{at}kernel"]
    return ACTIVATIONS[layer.activation](y + p[f"{at}bias"] if layer.bias else y), {}


def _batch_norm(layer: BatchNorm, p: Tree, s: Tree, x: Any, at: str) -> tuple[Any, Tree]:
    axes = tuple(range(x.ndim - 1))
    mean, var, n = x.mean(axes), x.var(axes), x.size // x.shape[-1]
    y = (x - mean) * lax.rsqrt(var + layer.epsilon) * p[f"{at}scale"] + p[f"{at}bias"]
    m = layer.momentum
    unbiased = var * (n / max(n - 1, 1))
    return y, {
        f"{at}mean": (1 - m) * s[f"{at}mean"] + m * mean,
        f"{at}var": (1 - m) * s[f"{at}var"] + m * unbiased,
    }


def _max_pool(layer: MaxPool, p: Tree, s: Tree, x: Any, at: str) -> tuple[Any, Tree]:
    sides = ((0, 0), *layer.window(_example(x))[1], (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *pair(layer.size), 1), (1, *layer.step, 1), sides), {}


def _dropout(layer: Dropout, p: Tree, s: Tree, x: Any, at: str) -> tuple[Any, Tree]:
    kept = jax.random.bernoulli(jax.random.fold_in(s[KEY], zlib.crc32(at.encode())), 1 - layer.rate, x.shape)
    return jnp.where(kept, x / (1 - layer.rate), 0.0), {}


LAYERS: dict[type[Layer], Callable[..., tuple[Any, Tree]]] = {
    Chain: _chain,
    Residual: _residual,
    Conv2d: _conv,
    Dense: _dense,
    BatchNorm: _batch_norm,
    MaxPool: _max_pool,
    GlobalAvgPool: lambda layer, p, s, x, at: (x.mean((1, 2)), {}),
    Flatten: lambda layer, p, s, x, at: (x.reshape(x.shape[0], -1), {}),
    Identity: lambda layer, p, s, x, at: (x, {}),
    Activation: lambda layer, p, s, x, at: (ACTIVATIONS[layer.function](x), {}),
    Dropout: _dropout,
}


def apply(layer: Layer, p: Tree, s: Tree, x: Any, at: str = "") -> tuple[Any, Tree]:
    """The layer on a batch, in training: (y, new state). `p` and `s` hold parameters and states by full name."""
    if isinstance(layer, Composite):
        layer = expanded(layer, _example(x))
    return LAYERS[type(layer)](layer, p, s, x, at)
