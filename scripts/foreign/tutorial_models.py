"""The models that JAX tutorials train: with noise, generative, of rewards, graphs, sets and scenes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import logsumexp

from foreign.row import KEY, Program, dense, f, graded, i, mlp, row


@row("tutorial")
def dropout_by_bernoulli() -> Program:
    def loss(p: Any, key: Any, x: Any, y: Any) -> Any:
        h = jax.nn.relu(dense(p[0], x))
        keep = jax.random.bernoulli(key, 0.8, h.shape)
        return jnp.mean((dense(p[1], jnp.where(keep, h / 0.8, 0)) - y) ** 2)

    return graded(loss, mlp(4, 6, 2), KEY, f(5, 4), f(5, 2))


@row("tutorial")
def dropout_with_a_typed_key() -> Program:
    def loss(p: Any, seed: Any, x: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(0), seed)
        first, second = jax.random.split(key)
        h = jnp.tanh(dense(p[0], x)) * jax.random.bernoulli(first, 0.5, (5, 4)) * 2
        h = h + 0.1 * jax.random.uniform(second, (5, 4))
        return jnp.sum(dense(p[1], h) ** 2)

    return graded(loss, mlp(3, 4, 1), i(), f(5, 3))


@row("tutorial")
def reparameterised_vae() -> Program:
    def loss(p: Any, key: Any, x: Any) -> Any:
        h = jax.nn.relu(dense(p["enc"], x))
        mu, logvar = dense(p["mu"], h), dense(p["var"], h)
        z = mu + jnp.exp(0.5 * logvar) * jax.random.normal(key, mu.shape)
        logits = dense(p["dec"], z)
        bce = -jnp.sum(x * jax.nn.log_sigmoid(logits) + (1 - x) * jax.nn.log_sigmoid(-logits), -1)
        kl = -0.5 * jnp.sum(1 + logvar - mu**2 - jnp.exp(logvar), -1)
        return jnp.mean(bce + kl)

    (p,), (m,), (v,), (d,) = mlp(6, 5), mlp(5, 2), mlp(5, 2), mlp(2, 6)
    return graded(loss, {"dec": d, "enc": p, "mu": m, "var": v}, KEY, f(3, 6))


@row("tutorial")
def vae_with_given_noise() -> Program:
    def loss(p: Any, eps: Any, x: Any) -> Any:
        mu, logvar = jnp.split(dense(p[0], x), 2, axis=-1)
        out = jax.nn.sigmoid(dense(p[1], mu + jnp.exp(logvar / 2) * eps))
        return jnp.sum((out - x) ** 2) - 0.5 * jnp.sum(1 + logvar - jnp.square(mu) - jnp.exp(logvar))

    return graded(loss, [mlp(4, 4)[0], mlp(2, 4)[0]], f(3, 2), f(3, 4))


@row("tutorial")
def gaussian_mixture_likelihood() -> Program:
    def loss(p: Any, x: Any) -> Any:
        z = (x[:, None] - p["mu"]) / jnp.exp(p["logs"])
        each = jax.nn.log_softmax(p["logits"]) + jnp.sum(-0.5 * z**2 - p["logs"] - 0.5 * jnp.log(2 * jnp.pi), -1)
        return -jnp.mean(logsumexp(each, axis=1))

    return graded(loss, {"logits": f(3), "logs": f(3, 2), "mu": f(3, 2)}, f(5, 2))


@row("tutorial")
def mixture_density_net() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        h = jnp.tanh(dense(p[0], x))
        logits, mu, logs = jnp.split(dense(p[1], h), 3, -1)
        each = jax.nn.log_softmax(logits) + jax.scipy.stats.norm.logpdf(y, mu, jnp.exp(logs))
        return -jnp.mean(logsumexp(each, -1))

    return graded(loss, mlp(2, 5, 6), f(4, 2), f(4, 1))


@row("tutorial")
def gaussian_process_by_inverse() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        gap = jnp.sum((x[:, None] - x[None]) ** 2, -1)
        k = jnp.exp(p["amp"]) * jnp.exp(-gap * jnp.exp(p["len"])) + 0.1 * jnp.eye(4)
        return 0.5 * y @ jnp.linalg.solve(k, y) + 0.5 * jnp.linalg.slogdet(k)[1]

    return graded(loss, {"amp": f(), "len": f()}, f(4, 2), f(4))


@row("tutorial")
def rbf_kernel_ridge() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        k = jnp.exp(-jnp.sum((x[:, None] - p["c"][None]) ** 2, -1) / (2 * p["s"] ** 2))
        return jnp.mean((k @ p["a"] - y) ** 2) + 1e-3 * p["a"] @ p["a"]

    return graded(loss, {"a": f(3), "c": f(3, 2), "s": f()}, f(5, 2), f(5))


@row("tutorial")
def reinforce() -> Program:
    def loss(p: Any, states: Any, actions: Any, returns: Any) -> Any:
        logp = jax.nn.log_softmax(dense(p[1], jnp.tanh(dense(p[0], states))))
        return -jnp.mean(jnp.take_along_axis(logp, actions[:, None], 1)[:, 0] * returns)

    return graded(loss, mlp(3, 5, 2), f(6, 3), i(6), f(6), ids=2)


@row("tutorial")
def ppo_clipped_objective() -> Program:
    def loss(p: Any, states: Any, actions: Any, old: Any, adv: Any, target: Any) -> Any:
        h = jnp.tanh(dense(p[0], states))
        logp = jax.nn.log_softmax(dense(p[1], h))
        chosen = jnp.take_along_axis(logp, actions[:, None], 1).squeeze(1)
        ratio = jnp.exp(chosen - old)
        policy = -jnp.minimum(ratio * adv, jnp.clip(ratio, 0.8, 1.2) * adv).mean()
        entropy = -jnp.sum(jnp.exp(logp) * logp, -1).mean()
        value = 0.5 * jnp.mean((dense(p[2], h)[:, 0] - target) ** 2)
        return policy + 0.5 * value - 0.01 * entropy, (policy, value, entropy)

    p = [mlp(3, 4)[0], mlp(4, 2)[0], mlp(4, 1)[0]]
    return graded(loss, p, f(5, 3), i(5), f(5), f(5), f(5), aux=3, ids=2)


@row("tutorial")
def dqn_with_target_net() -> Program:
    def q(p: Any, s: Any) -> Any:
        return dense(p[1], jax.nn.relu(dense(p[0], s)))

    def loss(p: Any, target: Any, s: Any, a: Any, r: Any, s2: Any, done: Any) -> Any:
        best = lax.stop_gradient(jnp.max(q(target, s2), -1))
        return jnp.mean((q(p, s)[jnp.arange(4), a] - (r + 0.99 * (1 - done) * best)) ** 2)

    return graded(loss, mlp(3, 5, 2), mlp(3, 5, 2), f(4, 3), i(4), f(4), f(4, 3), f(4), ids=2)


@row("tutorial")
def gan_discriminator() -> Program:
    def d(p: Any, x: Any) -> Any:
        return dense(p[1], jax.nn.leaky_relu(dense(p[0], x), 0.2))

    def loss(p: Any, g: Any, z: Any, real: Any) -> Any:
        fake = jnp.tanh(dense(g, z))
        return jnp.mean(jax.nn.softplus(-d(p, real))) + jnp.mean(jax.nn.softplus(d(p, fake)))

    return graded(loss, mlp(4, 5, 1), mlp(2, 4)[0], f(3, 2), f(3, 4))


@row("tutorial")
def wgan_gradient_penalty() -> Program:
    def critic(p: Any, x: Any) -> Any:
        return dense(p[1], jnp.tanh(dense(p[0], x)))[0]

    def loss(p: Any, real: Any, fake: Any, t: Any) -> Any:
        mixed = t[:, None] * real + (1 - t[:, None]) * fake
        g = jax.vmap(jax.grad(critic, 1), (None, 0))(p, mixed)
        penalty = jnp.mean((jnp.sqrt(jnp.sum(g**2, -1)) - 1) ** 2)
        score = jax.vmap(critic, (None, 0))
        return jnp.mean(score(p, fake)) - jnp.mean(score(p, real)) + 10 * penalty

    return graded(loss, mlp(3, 4, 1), f(4, 3), f(4, 3), f(4))


@row("tutorial")
def word2vec_negative_sampling() -> Program:
    def loss(p: Any, centre: Any, context: Any, negative: Any) -> Any:
        v = p["in"][centre]
        good = jax.nn.log_sigmoid(jnp.sum(v * p["out"][context], -1))
        bad = jax.nn.log_sigmoid(-jnp.einsum("bd,bkd->bk", v, p["out"][negative])).sum(-1)
        return -jnp.mean(good + bad)

    return graded(loss, {"in": f(6, 3), "out": f(6, 3)}, i(4), i(4), i(4, 2), ids=6)


@row("tutorial")
def graph_convolution_segment_sum() -> Program:
    def loss(p: Any, nodes: Any, senders: Any, receivers: Any, y: Any) -> Any:
        h = nodes
        for each in p[:-1]:
            messages = dense(each, h)[senders]
            degree = jax.ops.segment_sum(jnp.ones(7), receivers, 5)
            h = jax.nn.relu(jax.ops.segment_sum(messages, receivers, 5) / jnp.maximum(degree, 1)[:, None])
        return jnp.mean((dense(p[-1], h.mean(0)) - y) ** 2)

    return graded(loss, mlp(3, 4, 4, 2), f(5, 3), i(7), i(7), f(2), ids=5)


@row("tutorial")
def graph_attention_segment_softmax() -> Program:
    def loss(p: Any, nodes: Any, senders: Any, receivers: Any, y: Any) -> Any:
        h = nodes @ p["w"]
        score = jax.nn.leaky_relu(h[senders] @ p["a"] + h[receivers] @ p["b"])
        top = jax.ops.segment_max(score, receivers, 4)
        e = jnp.exp(score - lax.stop_gradient(top)[receivers])
        weight = e / jax.ops.segment_sum(e, receivers, 4)[receivers]
        return jnp.mean((jax.ops.segment_sum(weight[:, None] * h[senders], receivers, 4) - y) ** 2)

    return graded(loss, {"a": f(3), "b": f(3), "w": f(2, 3)}, f(4, 2), i(6), i(6), f(4, 3), ids=4)


@row("tutorial")
def deep_sets_max() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean((dense(p[1], jnp.max(jnp.tanh(dense(p[0], x)), axis=1)) - y) ** 2)

    return graded(loss, mlp(2, 4, 1), f(3, 5, 2), f(3, 1))


@row("tutorial")
def infonce_clip() -> Program:
    def loss(p: Any, a: Any, b: Any) -> Any:
        u, v = a @ p["a"], b @ p["b"]
        u = u / jnp.linalg.norm(u, axis=-1, keepdims=True)
        v = v / jnp.linalg.norm(v, axis=-1, keepdims=True)
        logits = jnp.exp(p["t"]) * u @ v.T
        rows, columns = jax.nn.log_softmax(logits, 1), jax.nn.log_softmax(logits, 0)
        return -(jnp.mean(jnp.diag(rows)) + jnp.mean(jnp.diagonal(columns))) / 2

    return graded(loss, {"a": f(3, 4), "b": f(5, 4), "t": f()}, f(4, 3), f(4, 5))


@row("tutorial")
def triplet_margin() -> Program:
    def loss(p: Any, a: Any, b: Any, c: Any) -> Any:
        u, v, w = (jnp.tanh(dense(p, each)) for each in (a, b, c))
        near, far = jnp.sum((u - v) ** 2, -1), jnp.sum((u - w) ** 2, -1)
        return jnp.mean(jax.nn.relu(near - far + 0.5))

    return graded(loss, mlp(3, 2)[0], f(6, 3), f(6, 3), f(6, 3))


@row("tutorial")
def siren_positional() -> Program:
    def loss(p: Any, xy: Any, rgb: Any) -> Any:
        bands = 2.0 ** jnp.arange(3)
        h = (xy[..., None] * bands * jnp.pi).reshape(5, -1)
        h = jnp.concatenate([jnp.sin(h), jnp.cos(h)], -1)
        for each in p[:-1]:
            h = jnp.sin(30.0 * dense(each, h))
        return jnp.mean((dense(p[-1], h) - rgb) ** 2)

    return graded(loss, mlp(12, 4, 3), f(5, 2), f(5, 3))


@row("tutorial")
def volume_rendering_cumprod() -> Program:
    def loss(p: Any, points: Any, gap: Any, rgb: Any) -> Any:
        out = dense(p[1], jax.nn.relu(dense(p[0], points)))
        colour, density = jax.nn.sigmoid(out[..., :3]), jax.nn.relu(out[..., 3])
        alpha = 1 - jnp.exp(-density * gap)
        through = jnp.cumprod(1 - alpha + 1e-6, -1)
        through = jnp.concatenate([jnp.ones((2, 1)), through[:, :-1]], -1)
        return jnp.mean((jnp.sum((alpha * through)[..., None] * colour, 1) - rgb) ** 2)

    return graded(loss, mlp(3, 5, 4), f(2, 4, 3), f(2, 4), f(2, 3))


@row("tutorial")
def coupling_flow() -> Program:
    def loss(p: Any, x: Any) -> Any:
        total = 0.0
        for k, each in enumerate(p):
            a, b = (x[:, :2], x[:, 2:]) if k % 2 == 0 else (x[:, 2:], x[:, :2])
            shift, scale = jnp.split(dense(each[1], jnp.tanh(dense(each[0], a))), 2, 1)
            b = b * jnp.exp(scale) + shift
            total = total + scale.sum(1)
            x = jnp.concatenate([a, b] if k % 2 == 0 else [b, a], 1)
        return -jnp.mean(-0.5 * (x**2).sum(1) + total)

    return graded(loss, [mlp(2, 3, 4), mlp(2, 3, 4)], f(4, 4))


@row("tutorial")
def ddpm_noise_prediction() -> Program:
    def loss(p: Any, x0: Any, t: Any, noise: Any) -> Any:
        alpha = jnp.cumprod(1 - jnp.linspace(1e-4, 0.02, 10))[t][:, None]
        xt = jnp.sqrt(alpha) * x0 + jnp.sqrt(1 - alpha) * noise
        angle = t[:, None] * jnp.exp(jnp.arange(2) * -jnp.log(10000.0) / 2)
        h = jnp.concatenate([xt, jnp.sin(angle), jnp.cos(angle)], 1)
        return jnp.mean((dense(p[1], jax.nn.silu(dense(p[0], h))) - noise) ** 2)

    return graded(loss, mlp(7, 5, 3), f(4, 3), i(4), f(4, 3), ids=10)
