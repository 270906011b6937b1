"""The module: its state and manifest, and a training step against one written a second time in JAX."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.find import find
from netc.netspec.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool, MaxPool, Residual
from netc.netspec.loss import CrossEntropy, Dice
from netc.netspec.recipe import SGD, Adam, Recipe
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from tests.codegen.witness import module_of
from tests.netspec.strategies import nets

B, LR = 4, 0.01
METRICS = ("loss", "correct", "grad_norm", "param_norm")
MLP = NetSpec("mlp", (5,), (Dense(4, activation="tanh", name="hidden"), Dense(3, name="head")))
CNN = NetSpec(
    "cnn",
    (6, 5, 2),
    (
        Conv2d(3, 3, 2, "same-symmetric", activation="swish", name="conv"),
        BatchNorm(name="norm"),
        MaxPool(2, 1, name="pool"),
        Residual(Conv2d(3, activation="tanh"), name="res"),
        GlobalAvgPool(),
        Dense(3, name="head"),
    ),
)


# -- the same nets in JAX, from their equations ----------------------------------------------------------------------


def conv(x, w, stride, pads):
    return jax.lax.conv_general_dilated(x, w, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def mlp(p, s, x):
    return jnp.tanh(x @ p["hidden.kernel"] + p["hidden.bias"]) @ p["head.kernel"] + p["head.bias"], {}


def cnn(p, s, x):
    x = jax.nn.silu(conv(x, p["conv.kernel"], 2, ((1, 1), (1, 1))) + p["conv.bias"])
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    n = x.size // x.shape[-1]
    new = {
        "norm.mean": 0.9 * s["norm.mean"] + 0.1 * mean,
        "norm.var": 0.9 * s["norm.var"] + 0.1 * var * n / (n - 1),
    }
    x = (x - mean) / jnp.sqrt(var + 1e-5) * p["norm.scale"] + p["norm.bias"]
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "VALID")
    x = x + jnp.tanh(conv(x, p["res.body.kernel"], 1, "SAME") + p["res.body.bias"])
    return x.mean((1, 2)) @ p["head.kernel"] + p["head.bias"], new


def zoo_mlp(p, s, x):
    x = x.reshape(len(x), -1)
    for name in ("hidden1", "hidden2"):
        x = jax.nn.relu(x @ p[f"{name}.kernel"] + p[f"{name}.bias"])
    return x @ p["head.kernel"] + p["head.bias"], {}


FORWARD = {"mlp": mlp, "cnn": cnn, "mnist-mlp": zoo_mlp}


def objective(forward, p, s, x, y, smoothing):
    logits, new = forward(p, s, x)
    classes = logits.shape[1]
    target = (1 - smoothing) * jax.nn.one_hot(y, classes) + smoothing / classes
    return -(target * jax.nn.log_softmax(logits)).sum(1).mean(), (logits, new)


@cache  # what every recipe has in common is compiled once; the updates are NumPy's
def gradient_by_jax(forward, smoothing):
    def function(p, s, x, y):
        return objective(forward, p, s, x, y, smoothing)

    return jax.jit(jax.value_and_grad(function, has_aux=True))


def step_by_hand(spec, recipe, state, x, y, t):
    """State and metrics after step t (from 1), by JAX's autodiff and the optimizers' papers, in float64."""
    net, opt = check(spec), recipe.optimizer
    p, s = {q.name: state[q.name] for q in net.params}, {q.name: state[q.name] for q in net.state}
    found = gradient_by_jax(FORWARD[spec.name], recipe.loss.smoothing)(p, s, x, y)
    (loss, (logits, new)), g = jax.tree.map(np.asarray, found)
    new = {**state, **new, "step": t}
    for q in net.params:
        decay = opt.weight_decay if q.decay or recipe.decay_all else 0.0
        w, d = p[q.name], g[q.name]
        if isinstance(opt, Adam):
            d = d if opt.decoupled else d + decay * w
            m = opt.beta1 * state[f"m/{q.name}"] + (1 - opt.beta1) * d
            v = opt.beta2 * state[f"v/{q.name}"] + (1 - opt.beta2) * d**2
            mhat, vhat = m / (1 - opt.beta1**t), v / (1 - opt.beta2**t)
            new |= {f"m/{q.name}": m, f"v/{q.name}": v}
            after = w - LR * mhat / (np.sqrt(vhat) + opt.epsilon) - (LR * decay * w if opt.decoupled else 0)
        else:
            d = d + decay * w
            u = opt.momentum * state.get(f"velocity/{q.name}", 0) + d
            if opt.momentum:
                new[f"velocity/{q.name}"] = u
            after = w - LR * (d + opt.momentum * u if opt.nesterov else u)
        new[q.name] = after
    if isinstance(opt, Adam):
        new |= {"correction1": 1 - opt.beta1**t, "correction2": 1 - opt.beta2**t}
    norm = lambda tree: math.sqrt(sum(float((np.asarray(v) ** 2).sum()) for v in tree))  # noqa: E731
    metrics = {
        "loss": loss, "correct": (np.argmax(logits, 1) == y).sum(),
        "grad_norm": norm(g.values()), "param_norm": norm(p.values()),
    }  # fmt: skip
    return {k: np.asarray(v) for k, v in new.items()}, metrics


def batch_for(spec, seed=0):
    rng = np.random.default_rng(seed)
    classes = check(spec).out.shape[0]
    return rng.normal(size=(B, *spec.input)), rng.integers(0, classes, B).astype(np.int32)


def first_state(program, seed=(0, 7), dtype="f64"):
    values = run(program.module, "init", [np.array(seed, np.uint32)], dtype)
    return dict(zip((s.name for s in program.state), values, strict=True))


def step(program, state, x, y, *, lr=LR, dtype="f64"):
    results = run(program.module, "train_step", [*state.values(), x, y, np.asarray(lr)], dtype)
    n = len(program.state)
    names = program.module.function("train_step").result_names
    return dict(zip(names[:n], results[:n], strict=True)), dict(zip(names[n:], results[n:], strict=True))


RECIPES = {
    "adam": Recipe(),
    "adamw": Recipe(Adam(weight_decay=0.1)),
    "adam-l2": Recipe(Adam(0.8, 0.95, 1e-6, 0.1, decoupled=False), decay_all=True),
    "sgd": Recipe(SGD(0.0, weight_decay=0.1)),
    "momentum": Recipe(SGD(0.9)),
    "nesterov": Recipe(SGD(0.8, nesterov=True, weight_decay=0.05), decay_all=True),
    "smoothing": Recipe(loss=CrossEntropy(0.2)),
}


@pytest.mark.parametrize("spec", [MLP, CNN], ids=lambda s: s.name)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_three_steps_are_those_of_jax(spec, recipe):
    program = build(check(spec), recipe, B)
    with jax.enable_x64(True):
        ours = theirs = first_state(program)
        for t in (1, 2, 3):
            x, y = batch_for(spec, t)
            ours, metrics = step(program, ours, x, y)
            theirs, wanted = step_by_hand(spec, recipe, theirs, x, y, t)
            for name in METRICS:
                assert math.isclose(metrics[name], wanted[name], rel_tol=1e-10)
            for slot in program.state:
                # float64 rounds at 1e-16; Adam divides by sqrt(v), which enlarges it by |g| / sqrt(v) steps' worth
                np.testing.assert_allclose(ours[slot.name], theirs[slot.name], rtol=1e-9, atol=1e-12, err_msg=slot.name)


def test_a_net_of_the_zoo_takes_the_step_of_jax():
    spec, recipe = find("mnist-mlp"), Recipe()
    program = build(check(spec), recipe, B)
    with jax.enable_x64(True):
        state, (x, y) = first_state(program), batch_for(spec)
        ours, metrics = step(program, state, x, y)
        theirs, wanted = step_by_hand(spec, recipe, state, x, y, 1)
    assert math.isclose(metrics["loss"], wanted["loss"], rel_tol=1e-10)
    for slot in program.state:
        # As above. On the first step of Adam m / sqrt(v) is g / |g|: gradients near epsilon = 1e-8 are enlarged.
        np.testing.assert_allclose(ours[slot.name], theirs[slot.name], rtol=1e-9, atol=1e-10, err_msg=slot.name)


# -- state and manifest ----------------------------------------------------------------------------------------------


def test_the_order_of_the_state():
    program = build(check(CNN), Recipe(), B)
    roles = [s.role for s in program.state]
    order = ["parameter", "statistic", "moment", "correction", "step", "key"]
    assert roles == sorted(roles, key=order.index)
    assert [s.name for s in program.state][:4] == ["conv.kernel", "conv.bias", "norm.scale", "norm.bias"]
    params = [s.name for s in program.state if s.role == "parameter"]
    assert [s.name for s in program.state if s.role == "moment"] == [f"{m}/{p}" for m in "mv" for p in params]
    assert [s.name for s in program.state][-4:] == ["correction1", "correction2", "step", "key"]
    assert [s.role for s in program.kept] == ["parameter"] * len(params) + ["statistic"] * 2
    assert [s.role for s in build(check(MLP), Recipe(SGD(0.0)), B).state] == ["parameter"] * 4 + ["step", "key"]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_manifest_lists_every_argument_and_result(recipe):
    program = build(check(CNN), recipe, B)
    table = program.manifest
    assert list(table["functions"]) == ["init", "train_step", "eval_step", "predict"]
    for function in program.module:
        entry = table["functions"][function.name]
        for listed, values in ((entry["arguments"], function.params), (entry["results"], function.results)):
            assert [(e["shape"], e["dtype"]) for e in listed] == [(list(v.shape), v.type.dtype) for v in values]
    state = [
        {"name": s.name, "role": s.role, "shape": list(s.type.shape), "dtype": s.type.dtype} for s in program.state
    ]
    f = table["functions"]
    assert f["init"]["results"] == state
    assert f["train_step"]["arguments"][: len(state)] == f["train_step"]["results"][: len(state)] == state
    assert [e["name"] for e in f["train_step"]["arguments"][len(state) :]] == ["x", "y", "lr"]
    assert [e["name"] for e in f["train_step"]["results"][len(state) :]] == list(METRICS)
    kept = state[: len(program.kept)]
    assert f["predict"]["arguments"][:-1] == f["eval_step"]["arguments"][:-3] == kept
    assert [e["name"] for e in f["eval_step"]["arguments"][-3:]] == ["x", "y", "weight"]
    assert [e["name"] for e in f["eval_step"]["results"]] == ["loss", "correct", "count"]
    assert table["parameters"] == check(CNN).count
    assert (table["batch"], table["spec_sha256"], table["format"]) == (B, check(CNN).digest, 1)


def test_the_manifest_names_the_net_that_was_stated():
    """Rates of a recipe change what is trained, and not what the run, its trace and its exports call the net."""
    net = check(NetSpec("n", (4,), (Dense(4), Dropout(0.1), Dense(2))))
    program = build(net, recipe_of(dropout=0.5), B)
    assert program.net.digest != net.digest
    assert program.manifest["spec_sha256"] == build(net, Recipe(), B).manifest["spec_sha256"] == net.digest


def test_the_first_state():
    program = build(check(CNN), Recipe(), B)
    state = first_state(program, (3, 4))
    for p in program.net.params:
        assert state[p.name].shape == p.shape
        assert (np.ptp(state[p.name]) > 0) == p.name.endswith("kernel")
        assert not any(state[f"{m}/{p.name}"].any() for m in "mv")
    assert (state["norm.scale"] == 1).all() and not state["norm.bias"].any()
    assert not state["norm.mean"].any() and (state["norm.var"] == 1).all()
    assert state["step"] == 0 and state["key"].tolist() == [3, 4]
    assert state["conv.kernel"].tobytes() != first_state(program, (3, 5))["conv.kernel"].tobytes()


@settings(max_examples=25)
@given(nets())
def test_any_net_trains(spec):
    program = build(check(spec), Recipe(norms=False), 2)
    state = first_state(program)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, *spec.input)), np.array([0, 2])
    after, metrics = step(program, state, x, y)
    assert set(metrics) == {"loss", "correct"}
    assert after["step"] == 1
    (logits,) = run(program.module, "predict", [*(state[s.name] for s in program.kept), x])
    assert logits.shape == (2, 3)


# -- metrics ---------------------------------------------------------------------------------------------------------


def test_a_tie_is_won_by_the_first():
    from netc.codegen.losses import hits
    from netc.netspec.types import TensorType

    made = module_of(hits, TensorType((6, 3)), TensorType((6,), "i32"))
    logits = np.array([[1, 1, 0], [1, 1, 0], [0, 2, 2], [0, 2, 2], [5, 5, 5], [-np.inf, -np.inf, 0]])
    got = run(made, "f", [logits, np.array([0, 1, 1, 2, 0, 2])])[0]
    assert got.tolist() == [1, 0, 1, 0, 1, 1]


def test_evaluation_weighs_and_does_not_smooth():
    program = build(check(MLP), Recipe(loss=CrossEntropy(0.3)), B)
    state, (x, y) = first_state(program), batch_for(MLP)
    kept = [state[s.name] for s in program.kept]
    weight = np.array([1.0, 0.0, 0.5, 1.0])
    loss, correct, count = run(program.module, "eval_step", [*kept, x, y, weight])
    (logits,) = run(program.module, "predict", [*kept, x])
    each = np.log(np.exp(logits).sum(1)) - logits[np.arange(B), y]
    assert math.isclose(loss, (each * weight).sum(), rel_tol=1e-12)  # float64, a few roundings
    assert correct == ((logits.argmax(1) == y) * weight).sum()
    assert count == 2.5


def test_evaluation_uses_running_statistics():
    program = build(check(CNN), Recipe(), B)
    state, (x, _) = first_state(program), batch_for(CNN)
    moved = {**state, "norm.mean": state["norm.mean"] + 1}
    first, second = (run(program.module, "predict", [*(s[k.name] for k in program.kept), x])[0] for s in (state, moved))
    assert np.abs(first - second).max() > 1e-3  # and each example by itself:
    (alone,) = run(build(check(CNN), Recipe(), 1).module, "predict", [*(state[k.name] for k in program.kept), x[:1]])
    np.testing.assert_allclose(alone, first[:1], rtol=1e-12)  # float64; the order of sums may differ


@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_the_loss_does_not_overflow(logit):
    program = build(check(NetSpec("n", (3,), (Dense(3, bias=False, name="d"),))), Recipe(), B)
    state = {**first_state(program, dtype="f32"), "d.kernel": np.eye(3, dtype=np.float32) * logit}
    x = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    _, metrics = step(program, state, x, np.array([1, 1, 1, 0]), dtype="f32")
    assert np.isfinite(metrics["loss"]) and np.isfinite(metrics["grad_norm"])


@pytest.mark.parametrize("decay_all", [False, True])
def test_decay_reaches_biases_only_if_told(decay_all):
    programs = [build(check(MLP), Recipe(Adam(weight_decay=d), decay_all=decay_all), B) for d in (0.0, 0.5)]
    state, (x, y) = first_state(programs[0]), batch_for(MLP)
    state["head.bias"] = state["head.bias"] + 1
    plain, decayed = (step(p, state, x, y)[0] for p in programs)
    assert np.abs(plain["head.kernel"] - decayed["head.kernel"]).max() > 0
    assert (np.abs(plain["head.bias"] - decayed["head.bias"]).max() > 0) == decay_all


@pytest.mark.parametrize("spec", [MLP, CNN], ids=lambda s: s.name)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_batch_is_learned_by_heart(spec, recipe):
    program = build(check(spec), recipe, B)
    state, (x, y) = first_state(program), batch_for(spec)
    losses = []
    for _ in range(25):
        state, metrics = step(program, state, x, y, lr=0.05)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.8 * losses[0]
    assert state["step"] == 25


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "recipe", "batch", "sentence"),
    [
        (MLP, Recipe(), 0, r"batch wants a positive integer below 2\^24, got 0"),
        (MLP, Recipe(Adam(beta1=2.0)), 4, r"adam: beta1 wants a number in \[0, 1\), got 2.0"),
        (MLP, Recipe(loss=Dice()), 4,
         r"mlp: dice wants an output of \[batch, pixels.., classes\], got \[batch, 3\]; end"),
        (MLP, Recipe(loss=CrossEntropy(weights=(1.0,))), 4,
         "mlp: crossEntropy wants 3 numbers, one for each class, got 1; give as many as the net has outputs"),
    ],
)  # fmt: skip
def test_sentences(spec, recipe, batch, sentence):
    with pytest.raises(SpecError, match=sentence):
        build(check(spec), recipe, batch)


def test_a_net_without_parameters_is_refused_or_trains():
    spec = NetSpec("still", (3, 1, 1), (Flatten(),))
    try:
        program = build(check(spec), Recipe(), 2)
    except SpecError as error:
        assert "still" in str(error)
        return
    state = first_state(program)
    assert step(program, state, np.ones((2, 3, 1, 1)), np.array([0, 1]))[0]["step"] == 1
