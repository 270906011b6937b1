"""Recurrent nets, scans and recurrences."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from foreign.parts import picked
from foreign.row import Program, f, graded, i, row


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
