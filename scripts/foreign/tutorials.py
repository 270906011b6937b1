"""Steps as tutorials of JAX write them: plain functions, lists and dictionaries of arrays, `jax.grad`."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.example_libraries import optimizers, stax
from jax.scipy.special import logsumexp

from foreign.row import KEY, Program, dense, f, graded, i, mlp, row, stepped


@row("tutorial")
def linear_regression() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean((x @ p["w"] + p["b"] - y) ** 2)

    return graded(loss, {"b": f(), "w": f(3)}, f(8, 3), f(8))


@row("tutorial")
def logistic_regression() -> Program:
    def loss(w: Any, b: Any, x: Any, y: Any) -> Any:
        p = 0.5 * (jnp.tanh((x @ w + b) / 2) + 1)
        return -jnp.sum(jnp.log(p * y + (1 - p) * (1 - y)))

    step = jax.value_and_grad(loss, argnums=(0, 1))
    return stepped(step, f(3), f(), f(4, 3), f(4), pairs=[(0, 1), (1, 2)])


@row("tutorial")
def mnist_from_scratch() -> Program:
    def predict(p: Any, image: Any) -> Any:
        h = image
        for w, b in p[:-1]:
            h = jnp.maximum(0, jnp.dot(w, h) + b)
        logits = jnp.dot(p[-1][0], h) + p[-1][1]
        return logits - logsumexp(logits)

    def loss(p: Any, images: Any, targets: Any) -> Any:
        return -jnp.mean(jax.vmap(predict, in_axes=(None, 0))(p, images) * targets)

    return graded(loss, [(f(5, 8), f(5)), (f(4, 5), f(4))], f(6, 8), f(6, 4))


@row("tutorial")
def mnist_stax() -> Program:
    _, apply = stax.serial(stax.Dense(6), stax.Relu, stax.Dense(5), stax.Relu, stax.Dense(3), stax.LogSoftmax)

    def loss(p: Any, batch: Any) -> Any:
        inputs, targets = batch
        return -jnp.mean(jnp.sum(apply(p, inputs) * targets, axis=1))

    p = [*[each for pair in mlp(7, 6, 5, 3) for each in (pair, ())], ()]
    return graded(loss, p, (f(4, 7), f(4, 3)))


@row("tutorial")
def resnet_stax() -> Program:
    def block(channels: int, strides: tuple[int, int] = (1, 1)) -> Any:
        main = stax.serial(
            stax.Conv(channels, (3, 3), strides, padding="SAME"), stax.BatchNorm(), stax.Relu,
            stax.Conv(channels, (3, 3), padding="SAME"), stax.BatchNorm(),
        )  # fmt: skip
        short = stax.serial(stax.Conv(channels, (1, 1), strides), stax.BatchNorm())
        return stax.serial(stax.FanOut(2), stax.parallel(main, short), stax.FanInSum, stax.Relu)

    init, apply = stax.serial(
        stax.GeneralConv(("NHWC", "HWIO", "NHWC"), 3, (3, 3), (1, 1), "SAME"), stax.BatchNorm(), stax.Relu,
        stax.MaxPool((2, 2), (2, 2)), block(4, (2, 2)), stax.AvgPool((2, 2)), stax.Flatten, stax.Dense(3),
        stax.LogSoftmax,
    )  # fmt: skip
    p = jax.eval_shape(lambda key: init(key, (2, 8, 8, 3))[1], KEY)
    return graded(lambda p, x, y: -jnp.mean(jnp.sum(apply(p, x) * y, axis=1)), p, f(2, 8, 8, 3), f(2, 3))


@row("tutorial")
def stax_momentum_step() -> Program:
    make, apply = stax.serial(stax.Dense(4), stax.Tanh, stax.Dense(2))
    init, update, get = optimizers.momentum(0.001, mass=0.9)
    state = jax.eval_shape(lambda key: init(make(key, (-1, 3))[1]), KEY)

    def step(count: Any, state: Any, x: Any, y: Any) -> Any:
        value, g = jax.value_and_grad(lambda p: jnp.mean((apply(p, x) - y) ** 2))(get(state))
        return value, g, update(count, g, state)

    pairs = [(1 + 2 * k, 1 + k) for k in range(4)]  # each parameter lies before its velocity
    return stepped(step, i(), state, f(4, 3), f(4, 2), pairs=pairs)


@row("tutorial")
def pytree_mlp_has_aux() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        *hidden, last = p
        for layer in hidden:
            x = jax.nn.relu(x @ layer["weights"] + layer["biases"])
        out = x @ last["weights"] + last["biases"]
        return jnp.mean((out - y) ** 2), {"mae": jnp.mean(jnp.abs(out - y)), "out": out}

    p = [{"biases": f(n), "weights": f(m, n)} for m, n in ((2, 5), (5, 5), (5, 1))]
    return graded(loss, p, f(6, 2), f(6, 1), aux=2)


@row("tutorial")
def classifier_with_accuracy() -> Program:
    def loss(p: Any, x: Any, labels: Any) -> Any:
        logits = dense(p[1], jax.nn.relu(dense(p[0], x)))
        accuracy = jnp.mean(jnp.argmax(logits, -1) == labels)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(4), labels]), accuracy

    return graded(loss, mlp(5, 6, 3), f(4, 5), i(4), aux=1, ids=3)


@row("tutorial")
def hinge_svm() -> Program:
    def loss(w: Any, b: Any, x: Any, y: Any) -> Any:
        return jnp.mean(jnp.clip(1 - y * (x @ w + b), min=0)) + 0.01 * jnp.dot(w, w)

    step = jax.value_and_grad(loss, (0, 1))
    return stepped(step, f(4), f(), f(6, 4), f(6), pairs=[(0, 1), (1, 2)])


@row("tutorial")
def softmax_regression_one_hot() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return -jnp.sum(jax.nn.one_hot(y, 3) * jnp.log(jax.nn.softmax(x @ p + 1e-3))) / x.shape[0]

    return graded(loss, f(4, 3), f(5, 4), i(5), ids=3)


@row("tutorial")
def polynomial_fit() -> Program:
    return graded(lambda c, x, y: jnp.mean((jnp.polyval(c, x) - y) ** 2), f(4), f(6), f(6))


@row("tutorial")
def rosenbrock() -> Program:
    return graded(lambda x: jnp.sum(100.0 * (x[1:] - x[:-1] ** 2.0) ** 2.0 + (1 - x[:-1]) ** 2.0), f(5))


@row("tutorial")
def matrix_factorisation() -> Program:
    def loss(p: Any, users: Any, items: Any, rating: Any) -> Any:
        u, v, bias = p
        return jnp.mean((jnp.sum(u[users] * v[items], -1) + bias - rating) ** 2) + 0.1 * (jnp.sum(u**2) + jnp.sum(v**2))

    return graded(loss, (f(5, 3), f(5, 3), f()), i(6), i(6), f(6), ids=5)


@row("tutorial")
def hessian_vector_product() -> Program:
    def energy(p: Any, x: Any) -> Any:
        return jnp.sum(jnp.tanh(x @ p) ** 3)

    def along(p: Any, x: Any, v: Any) -> Any:
        return jnp.vdot(jax.grad(energy)(p, x), v)

    return graded(along, f(3, 2), f(4, 3), f(3, 2))


@row("tutorial")
def forward_over_reverse() -> Program:
    def energy(p: Any) -> Any:
        return jnp.sum(jnp.sin(p) * jnp.roll(p, 1) ** 2)

    return graded(lambda p, v: jax.jvp(energy, (p,), (v,))[1], f(5), f(5))


@row("tutorial")
def maml() -> Program:
    def net(p: Any, x: Any) -> Any:
        return dense(p[1], jnp.tanh(dense(p[0], x)))

    def inner(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean((net(p, x) - y) ** 2)

    def outer(p: Any, x1: Any, y1: Any, x2: Any, y2: Any) -> Any:
        g = jax.grad(inner)(p, x1, y1)
        return inner(jax.tree.map(lambda a, b: a - 0.1 * b, p, g), x2, y2)

    return graded(outer, mlp(1, 3, 1), f(4, 1), f(4, 1), f(4, 1), f(4, 1))


@row("tutorial")
def maml_vmapped_tasks() -> Program:
    def inner(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean((jnp.sin(x @ p["w"]) @ p["v"] - y) ** 2)

    def task(p: Any, x: Any, y: Any) -> Any:
        g = jax.grad(inner)(p, x, y)
        return inner(jax.tree.map(lambda a, b: a - 0.01 * b, p, g), x, y)

    def outer(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean(jax.vmap(task, (None, 0, 0))(p, x, y))

    return graded(outer, {"v": f(3), "w": f(2, 3)}, f(3, 4, 2), f(3, 4))


@row("tutorial")
def physics_informed_net() -> Program:
    def u(p: Any, t: Any) -> Any:
        h = t[None]
        for w, b in p[:-1]:
            h = jnp.tanh(h @ w + b)
        return (h @ p[-1][0] + p[-1][1])[0]

    def loss(p: Any, t: Any) -> Any:
        residual = jax.vmap(lambda s: jax.grad(jax.grad(u, 1), 1)(p, s) + u(p, s))(t)
        return jnp.mean(residual**2) + (u(p, jnp.float32(0)) - 1) ** 2

    return graded(loss, mlp(1, 3, 3, 1), f(4))


@row("tutorial")
def neural_ode_rk4() -> Program:
    def field(p: Any, y: Any) -> Any:
        return jnp.tanh(y @ p["a"]) @ p["b"]

    def rk4(p: Any, y: Any, h: float) -> Any:
        k1 = field(p, y)
        k2 = field(p, y + h / 2 * k1)
        k3 = field(p, y + h / 2 * k2)
        k4 = field(p, y + h * k3)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def loss(p: Any, y0: Any, y1: Any) -> Any:
        y, _ = lax.scan(lambda y, _: (rk4(p, y, 0.1), None), y0, None, length=2)
        return jnp.mean((y - y1) ** 2)

    return graded(loss, {"a": f(2, 3), "b": f(3, 2)}, f(3, 2), f(3, 2))


@row("tutorial")
def euler_by_fori_loop() -> Program:
    def loss(p: Any, y0: Any, target: Any) -> Any:
        y = lax.fori_loop(0, 4, lambda _, y: y + 0.1 * jnp.sin(y @ p), y0)
        return jnp.sum((y - target) ** 2)

    return graded(loss, f(2, 2), f(3, 2), f(3, 2))


@row("tutorial")
def newton_sqrt_unrolled() -> Program:
    def loss(a: Any, y: Any) -> Any:
        x = a
        for _ in range(3):
            x = 0.5 * (x + a / x)
        return jnp.sum((x - y) ** 2)

    return graded(loss, f(4), f(4))


@row("tutorial")
def checkpointed_layers() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        for each in p:
            x = jax.checkpoint(lambda p, x: jnp.sin(dense(p, x)))(each, x)
        return jnp.mean((x - y) ** 2)

    return graded(loss, mlp(3, 4, 4, 2), f(5, 3), f(5, 2))


@row("tutorial")
def remat_with_policy_over_scan() -> Program:
    @partial(jax.checkpoint, policy=jax.checkpoint_policies.dots_saveable)
    def layer(x: Any, w: Any) -> Any:
        return jax.nn.gelu(x @ w) + x, None

    def loss(w: Any, x: Any) -> Any:
        return jnp.sum(lax.scan(layer, x, w)[0] ** 2)

    return graded(loss, f(3, 4, 4), f(2, 4))


@row("tutorial")
def custom_jvp_log1pexp() -> Program:
    @jax.custom_jvp
    def log1pexp(x: Any) -> Any:
        return jnp.log(1.0 + jnp.exp(x))

    @log1pexp.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        return log1pexp(x), (1 - 1 / (1 + jnp.exp(x))) * t

    return graded(lambda p, x: jnp.mean(log1pexp(x @ p)), f(3, 2), f(4, 3))


@row("tutorial")
def custom_vjp_product() -> Program:
    @jax.custom_vjp
    def product(x: Any, y: Any) -> Any:
        return jnp.sin(x) * y

    product.defvjp(lambda x, y: (product(x, y), (jnp.cos(x), jnp.sin(x), y)), lambda r, g: (r[0] * g * r[2], r[1] * g))
    step = jax.value_and_grad(lambda x, y: jnp.sum(product(x, y) ** 2), (0, 1))
    return stepped(step, f(4), f(4), pairs=[(0, 1), (1, 2)])


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


@row("tutorial")
def gradient_of_a_sorted_loss() -> Program:
    return graded(lambda p, x: jnp.sum(jnp.sort(x @ p) * jnp.arange(1.0, 6.0)), f(3), f(5, 3))


@row("tutorial")
def quantile_and_median() -> Program:
    return graded(lambda p, x: jnp.median(x @ p) + jnp.quantile((x @ p) ** 2, 0.25), f(3), f(6, 3))


@row("tutorial")
def low_rank_adapter() -> Program:
    def loss(p: Any, w: Any, x: Any, y: Any) -> Any:
        return jnp.mean((x @ w + (x @ p["a"]) @ p["b"] * (8 / 2) - y) ** 2)

    return graded(loss, {"a": f(4, 2), "b": f(2, 3)}, f(4, 3), f(5, 4), f(5, 3))


@row("tutorial")
def frozen_trunk() -> Program:
    def loss(head: Any, trunk: Any, x: Any, y: Any) -> Any:
        h = lax.stop_gradient(jax.nn.relu(dense(trunk, x)))
        return jnp.mean((dense(head, h) - y) ** 2)

    return graded(loss, mlp(4, 2)[0], mlp(3, 4)[0], f(5, 3), f(5, 2))


@row("tutorial")
def cond_on_a_flag() -> Program:
    def loss(p: Any, flag: Any, x: Any) -> Any:
        h = lax.cond(flag > 0, lambda h: jnp.tanh(h @ p), lambda h: (h @ p) ** 2, x)
        return jnp.sum(h)

    return graded(loss, f(3, 2), i(), f(4, 3), ids=2)


@row("tutorial")
def switch_of_experts() -> Program:
    def loss(p: Any, which: Any, x: Any) -> Any:
        return jnp.mean(lax.switch(which, [lambda h, k=k: jnp.sin(h @ p[k]) for k in range(3)], x) ** 2)

    return graded(loss, f(3, 2, 2), i(), f(4, 2), ids=3)


@row("tutorial")
def power_iteration_while() -> Program:
    def loss(p: Any, v: Any) -> Any:
        a = p @ p.T
        v = lax.fori_loop(0, 3, lambda _, v: a @ v / jnp.linalg.norm(a @ v), v)
        return v @ a @ v / (v @ v)

    return graded(loss, f(3, 3), f(3))


@row("tutorial")
def batch_norm_with_running_stats() -> Program:
    def loss(p: Any, stats: Any, x: Any, y: Any) -> Any:
        h = dense(p["in"], x)
        mean, var = jnp.mean(h, 0), jnp.var(h, 0)
        fresh = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, stats, (mean, var))
        h = (h - mean) / jnp.sqrt(var + 1e-5) * p["scale"] + p["shift"]
        return jnp.mean((dense(p["out"], jax.nn.relu(h)) - y) ** 2), fresh

    p = {"in": mlp(3, 4)[0], "out": mlp(4, 2)[0], "scale": f(4), "shift": f(4)}
    return graded(loss, p, (f(4), f(4)), f(6, 3), f(6, 2), aux=2)


@row("tutorial")
def gradient_accumulation_over_scan() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.mean((jnp.tanh(x @ p["w"]) @ p["v"] - y) ** 2)

    def step(p: Any, xs: Any, ys: Any) -> Any:
        def part(carry: Any, batch: Any) -> Any:
            value, g = jax.value_and_grad(loss)(p, *batch)
            return jax.tree.map(jnp.add, carry, (value, g)), None

        zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, p))
        total, _ = lax.scan(part, zero, (xs, ys))
        return jax.tree.map(lambda v: v / 3, total)

    return stepped(step, {"v": f(4), "w": f(2, 4)}, f(3, 5, 2), f(3, 5), pairs=[(0, 1), (1, 2)])


@row("tutorial")
def vjp_called_by_hand() -> Program:
    def step(w: Any, v: Any, x: Any, y: Any) -> Any:
        out, pull = jax.vjp(lambda w, v: jnp.tanh(x @ w) @ v, w, v)
        gap = out - y
        return (jnp.sum(gap**2), *pull(2 * gap))

    return stepped(step, f(3, 4), f(4, 2), f(5, 3), f(5, 2), pairs=[(0, 1), (1, 2)])


@row("tutorial")
def jacobian_by_vmap_summed() -> Program:
    def loss(p: Any, x: Any) -> Any:
        return jnp.sum(jax.jacfwd(lambda v: jnp.tanh(v @ p))(x) ** 2)

    return graded(loss, f(3, 2), f(3))


@row("tutorial")
def mean_of_per_example_gradients() -> Program:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return jnp.square(jnp.dot(jnp.sin(x @ p["w"]), p["v"]) - y)

    def step(p: Any, x: Any, y: Any) -> Any:
        values, g = jax.vmap(jax.value_and_grad(loss), (None, 0, 0))(p, x, y)
        return values.mean(), jax.tree.map(lambda v: v.mean(0), g)

    return stepped(step, {"v": f(4), "w": f(3, 4)}, f(5, 3), f(5), pairs=[(0, 1), (1, 2)])
