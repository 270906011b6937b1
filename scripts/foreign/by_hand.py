"""Backward passes written by hand in jax.numpy, as courses and blogs teach them, right and with the usual slips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from foreign.row import Program, add, f, i, stepped

FAMILY = "by hand"
Backward = Callable[..., Any]


def _two_layers(slip: str = "") -> Program:
    """Sigmoid units, half the squared error: the first network of every course."""

    def step(w1: Any, b1: Any, w2: Any, b2: Any, x: Any, y: Any) -> Any:
        def sigmoid(z: Any) -> Any:
            return 1 / (1 + jnp.exp(-z))

        n = x.shape[0]
        a1 = sigmoid(x @ w1 + b1)
        a2 = sigmoid(a1 @ w2 + b2)
        loss = jnp.sum((a2 - y) ** 2) / (2 * n)
        d2 = (a2 - y) * (a2 if slip == "derivative" else a2 * (1 - a2)) / n
        d1 = d2 @ w2.T * a1 * (1 - a1)
        db2 = d2.mean(0) if slip == "bias_mean" else d2.sum(0)
        dw1 = x.T @ d1 / (n if slip == "twice_by_n" else 1)
        dw2 = (a1 if slip != "wrong_input" else a1 * a1).T @ d2
        return loss, dw1, d1.sum(0), dw2, db2

    return stepped(step, f(3, 4), f(4), f(4, 2), f(2), f(5, 3), f(5, 2), pairs=[(k, 1 + k) for k in range(4)],
                   right=not slip)  # fmt: skip


def _softmax_classifier(slip: str = "") -> Program:
    """Softmax and cross-entropy: p minus the one-hot labels."""

    def step(w: Any, b: Any, x: Any, labels: Any) -> Any:
        z = x @ w + b
        z = z - jnp.max(z, -1, keepdims=True)
        p = jnp.exp(z) / jnp.sum(jnp.exp(z), -1, keepdims=True)
        y = jax.nn.one_hot(labels, 3)
        loss = -jnp.mean(jnp.sum(y * jnp.log(p), -1)) + 0.5 * 0.1 * jnp.sum(w * w)
        dz = (p - y) * (1 if slip == "not_by_n" else 1 / x.shape[0])
        if slip == "softmax_jacobian":
            dz = dz * p * (1 - p)
        return loss, x.T @ dz + (0.0 if slip == "no_decay" else 0.1) * w, dz.sum(0)

    return stepped(step, f(4, 3), f(3), f(5, 4), i(5), pairs=[(0, 1), (1, 2)], ids=3, right=not slip)


def _batch_norm(slip: str = "") -> Program:
    """The backward of batch norm through mean and variance."""

    def step(x: Any, gamma: Any, beta: Any, dy: Any) -> Any:
        n = x.shape[0]
        mean, var = x.mean(0), x.var(0)
        rstd = 1 / jnp.sqrt(var + 1e-5)
        xhat = (x - mean) * rstd
        loss = jnp.sum(dy * (gamma * xhat + beta))
        g = dy * gamma
        if slip == "constant_statistics":
            dx = g * rstd
        elif slip == "no_variance":
            dx = rstd * (g - g.mean(0))
        else:
            dx = rstd / n * (n * g - g.sum(0) - xhat * jnp.sum(g * xhat, 0))
        dgamma = jnp.sum(dy * (x if slip == "not_normalised" else xhat), 0)
        return loss, dx, dgamma, dy.sum(0)

    return stepped(step, f(6, 3), f(3), f(3), f(6, 3), pairs=[(0, 1), (1, 2), (2, 3)], right=not slip)


def _attention(slip: str = "") -> Program:
    """The backward of one head."""

    def step(q: Any, k: Any, v: Any, dy: Any) -> Any:
        scale = 1 / jnp.sqrt(jnp.float32(4))
        p = jax.nn.softmax(q @ k.T * scale)
        loss = jnp.sum(dy * (p @ v))
        dp = dy @ v.T
        ds = p * (dp - jnp.sum(dp * p, -1, keepdims=True)) if slip != "diagonal" else p * (1 - p) * dp
        dq = ds @ k * (1.0 if slip == "no_scale" else scale)
        dk = (ds if slip == "not_transposed" else ds.T) @ q * scale
        return loss, dq, dk, p.T @ dy

    return stepped(step, f(3, 4), f(3, 4), f(3, 4), f(3, 4), pairs=[(0, 1), (1, 2), (2, 3)], right=not slip)


def _rnn(slip: str = "") -> Program:
    """Back-propagation through time, unrolled."""

    def step(wx: Any, wh: Any, x: Any, y: Any) -> Any:
        hs = [jnp.zeros((2, 3))]
        for t in range(3):
            hs.append(jnp.tanh(x[t] @ wx + hs[-1] @ wh))
        loss = jnp.sum((hs[-1] - y) ** 2)
        dwx, dwh, dh = jnp.zeros_like(wx), jnp.zeros_like(wh), 2 * (hs[-1] - y)
        for t in reversed(range(3)):
            dz = dh * (1 - hs[t + 1] ** 2)
            dwx, dwh = dwx + x[t].T @ dz, dwh + hs[t + 1 if slip == "next_state" else t].T @ dz
            if slip == "truncated" and t == 2:
                break
            dh = dz @ wh.T
        return loss, dwx, dwh

    return stepped(step, f(2, 3), f(3, 3), f(3, 2, 2), f(2, 3), pairs=[(0, 1), (1, 2)], right=not slip)


def _conv_by_patches(slip: str = "") -> Program:
    """im2col, as a course's convolution does it, with relu and a mean over places."""

    def step(w: Any, x: Any, y: Any) -> Any:
        rows = jnp.stack([x[:, a : a + 3, b : b + 3].reshape(2, -1) for a in range(2) for b in range(2)], 1)
        z = rows @ w.reshape(9, 2)
        loss = jnp.sum((jnp.maximum(z, 0).mean(1) - y) ** 2)
        dz = 2 * (jnp.maximum(z, 0).mean(1) - y)[:, None] / (1 if slip == "no_quarter" else 4) * (z > 0)
        dw = jnp.einsum("npk,npo->ko", rows, dz).reshape(3, 3, 2)
        return loss, dw[::-1, ::-1] if slip == "flipped" else dw

    return stepped(step, f(3, 3, 2), f(2, 4, 4), f(2, 2), pairs=[(0, 1)], right=not slip)


def _layer_norm(slip: str = "") -> Program:
    """The backward of layer norm, and of its scale."""

    def step(x: Any, gamma: Any, dy: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        rstd = jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        xhat = centred * rstd
        loss = jnp.sum(dy * gamma * xhat)
        g = dy * gamma
        inner = g.mean(-1, keepdims=True) + (0 if slip == "no_variance" else xhat * (g * xhat).mean(-1, keepdims=True))
        return loss, rstd * (g - inner), (dy * xhat).sum(0)

    return stepped(step, f(4, 5), f(5), f(4, 5), pairs=[(0, 1), (1, 2)], right=not slip)


SLIPS = {
    _two_layers: ("derivative", "bias_mean", "twice_by_n", "wrong_input"),
    _softmax_classifier: ("not_by_n", "softmax_jacobian", "no_decay"),
    _batch_norm: ("constant_statistics", "no_variance", "not_normalised"),
    _attention: ("diagonal", "no_scale", "not_transposed"),
    _rnn: ("next_state", "truncated"),
    _conv_by_patches: ("no_quarter", "flipped"),
    _layer_norm: ("no_variance",),
}
for _make, _slips in SLIPS.items():
    for _slip in ("", *_slips):
        name = f"hand{_make.__name__}" + (f"-{_slip}" if _slip else "")
        add(FAMILY, name, lambda make=_make, slip=_slip: make(slip))  # type: ignore[misc]
