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
