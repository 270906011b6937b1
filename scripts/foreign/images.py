"""Nets of images: convolutions in all their layouts, pooling, normalisation, resizing."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foreign.parts import NHWC, conv, norm, picked
from foreign.row import KEY, Program, Spec, dense, f, graded, i, mlp, row


@row("images")
def lenet_max_pool() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        h = jax.nn.relu(conv(x, p["w1"], padding="VALID") + p["b1"])
        h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return picked(h.reshape(2, -1) @ p["w2"], y)

    return graded(loss, {"b1": f(3), "w1": f(3, 3, 1, 3), "w2": f(27, 4)}, f(2, 8, 8, 1), i(2), ids=4)


@row("images")
def nchw_conv_transposed_layout() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        h = lax.conv_general_dilated(x, p["w"], (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NCHW", "OIHW", "NCHW"))
        return jnp.mean((jnp.mean(jax.nn.relu(h + p["b"][:, None, None]), (2, 3)) - y) ** 2)

    return graded(loss, {"b": f(4), "w": f(4, 2, 3, 3)}, f(2, 2, 6, 6), f(2, 4))


@row("images")
def lax_conv_default_layout() -> Program:
    def loss(w: Any, x: Any) -> Any:
        return jnp.sum(lax.conv(x, w, (1, 1), "SAME") ** 2)

    return graded(loss, f(3, 2, 3, 3), f(2, 2, 5, 5))


@row("images")
def depthwise_separable() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        h = conv(x, p["depth"], 2, feature_group_count=4)
        return jnp.mean((conv(jax.nn.relu6(h), p["point"]).mean((1, 2)) - y) ** 2)

    return graded(loss, {"depth": f(3, 3, 1, 4), "point": f(1, 1, 4, 3)}, f(2, 6, 6, 4), f(2, 3))


@row("images")
def dilated_and_grouped() -> Program:
    def loss(p: Any, x: Any) -> Any:
        h = conv(x, p["a"], rhs_dilation=(2, 2))
        return jnp.sum(jnp.tanh(conv(h, p["b"], padding="VALID", feature_group_count=2)) ** 2)

    return graded(loss, {"a": f(3, 3, 2, 4), "b": f(3, 3, 2, 4)}, f(1, 7, 7, 2))


@row("images")
def transposed_conv_decoder() -> Program:
    def loss(p: Any, z: Any, x: Any) -> Any:
        h = jax.nn.relu(dense(p["in"], z)).reshape(2, 3, 3, 2)
        out = lax.conv_transpose(h, p["up"], (2, 2), "SAME")
        return jnp.mean((jax.nn.sigmoid(out) - x) ** 2)

    return graded(loss, {"in": mlp(4, 18)[0], "up": f(3, 3, 2, 1)}, f(2, 4), f(2, 6, 6, 1))


@row("images")
def average_pool_padded() -> Program:
    def loss(w: Any, x: Any) -> Any:
        h = conv(x, w)
        total = lax.reduce_window(h, 0.0, lax.add, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        count = lax.reduce_window(jnp.ones_like(h), 0.0, lax.add, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        return jnp.sum((total / count) ** 3)

    return graded(loss, f(3, 3, 1, 2), f(2, 5, 5, 1))


@row("images")
def overlapping_max_pool() -> Program:
    def loss(w: Any, x: Any) -> Any:
        h = conv(x, w)
        return jnp.sum(lax.reduce_window(h, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME") ** 2)

    return graded(loss, f(3, 3, 1, 2), f(2, 7, 7, 1))


@row("images")
def max_pool_by_reshape() -> Program:
    def loss(w: Any, x: Any) -> Any:
        return jnp.sum(conv(x, w).reshape(2, 3, 2, 3, 2, 2).max((2, 4)) ** 2)

    return graded(loss, f(3, 3, 1, 2), f(2, 6, 6, 1))


@row("images")
def residual_block_batch_norm() -> Program:
    def bn(x: Any, p: Any) -> Any:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) / jnp.sqrt(var + 1e-5) * p[0] + p[1]

    def loss(p: Any, x: Any, y: Any) -> Any:
        h = jax.nn.relu(bn(conv(x, p["w1"], 2), p["n1"]))
        h = bn(conv(h, p["w2"]), p["n2"]) + conv(x, p["short"], 2)
        return picked(jax.nn.relu(h).mean((1, 2)) @ p["out"], y)

    n = (f(3), f(3))
    p = {"n1": n, "n2": n, "out": f(3, 3), "short": f(1, 1, 2, 3), "w1": f(3, 3, 2, 3), "w2": f(3, 3, 3, 3)}
    return graded(loss, p, f(2, 6, 6, 2), i(2), ids=3)


@row("images")
def squeeze_excitation() -> Program:
    def loss(p: Any, x: Any) -> Any:
        h = conv(x, p["w"])
        gate = jax.nn.sigmoid(dense(p["up"], jax.nn.silu(dense(p["down"], h.mean((1, 2))))))
        return jnp.mean((h * gate[:, None, None]) ** 2)

    return graded(loss, {"down": mlp(4, 2)[0], "up": mlp(2, 4)[0], "w": f(3, 3, 2, 4)}, f(2, 4, 4, 2))


@row("images")
def unet_concatenation() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        a = jax.nn.relu(conv(x, p["a"]))
        b = jax.nn.relu(conv(lax.reduce_window(a, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"), p["b"]))
        up = jax.image.resize(b, (1, 4, 4, 3), "nearest")
        return jnp.mean(jax.nn.softplus(conv(jnp.concatenate([a, up], -1), p["c"])) * y)

    return graded(loss, {"a": f(3, 3, 1, 2), "b": f(3, 3, 2, 3), "c": f(3, 3, 5, 1)}, f(1, 4, 4, 1), f(1, 4, 4, 1))


@row("images")
def bilinear_resize() -> Program:
    def loss(w: Any, x: Any) -> Any:
        return jnp.sum(jax.image.resize(conv(x, w), (1, 6, 6, 2), "bilinear") ** 2)

    return graded(loss, f(3, 3, 1, 2), f(1, 3, 3, 1))


@row("images")
def bytes_to_floats() -> Program:
    def loss(p: Any, images: Any, labels: Any) -> Any:
        x = images.astype(jnp.float32) / 255.0
        return picked(dense(p[1], jax.nn.relu(dense(p[0], x.reshape(3, -1)))), labels)

    return graded(loss, mlp(16, 5, 4), Spec((3, 4, 4), jnp.uint8), Spec((3,), jnp.int8), ids=4)


@row("images")
def normalised_by_mean_and_std() -> Program:
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)

    def loss(w: Any, images: Any) -> Any:
        return jnp.mean(conv((images / 255.0 - mean) / std, w) ** 2)

    return graded(loss, f(3, 3, 3, 2), f(2, 4, 4, 3))


@row("images")
def flips_and_crops_in_the_step() -> Program:
    def loss(w: Any, key: Any, x: Any) -> Any:
        first, second = jax.random.split(key)
        x = jnp.where(jax.random.bernoulli(first), x[:, :, ::-1], x)
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        at = jax.random.randint(second, (2,), 0, 3)
        x = lax.dynamic_slice(x, (0, at[0], at[1], 0), (2, 4, 4, 1))
        return jnp.mean(conv(x, w) ** 2)

    return graded(loss, f(3, 3, 1, 2), KEY, f(2, 4, 4, 1))


@row("images")
def conv_1d_causal() -> Program:
    def loss(p: Any, x: Any) -> Any:
        h = lax.conv_general_dilated(
            x, p, (1,), [(4, 0)], rhs_dilation=(2,), dimension_numbers=("NWC", "WIO", "NWC")
        )  # fmt: skip
        return jnp.mean((jnp.tanh(h[..., :2]) * jax.nn.sigmoid(h[..., 2:])) ** 2)

    return graded(loss, f(3, 2, 4), f(2, 6, 2))


@row("images")
def conv_3d() -> Program:
    def loss(w: Any, x: Any) -> Any:
        y = lax.conv_general_dilated(x, w, (1, 1, 1), "SAME", dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))
        return jnp.mean(jax.nn.relu(y) ** 2)

    return graded(loss, f(2, 3, 3, 1, 2), f(1, 3, 4, 4, 1))


@row("images")
def group_norm() -> Program:
    def loss(p: Any, x: Any) -> Any:
        h = conv(x, p["w"]).reshape(2, 4, 4, 2, 2)
        h = norm(h, (1.0, 0.0), (1, 2, 4)).reshape(2, 4, 4, 4) * p["scale"] + p["shift"]
        return jnp.mean(jax.nn.silu(h) ** 2)

    return graded(loss, {"scale": f(4), "shift": f(4), "w": f(3, 3, 2, 4)}, f(2, 4, 4, 2))


@row("images")
def weight_standardised() -> Program:
    def loss(w: Any, x: Any) -> Any:
        mean, var = w.mean((0, 1, 2)), w.var((0, 1, 2))
        return jnp.mean(jax.nn.relu(conv(x, (w - mean) / jnp.sqrt(var * 9 + 1e-4))) ** 2)

    return graded(loss, f(3, 3, 1, 3), f(2, 4, 4, 1))


@row("images")
def patches_by_conv_general() -> Program:
    def loss(w: Any, x: Any) -> Any:
        patches = lax.conv_general_dilated_patches(x, (2, 2), (2, 2), "VALID", dimension_numbers=NHWC)
        return jnp.mean((patches @ w) ** 2)

    return graded(loss, f(8, 3), f(2, 4, 4, 2))


@row("images")
def local_response_norm() -> Program:
    def loss(w: Any, x: Any) -> Any:
        h = conv(x, w)
        squares = lax.reduce_window(h**2, 0.0, lax.add, (1, 1, 1, 3), (1, 1, 1, 1), "SAME")
        return jnp.mean(h / (2.0 + 1e-1 * squares) ** 0.75)

    return graded(loss, f(3, 3, 1, 4), f(2, 4, 4, 1))
