"""Nets of tokens: attention in its many spellings, mixtures, mixed precision."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foreign.parts import attention, conv, norm, picked
from foreign.row import KEY, Program, dense, f, graded, i, mlp, row


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
