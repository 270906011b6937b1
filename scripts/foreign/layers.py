"""Layers and blocks in plain JAX, as blogs and research code write them: images, sequences, tokens."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foreign.row import KEY, Program, Spec, dense, f, graded, i, mlp, row

NHWC = ("NHWC", "HWIO", "NHWC")


def conv(x: Any, w: Any, stride: int = 1, padding: Any = "SAME", **more: Any) -> Any:
    """A 2-D convolution, channels last."""
    return lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=NHWC, **more)


def norm(x: Any, p: Any, axis: Any = -1, eps: float = 1e-5) -> Any:
    """Layer norm."""
    mean = jnp.mean(x, axis, keepdims=True)
    var = jnp.mean((x - mean) ** 2, axis, keepdims=True)
    return (x - mean) * lax.rsqrt(var + eps) * p[0] + p[1]


def attention(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    """softmax(q k / sqrt d) v over [B, T, H, D]."""
    score = jnp.einsum("bthd,bshd->bhts", q, k) / jnp.sqrt(q.shape[-1])
    if mask is not None:
        score = jnp.where(mask, score, -1e9)
    return jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(score), v)


def picked(logits: Any, labels: Any) -> Any:
    """Cross-entropy by take_along_axis."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))


# -- images ----------------------------------------------------------------------------------------------------------


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


# -- sequences -------------------------------------------------------------------------------------------------------


def lstm(p: Any, carry: Any, x: Any) -> Any:
    """One step."""
    h, c = carry
    a, b, g, o = jnp.split(x @ p["x"] + h @ p["h"] + p["b"], 4, -1)
    c = jax.nn.sigmoid(b + 1) * c + jax.nn.sigmoid(a) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


@row("sequences")
def lstm_by_scan() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        zero = jnp.zeros((2, 3))
        (h, _), _ = lax.scan(lambda c, x: lstm(p, c, x), (zero, zero), x)
        return jnp.mean((h - y) ** 2)

    return graded(loss, {"b": f(12), "h": f(3, 12), "x": f(2, 12)}, f(4, 2, 2), f(2, 3))


@row("sequences")
def lstm_unrolled() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        carry = (jnp.zeros((2, 3)), jnp.zeros((2, 3)))
        for t in range(3):
            carry, _ = lstm(p, carry, x[t])
        return jnp.mean((carry[0] - y) ** 2)

    return graded(loss, {"b": f(12), "h": f(3, 12), "x": f(2, 12)}, f(3, 2, 2), f(2, 3))


@row("sequences")
def gru_by_scan_all_outputs() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            z = jax.nn.sigmoid(x @ p["wz"] + h @ p["uz"])
            r = jax.nn.sigmoid(x @ p["wr"] + h @ p["ur"])
            n = jnp.tanh(x @ p["wn"] + (r * h) @ p["un"])
            h = (1 - z) * n + z * h
            return h, h @ p["out"]

        return picked(lax.scan(step, jnp.zeros((2, 3)), x)[1], y)

    p = {**{f"u{k}": f(3, 3) for k in "nrz"}, **{f"w{k}": f(2, 3) for k in "nrz"}, "out": f(3, 4)}
    return graded(loss, p, f(3, 2, 2), i(3, 2), ids=4)


@row("sequences")
def char_rnn_teacher_forcing() -> Program:
    def loss(p: Any, tokens: Any) -> Any:
        def step(h: Any, token: Any) -> Any:
            h = jnp.tanh(p["emb"][token] + h @ p["h"] + p["b"])
            return h, jax.nn.log_softmax(h @ p["out"])

        _, logp = lax.scan(step, jnp.zeros(4), tokens[:-1])
        return -jnp.mean(logp[jnp.arange(4), tokens[1:]])

    return graded(loss, {"b": f(4), "emb": f(6, 4), "h": f(4, 4), "out": f(4, 6)}, i(5), ids=6)


@row("sequences")
def bidirectional_rnn_reverse_scan() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        def run(w: Any, reverse: bool) -> Any:
            def step(h: Any, x: Any) -> Any:
                h = jnp.tanh(x @ w[0] + h @ w[1])
                return h, h

            return lax.scan(step, jnp.zeros((2, 3)), x, reverse=reverse)[1]

        h = jnp.concatenate([run(p["fwd"], False), run(p["bwd"], True)], -1)
        return jnp.mean((h @ p["out"] - y) ** 2)

    cell = (f(2, 3), f(3, 3))
    return graded(loss, {"bwd": cell, "fwd": cell, "out": f(6, 1)}, f(3, 2, 2), f(3, 2, 1))


@row("sequences")
def crf_forward_algorithm() -> Program:
    def loss(p: Any, scores: Any, tags: Any) -> Any:
        def step(alpha: Any, s: Any) -> Any:
            return jax.nn.logsumexp(alpha[:, None] + p + s[None], axis=0), None

        alpha, _ = lax.scan(step, scores[0], scores[1:])
        gold = scores[jnp.arange(4), tags].sum() + p[tags[:-1], tags[1:]].sum()
        return jax.nn.logsumexp(alpha) - gold

    return graded(loss, f(3, 3), f(4, 3), i(4), ids=3)


@row("sequences")
def linear_recurrence_associative_scan() -> Program:
    def loss(p: Any, x: Any) -> Any:
        a = jnp.broadcast_to(jax.nn.sigmoid(p["a"]), (5, 3))
        _, h = lax.associative_scan(lambda u, v: (u[0] * v[0], v[0] * u[1] + v[1]), (a, x @ p["b"]))
        return jnp.mean(h**2)

    return graded(loss, {"a": f(3), "b": f(2, 3)}, f(5, 2))


@row("sequences")
def cumulative_linear_attention() -> Program:
    def loss(p: Any, x: Any) -> Any:
        q, k, v = (x @ p[n] for n in "qkv")
        q, k = jax.nn.elu(q) + 1, jax.nn.elu(k) + 1
        memory = jnp.cumsum(k[:, :, None] * v[:, None], 0)
        scale = jnp.cumsum(k, 0)
        return jnp.mean((jnp.einsum("td,tde->te", q, memory) / jnp.sum(q * scale, -1, keepdims=True)) ** 2)

    return graded(loss, {n: f(3, 2) for n in "kqv"}, f(4, 3))


@row("sequences")
def rnn_batched_by_vmap_of_scan() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        def one(x: Any) -> Any:
            return lax.scan(lambda h, x: (jnp.tanh(p["x"] @ x + p["h"] @ h), None), jnp.zeros(3), x)[0]

        return jnp.mean((jax.vmap(one)(x) @ p["out"] - y) ** 2)

    return graded(loss, {"h": f(3, 3), "out": f(3), "x": f(3, 2)}, f(4, 3, 2), f(4))


# -- tokens ----------------------------------------------------------------------------------------------------------


def block_params(d: int, hidden: int) -> dict[str, Any]:
    """Of a transformer block."""
    return {
        "fc": mlp(d, hidden)[0], "n1": (f(d), f(d)), "n2": (f(d), f(d)), "out": mlp(d, d)[0], "proj": mlp(hidden, d)[0],
        "qkv": mlp(d, 3 * d)[0],
    }  # fmt: skip


def block(p: Any, x: Any, heads: int, mask: Any = None, act: Any = jax.nn.gelu) -> Any:
    """Pre-norm attention and feed-forward."""
    b, t, d = x.shape
    q, k, v = (a.reshape(b, t, heads, d // heads) for a in jnp.split(dense(p["qkv"], norm(x, p["n1"])), 3, -1))
    x = x + dense(p["out"], attention(q, k, v, mask).reshape(b, t, d))
    return x + dense(p["proj"], act(dense(p["fc"], norm(x, p["n2"]))))


@row("tokens")
def gpt2_train_step() -> Program:
    def loss(p: Any, tokens: Any) -> Any:
        x, y = tokens[:, :-1], tokens[:, 1:]
        h = p["wte"][x] + p["wpe"][jnp.arange(x.shape[1])]
        mask = jnp.tril(jnp.ones((4, 4), bool))
        for each in p["blocks"]:
            h = block(each, h, 2, mask)
        return picked(norm(h, p["norm"]) @ p["wte"].T, y)

    p = {"blocks": [block_params(4, 8)] * 2, "norm": (f(4), f(4)), "wpe": f(4, 4), "wte": f(7, 4)}
    return graded(loss, p, i(2, 5), ids=7)


@row("tokens")
def gpt2_scanned_blocks() -> Program:
    def loss(p: Any, tokens: Any) -> Any:
        h = p["wte"][tokens[:, :-1]]
        mask = jnp.tril(jnp.ones((3, 3), bool))
        h, _ = lax.scan(jax.checkpoint(lambda h, q: (block(q, h, 2, mask), None)), h, p["blocks"])
        return picked(h @ p["wte"].T, tokens[:, 1:])

    stacked = jax.tree.map(lambda s: f(2, *s.shape), block_params(4, 6))
    return graded(loss, {"blocks": stacked, "wte": f(5, 4)}, i(1, 4), ids=5)


@row("tokens")
def gpt_with_dropout() -> Program:
    def loss(p: Any, key: Any, tokens: Any) -> Any:
        keys = jax.random.split(key, 2)
        h = p["wte"][tokens[:, :-1]]
        h = jnp.where(jax.random.bernoulli(keys[0], 0.9, h.shape), h / 0.9, 0.0)
        h = block(p["block"], h, 2, jnp.tril(jnp.ones((3, 3), bool)))
        h = jnp.where(jax.random.bernoulli(keys[1], 0.9, h.shape), h / 0.9, 0.0)
        return picked(h @ p["head"], tokens[:, 1:])

    p = {"block": block_params(4, 6), "head": f(4, 5), "wte": f(5, 4)}
    return graded(loss, p, KEY, i(2, 4), ids=5)


@row("tokens")
def llama_block() -> Program:
    def rms(x: Any, w: Any) -> Any:
        return x * lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6) * w

    def rotate(x: Any) -> Any:
        t = jnp.arange(x.shape[1])[:, None]
        angle = t / 10000.0 ** (jnp.arange(0, x.shape[-1], 2) / x.shape[-1])
        cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
        a, b = x[..., ::2], x[..., 1::2]
        return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)

    def loss(p: Any, x: Any, y: Any) -> Any:
        h = rms(x, p["n1"])
        q, k, v = (h @ p["q"]).reshape(1, 3, 4, 2), (h @ p["k"]).reshape(1, 3, 2, 2), (h @ p["v"]).reshape(1, 3, 2, 2)
        k, v = jnp.repeat(rotate(k), 2, 2), jnp.repeat(v, 2, 2)
        x = x + attention(rotate(q), k, v, jnp.tril(jnp.ones((3, 3), bool))).reshape(1, 3, 8) @ p["o"]
        h = rms(x, p["n2"])
        return jnp.mean((x + (jax.nn.silu(h @ p["gate"]) * (h @ p["up"])) @ p["down"] - y) ** 2)

    p = {"down": f(6, 8), "gate": f(8, 6), "k": f(8, 4), "n1": f(8), "n2": f(8), "o": f(8, 8), "q": f(8, 8),
         "up": f(8, 6), "v": f(8, 4)}  # fmt: skip
    return graded(loss, p, f(1, 3, 8), f(1, 3, 8))


@row("tokens")
def vit_train_step() -> Program:
    def loss(p: Any, images: Any, labels: Any) -> Any:
        h = conv(images, p["patch"], 4, "VALID").reshape(2, 4, 4)
        h = jnp.concatenate([jnp.broadcast_to(p["cls"], (2, 1, 4)), h], 1) + p["pos"]
        for each in p["blocks"]:
            h = block(each, h, 2)
        return picked(dense(p["head"], norm(h[:, 0], p["norm"])), labels)

    p = {"blocks": [block_params(4, 8)], "cls": f(4), "head": mlp(4, 3)[0], "norm": (f(4), f(4)),
         "patch": f(4, 4, 1, 4), "pos": f(5, 4)}  # fmt: skip
    return graded(loss, p, f(2, 8, 8, 1), i(2), ids=3)


@row("tokens")
def bert_masked_tokens() -> Program:
    def loss(p: Any, ids: Any, types: Any, labels: Any, mask: Any) -> Any:
        h = norm(p["tok"][ids] + p["pos"][:4] + p["type"][types], p["norm"])
        h = block(p["block"], h, 2, (mask > 0)[:, None, None, :], lambda x: jax.nn.gelu(x, approximate=False))
        each = -jnp.take_along_axis(jax.nn.log_softmax(h @ p["tok"].T), labels[..., None], -1)[..., 0]
        weight = (labels > 0).astype(jnp.float32)
        return jnp.sum(each * weight) / (jnp.sum(weight) + 1e-6)

    p = {"block": block_params(4, 6), "norm": (f(4), f(4)), "pos": f(6, 4), "tok": f(5, 4), "type": f(2, 4)}
    return graded(loss, p, i(2, 4), i(2, 4), i(2, 4), i(2, 4), ids=2)


@row("tokens")
def dot_product_attention_of_jax() -> Program:
    def loss(p: Any, x: Any) -> Any:
        q, k, v = (jnp.einsum("btd,dhe->bthe", x, p[n]) for n in "qkv")
        return jnp.mean(jax.nn.dot_product_attention(q, k, v, is_causal=True) ** 2)

    return graded(loss, {n: f(4, 2, 2) for n in "kqv"}, f(1, 3, 4))


@row("tokens")
def alibi_attention() -> Program:
    def loss(p: Any, x: Any) -> Any:
        q, k, v = jnp.split(x @ p, 3, -1)
        gap = jnp.arange(4)[None] - jnp.arange(4)[:, None]
        score = q @ k.T / 2.0 + jnp.where(gap <= 0, 0.25 * gap, -jnp.inf)
        return jnp.mean((jax.nn.softmax(score) @ v) ** 2)

    return graded(loss, f(3, 9), f(4, 3))


@row("tokens")
def cross_attention_translator() -> Program:
    def loss(p: Any, source: Any, target: Any) -> Any:
        s, t = p["emb"][source], p["emb"][target[:, :-1]]
        q, k, v = t @ p["q"], s @ p["k"], s @ p["v"]
        w = jax.nn.softmax(jnp.einsum("btd,bsd->bts", q, k) / 2)
        return picked((t + jnp.einsum("bts,bsd->btd", w, v)) @ p["emb"].T, target[:, 1:])

    return graded(loss, {"emb": f(6, 4), "k": f(4, 4), "q": f(4, 4), "v": f(4, 4)}, i(2, 3), i(2, 4), ids=6)


@row("tokens")
def mixture_of_experts_top_k() -> Program:
    def loss(p: Any, x: Any) -> Any:
        values, chosen = lax.top_k(x @ p["gate"], 2)
        weights = jax.nn.softmax(values)
        each = jnp.tanh(jnp.einsum("td,edf->tef", x, p["experts"]))
        picked_ = jnp.take_along_axis(each, chosen[..., None], 1)
        return jnp.mean(jnp.sum(weights[..., None] * picked_, 1) ** 2)

    return graded(loss, {"experts": f(3, 4, 2), "gate": f(4, 3)}, f(5, 4))


@row("tokens")
def window_attention_rolled() -> Program:
    def loss(p: Any, x: Any) -> Any:
        h = jnp.roll(x, (-1, -1), (1, 2)).reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(4, 4, 3)
        q, k, v = jnp.split(h @ p["qkv"], 3, -1)
        h = jax.nn.softmax(q @ k.swapaxes(-1, -2) / np.sqrt(3) + p["bias"]) @ v
        h = h.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(1, 4, 4, 3)
        return jnp.mean((jnp.roll(h, (1, 1), (1, 2)) + x) ** 2)

    return graded(loss, {"bias": f(4, 4), "qkv": f(3, 9)}, f(1, 4, 4, 3))


@row("tokens")
def mlp_mixer() -> Program:
    def loss(p: Any, x: Any) -> Any:
        h = norm(x, p["n1"]).swapaxes(1, 2)
        x = x + dense(p["t2"], jax.nn.gelu(dense(p["t1"], h))).swapaxes(1, 2)
        return jnp.mean((x + dense(p["c2"], jax.nn.gelu(dense(p["c1"], norm(x, p["n2"]))))) ** 2)

    n = (f(4), f(4))
    p = {"c1": mlp(4, 5)[0], "c2": mlp(5, 4)[0], "n1": n, "n2": n, "t1": mlp(3, 5)[0], "t2": mlp(5, 3)[0]}
    return graded(loss, p, f(2, 3, 4))


@row("tokens")
def mixed_precision_bf16() -> Program:
    def loss(p: Any, x: Any, labels: Any) -> Any:
        p, x = jax.tree.map(lambda v: v.astype(jnp.bfloat16), (p, x))
        logits = dense(p[1], jax.nn.relu(dense(p[0], x))).astype(jnp.float32)
        return picked(logits, labels)

    return graded(loss, mlp(4, 5, 3), f(4, 4), i(4), ids=3)


@row("tokens")
def bf16_products_f32_sums() -> Program:
    def loss(w: Any, x: Any) -> Any:
        y = lax.dot_general(
            x.astype(jnp.bfloat16), w.astype(jnp.bfloat16), (((1,), (0,)), ((), ())),
            preferred_element_type=jnp.float32,
        )  # fmt: skip
        return jnp.mean(jnp.tanh(y) ** 2)

    return graded(loss, f(4, 3), f(5, 4))


@row("tokens")
def f16_with_loss_scale() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        half = jax.tree.map(lambda v: v.astype(jnp.float16), p)
        out = dense(half, x.astype(jnp.float16)).astype(jnp.float32)
        return 1024.0 * jnp.mean((out - y) ** 2)

    return graded(loss, mlp(4, 3)[0], f(5, 4), f(5, 3))


@row("tokens")
def embedding_bag_take_and_update() -> Program:
    def loss(p: Any, ids: Any, y: Any) -> Any:
        bag = jnp.zeros((3, 4)).at[:, 1:].add(jnp.take(p["emb"], ids, axis=0).mean(1) @ p["w"])
        return jnp.mean((bag.at[0].set(0.0) - y) ** 2)

    return graded(loss, {"emb": f(6, 4), "w": f(4, 3)}, i(3, 5), f(3, 4), ids=6)


@row("tokens")
def kv_cache_dynamic_update() -> Program:
    def loss(p: Any, cache: Any, at: Any, x: Any) -> Any:
        cache = lax.dynamic_update_slice(cache, (x @ p["k"])[None], (at, jnp.zeros_like(at)))
        weight = jax.nn.softmax(cache @ (x @ p["q"]))
        return jnp.sum((weight @ cache) ** 2)

    return graded(loss, {"k": f(3, 4), "q": f(3, 4)}, f(5, 4), i(), f(3), ids=5)


@row("tokens")
def positions_by_dynamic_slice() -> Program:
    def loss(p: Any, offset: Any, tokens: Any) -> Any:
        h = p["tok"][tokens] + lax.dynamic_slice_in_dim(p["pos"], offset, 3)
        return jnp.mean(jnp.tanh(h @ p["out"]) ** 2)

    return graded(loss, {"out": f(4, 2), "pos": f(8, 4), "tok": f(5, 4)}, i(), i(2, 3), ids=5)


@row("tokens")
def einsum_bilinear_pooling() -> Program:
    def loss(p: Any, a: Any, b: Any) -> Any:
        z = jnp.einsum("bi,bj,ijk->bk", a @ p["a"], b @ p["b"], p["t"])
        return jnp.mean(jnp.sign(z) * jnp.sqrt(jnp.abs(z) + 1e-3))

    return graded(loss, {"a": f(3, 2), "b": f(3, 2), "t": f(2, 2, 3)}, f(4, 3), f(4, 3))


@row("tokens")
def straight_fft_mixing() -> Program:
    def loss(w: Any, x: Any) -> Any:
        return jnp.mean((jnp.fft.fft(x, axis=1).real @ w) ** 2)

    return graded(loss, f(4, 2), f(2, 4, 4))


@row("tokens")
def linear_solve_of_a_small_system() -> Program:
    return graded(lambda a, b: jnp.sum(jnp.linalg.inv(jnp.eye(2) * 3 + a) @ b), f(2, 2), f(2))


@row("tokens")
def spectral_norm_given_vectors() -> Program:
    def loss(w: Any, u: Any, v: Any, x: Any) -> Any:
        return jnp.mean((x @ (w / (u @ w @ v))) ** 2)

    return graded(loss, f(3, 4), f(3), f(4), f(5, 3))


@row("tokens")
def weight_norm() -> Program:
    def loss(p: Any, x: Any) -> Any:
        w = p["g"] * p["v"] / jnp.linalg.norm(p["v"], axis=0)
        return jnp.mean(jax.nn.relu(x @ w) ** 2)

    return graded(loss, {"g": f(3), "v": f(4, 3)}, f(5, 4))


@row("tokens")
def vmapped_ensemble() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        out = jax.vmap(lambda q: dense(q[1], jnp.tanh(dense(q[0], x))))(p)
        return jnp.mean((out - y) ** 2)

    p = jax.tree.map(lambda s: f(3, *s.shape), mlp(2, 4, 1))
    return graded(loss, p, f(5, 2), f(5, 1))
