"""Accumulated steps against whole ones, several steps in one call against single ones, and what the module says."""

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.find import find
from netc.netspec.layers import BatchNorm, Dense, Dropout, Flatten, TiedHead, TokenPositionEmbed, TransformerEncoder
from netc.netspec.recipe import SGD, Adam, Recipe
from netc.netspec.spec import NetSpec

BATCH, PARTS, K = 32, 4, 3
MLP = check(find("mnist-mlp").with_input((6, 6, 1)))
BLOCK = TransformerEncoder(2, 16, 1, causal=True, name="blocks")
GPT = check(NetSpec("gpt", (6,), (TiedHead(TokenPositionEmbed(11, 8, std=0.2), BLOCK, name="model"),), dtype="i32"))
NORM = check(NetSpec("norm", (5,), (Dense(4, name="a"), BatchNorm(name="norm"), Dense(3, name="head"))))
DROP = check(NetSpec("drop", (5, 1, 1), (Flatten(), Dense(6, name="a"), Dropout(0.4), Dense(3, name="head"))))


def batch_of(net, batch, seed=0):
    rng = np.random.default_rng(seed)
    shape = (batch, *net.x.shape)
    x = rng.integers(0, net.out.shape[-1], shape) if net.x.dtype == "i32" else rng.standard_normal(shape)
    return x, rng.integers(0, net.out.shape[-1], (batch, *net.out.shape[:-1]))


def stepped(net, recipe, dtype, batch=BATCH, steps=2):
    """The state after some steps, and the metrics of the last, by name."""
    program = build(net, recipe, batch)
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], dtype)
    names = program.module.function("train_step").result_names
    for seed in range(steps):
        results = run(program.module, "train_step", [*state, *batch_of(net, batch, seed), 1e-2], dtype)
        state = results[: len(program.state)]
    return dict(zip(names, results, strict=True))


@pytest.mark.parametrize("net", [MLP, GPT], ids=["mlp", "gpt"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("f64", 1e-12), ("f32", 2e-5)])
def test_parts_of_a_batch_are_the_batch(net, dtype, tolerance):
    """Momentum keeps the gradient itself; float32 differs by the order of the sums."""
    whole = stepped(net, Recipe(SGD()), dtype)
    parts = stepped(net, Recipe(SGD(), accumulate=PARTS), dtype)
    assert whole.keys() == parts.keys()
    for name, x in whole.items():
        off, size = np.linalg.norm(np.subtract(parts[name], x, dtype=np.float64)), np.linalg.norm(x)
        assert off <= tolerance * max(size, 1.0), name


def test_batch_norm_sees_each_part():
    """Statistics: one update a part, by the part's own mean."""
    momentum = 0.1
    program = build(NORM, Recipe(SGD(), accumulate=2), 6)
    state = run(program.module, "init", [np.array([1, 2], np.uint32)])
    x, y = batch_of(NORM, 6)
    after = run(program.module, "train_step", [*state, x, y, 0.0])
    held = {s.name: v for s, v in zip(program.state, state, strict=True)}
    new = {s.name: v for s, v in zip(program.state, after, strict=False)}
    running = held["norm.mean"]
    for part in (x[:3], x[3:]):
        z = part @ held["a.kernel"] + held["a.bias"]
        running = (1 - momentum) * running + momentum * z.mean(0)
    np.testing.assert_allclose(new["norm.mean"], running, rtol=1e-12)


def test_each_part_draws_with_a_key_of_its_own():
    """With the same examples in each part, parts that drew alike would have one gradient."""
    whole, parts = (build(DROP, Recipe(SGD(), accumulate=n), b) for n, b in ((1, 4), (3, 12)))
    state = run(whole.module, "init", [np.array([1, 2], np.uint32)])
    x, y = batch_of(DROP, 4)
    names = [s.name for s in whole.state]

    def gradient(program, held, x, y):
        results = run(program.module, "train_step", [*held, x, y, 0.0])
        return dict(zip(names, results, strict=False))["velocity/head.kernel"]

    by_part = []
    for number in range(3, 6):  # the parts of step 1
        held = [np.int32(number) if n == "step" else v for n, v in zip(names, state, strict=True)]
        by_part.append(gradient(whole, held, x, y))
    second = [np.int32(1) if n == "step" else v for n, v in zip(names, state, strict=True)]
    added = gradient(parts, second, np.concatenate([x] * 3), np.concatenate([y] * 3))
    np.testing.assert_allclose(added, np.mean(by_part, 0), rtol=1e-12)
    assert not np.allclose(by_part[0], by_part[1])


@pytest.mark.parametrize("net", [MLP, GPT, NORM, DROP], ids=["mlp", "gpt", "norm", "drop"])
def test_steps_in_one_call_are_the_steps(net):
    program = build(net, Recipe(Adam()), 4, steps_per_call=K)
    state = begun = run(program.module, "init", [np.array([1, 2], np.uint32)], "f32")
    batches, rates = [batch_of(net, 4, seed) for seed in range(K)], np.array([1e-2, 2e-2, 0.0])
    metrics = []
    for (x, y), lr in zip(batches, rates, strict=True):
        results = run(program.module, "train_step", [*state, x, y, lr], "f32")
        state = results[: len(program.state)]
        metrics.append(results[len(program.state) :])
    xs, ys = (np.stack(parts) for parts in zip(*batches, strict=True))
    together = run(program.module, "train_steps", [*begun, xs, ys, rates], "f32")
    for one, many in zip([*state, *map(np.stack, zip(*metrics, strict=True))], together, strict=True):
        np.testing.assert_array_equal(one, many)


def test_what_the_module_and_the_manifest_say():
    plain = build(MLP, Recipe(), 8)
    assert [f.name for f in plain.module] == ["init", "train_step", "eval_step", "predict"]
    assert not {"accumulate", "steps_per_call"} & plain.manifest.keys()
    parts = build(MLP, Recipe(accumulate=2), 8)
    assert [f.name for f in parts.module] == ["init", "micro_step", "train_step", "eval_step", "predict"]
    assert parts.manifest["accumulate"] == 2
    assert "micro_step" not in parts.manifest["functions"]
    assert parts.manifest["functions"] == plain.manifest["functions"]
    several = build(MLP, Recipe(), 8, steps_per_call=5)
    assert [f.name for f in several.module] == ["init", "train_step", "train_steps", "eval_step", "predict"]
    assert several.manifest["steps_per_call"] == 5
    arguments = {a["name"]: a["shape"] for a in several.manifest["functions"]["train_steps"]["arguments"]}
    assert (arguments["xs"], arguments["ys"], arguments["lrs"]) == ([5, 8, 6, 6, 1], [5, 8], [5])
    assert several.manifest["functions"]["train_steps"]["results"][-1]["shape"] == [5]


@pytest.mark.parametrize(
    ("recipe", "batch", "several", "sentence"),
    [
        (Recipe(accumulate=0), 8, 1, "`accumulate` wants a positive integer, got 0"),
        (Recipe(accumulate=-2), 8, 1, "`accumulate` wants a positive integer, got -2"),
        (Recipe(accumulate=3), 8, 1, "accumulate wants a number of equal parts of the batch of 8, got 3"),
        (Recipe(accumulate=16), 8, 1, "accumulate wants a number of equal parts of the batch of 8, got 16"),
        (Recipe(), 8, 0, r"steps_per_call wants a positive integer below 2\^16, got 0"),
        (Recipe(), 8, 1 << 16, "steps_per_call wants a positive integer"),
        (Recipe(accumulate=2), 8, 2, "steps_per_call 2 is for small nets and accumulate 2 for large ones, got both"),
    ],
)
def test_what_cannot_be_is_a_sentence(recipe, batch, several, sentence):
    with pytest.raises(SpecError, match=sentence):
        build(MLP, recipe, batch, steps_per_call=several)
