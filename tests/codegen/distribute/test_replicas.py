"""Replicas of a step against one device with the whole batch: lockstep evaluation in float64, and planted faults."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.distribute.buckets import buckets
from netc.codegen.distribute.lockstep import EachReplica, dealt, run_together
from netc.codegen.distribute.split import axis_of
from netc.codegen.evaluator import run
from netc.codegen.ir import IrError
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.walk import rewrite
from netc.codegen.text import text_of
from netc.codegen.verify import verify
from netc.netspec.averaging import Averaging
from netc.netspec.check import check
from netc.netspec.clipping import Clipping
from netc.netspec.errors import SpecError
from netc.netspec.groups import Groups
from netc.netspec.layers import BatchNorm, Dense, Dropout, Flatten, TiedHead, TokenPositionEmbed, TransformerEncoder
from netc.netspec.loss import CrossEntropy
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.wrapping import Wrapping

BATCH, MANY = 12, 3
MLP = check(NetSpec("mlp", (5,), (Dense(6, name="a", activation="relu"), Dense(7, name="b"), Dense(3, name="head"))))
BLOCK = TransformerEncoder(2, 16, 1, causal=True, name="blocks")
GPT = check(NetSpec("gpt", (6,), (TiedHead(TokenPositionEmbed(11, 8, std=0.2), BLOCK, name="model"),), dtype="i32"))
NORM = check(NetSpec("norm", (5,), (Dense(4, name="a"), BatchNorm(name="n"), Dense(3, name="b"), BatchNorm(name="m"))))
DROP = check(NetSpec("drop", (5, 1, 1), (Flatten(), Dense(6, name="a"), Dropout(0.4), Dense(3, name="head"))))
SYNCED = {"sync_bn": True}
SAME = {
    "adam": (MLP, {}),
    "text": (GPT, {}),
    "clip": (MLP, {"optimizer": SGD(), "clipping": Clipping(clip_norm=0.01)}),
    "sam": (MLP, {"optimizer": SGD(), "wrapping": Wrapping(sam=0.1)}),
    "ema": (MLP, {"averaging": Averaging(ema=0.5)}),
    "accumulate": (MLP, {"accumulate": 2}),
    "labels": (GPT, {"check_labels": True}),
    "labels-in-parts": (GPT, {"check_labels": True, "accumulate": 2}),
    "chunks": (GPT, {"chunked_loss": 8, "check_labels": True}),
    "weights": (MLP, {"loss": CrossEntropy(weights=tuple(np.linspace(0.1, 2, 3).tolist()))}),
    "norm": (NORM, {**SYNCED, "optimizer": SGD()}),
    "norm-twice": (NORM, {**SYNCED, "optimizer": SGD(), "wrapping": Wrapping(sam=0.1)}),
}


def batch_of(net, seed=0, *, unlabelled=False):
    rng = np.random.default_rng(seed)
    shape = (BATCH, *net.x.shape)
    x = rng.integers(0, net.out.shape[-1], shape) if net.x.dtype == "i32" else rng.standard_normal(shape)
    y = rng.integers(0, net.out.shape[-1], (BATCH, *net.out.shape[:-1]))
    if unlabelled:  # more of them in the first examples: every replica counts another number
        y[rng.random(y.shape) * np.arange(1, BATCH + 1)[:, None] < 2] = -1
    return x, y


def called(module, name, args):
    """The results of a function by name, on all replicas of the module where it has some."""
    function = module.function(name)
    if module.replicas == 1:
        return dict(zip(function.result_names, run(module, name, args), strict=True))
    parts = [a if isinstance(a, EachReplica) else dealt(np.asarray(a), module.replicas, axis_of(n))
             for a, n in zip(args, function.names, strict=True)]  # fmt: skip
    return dict(zip(function.result_names, run_together(module, name, parts), strict=True))


def stepped(net, recipe, replicas=1, module=None):
    """What the second step of a training gives, by name."""
    program = build(net, recipe, BATCH, replicas=replicas)
    module = module or program.module
    state = [*called(module, "init", [np.array([1, 2], np.uint32)]).values()]
    assert all(isinstance(p, np.ndarray) for v in state for p in (v.parts if replicas > 1 else [v]))
    for seed in range(2):
        batch = batch_of(net, seed, unlabelled=recipe.check_labels)
        found = called(module, "train_step", [*state, *batch, 1e-2])
        state = [*found.values()][: len(program.state)]
    return found


def apart(found, wanted):
    """The largest difference of any replica's results from one device's, relative to each result's size."""
    assert found.keys() == wanted.keys()
    return max(
        np.max(np.abs(np.subtract(p, wanted[n], dtype=np.float64))) / max(np.max(np.abs(wanted[n])), 1e-3)
        for n, v in found.items()
        for p in v.parts
    )


@pytest.mark.parametrize("case", SAME)
def test_replicas_are_one_device_with_the_whole_batch(case):
    """All of the state and every metric, on each replica. In float64 the order of sums is 1e-12 at most."""
    net, words = SAME[case]
    recipe = Recipe(**words)
    assert apart(stepped(net, recipe, MANY), stepped(net, recipe)) < 1e-9


def faulted(module, fault):
    """The module with `fault(n, b, op, x)` in the place of the n-th sum over replicas of its train step, on x."""
    count = itertools.count()

    def change(function):
        if function.name != "train_step":
            return function
        return rewrite(function, lambda b, op, args: fault(next(count), b, op, args[0]), ("all_reduce",))

    return replace(module, functions=tuple(map(change, module)))


FAULTS = {
    "mean for sum": lambda n, b, op, x: b.mul(b.op("all_reduce", x, **dict(op.attrs)), 1 / MANY),
    "one left out": lambda n, b, op, x: x if n == 2 else None,
    "none": lambda n, b, op, x: None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault):
    recipe = Recipe(SGD())
    module = faulted(build(MLP, recipe, BATCH, replicas=MANY).module, FAULTS[fault])
    assert (apart(stepped(MLP, recipe, MANY, module), stepped(MLP, recipe)) > 1e-3) == (fault != "none")


def test_statistics_of_each_replica_are_averaged_where_batch_norm_is_not_joint():
    """Each normalises by its own, and all keep the mean of them; so no replica's state is another's."""
    recipe = Recipe(SGD(), norms=False)
    program, single = build(NORM, recipe, BATCH, replicas=MANY), build(NORM, recipe, BATCH // MANY)
    state = run(single.module, "init", [np.array([1, 2], np.uint32)])
    x, y = batch_of(NORM)
    found = called(program.module, "train_step", [*state, x, y, 1e-2])
    assert all(np.array_equal(v.parts[0], p) for v in found.values() for p in v.parts)
    own = [
        called(single.module, "train_step", [*state, *part, 1e-2])
        for part in zip(np.split(x, MANY), np.split(y, MANY), strict=True)
    ]
    for name in ("n.mean", "n.var", "m.var"):
        np.testing.assert_allclose(found[name].parts[0], np.mean([o[name] for o in own], 0), rtol=1e-12)
    assert apart(found, called(build(NORM, recipe, BATCH).module, "train_step", [*state, x, y, 1e-2])) > 1e-3


def test_a_frozen_statistic_is_in_no_mean():
    """(v + v + v) / 3 would be another float32 than v at one in six."""
    recipe = Recipe(SGD(), accumulate=2, groups=Groups(freeze=("n",)))
    step = build(NORM, recipe, BATCH, replicas=MANY).module.function("train_step")
    kept = {n for n, v in zip(step.names, step.params, strict=True) if v in step.results}
    assert {"n.mean", "n.var"} <= kept and not {"m.mean", "m.var"} & kept


def test_every_replica_draws_for_itself():
    """Of equal examples, each replica's dropout keeps others; the first draws what one device would."""
    recipe = Recipe(SGD(momentum=0.5))
    program, single = build(DROP, recipe, BATCH, replicas=MANY), build(DROP, recipe, BATCH // MANY)
    state = called(program.module, "init", [np.array([1, 2], np.uint32)])
    assert all(np.array_equal(v.parts[0], p) for v in state.values() for p in v.parts)
    x, y = (np.tile(v[: BATCH // MANY], (MANY, *(1,) * (v.ndim - 1))) for v in batch_of(DROP))
    apart_ = faulted(program.module, lambda n, b, op, v: v)  # nothing is summed: each replica by itself
    found = called(apart_, "train_step", [*state.values(), x, y, 1e-2])["velocity/a.kernel"].parts
    assert not np.allclose(found[0], found[1]) and not np.allclose(found[1], found[2])
    own = [v.parts[0] for v in state.values()], x[: BATCH // MANY], y[: BATCH // MANY]
    alone = called(single.module, "train_step", [*own[0], *own[1:], 1e-2])["velocity/a.kernel"]
    np.testing.assert_allclose(found[0] * MANY, alone, rtol=1e-12)


def test_evaluation_adds_up_and_prediction_is_dealt_out():
    program, single = build(MLP, Recipe(), BATCH, replicas=MANY), build(MLP, Recipe(), BATCH)
    state = run(single.module, "init", [np.array([1, 2], np.uint32)])[: len(single.kept)]
    x, y = batch_of(MLP)
    weight = np.arange(BATCH) < 7
    sums = called(program.module, "eval_step", [*state, x, y, weight])
    assert apart(sums, called(single.module, "eval_step", [*state, x, y, weight])) < 1e-12
    logits = called(program.module, "predict", [*state, x])["logits"].whole()
    np.testing.assert_allclose(logits, called(single.module, "predict", [*state, x])["logits"], rtol=1e-12)


def test_several_steps_in_one_call():
    program, single = (build(MLP, Recipe(), BATCH, steps_per_call=2, replicas=n) for n in (MANY, 1))
    state = run(single.module, "init", [np.array([1, 2], np.uint32)])
    xs, ys = (np.stack(both) for both in zip(batch_of(MLP), batch_of(MLP, 1), strict=True))
    args = [*state, xs, ys, np.array([1e-2, 1e-3])]
    assert apart(called(program.module, "train_steps", args), called(single.module, "train_steps", args)) < 1e-9


def test_the_manifest_says_what_is_dealt_out():
    manifest = build(MLP, Recipe(), BATCH, steps_per_call=2, replicas=MANY).manifest
    assert manifest["replicas"] == MANY and manifest["batch"] == BATCH
    found = {name: {a["name"]: a["split"] for a in f["arguments"] + f["results"] if "split" in a}
             for name, f in manifest["functions"].items()}  # fmt: skip
    assert found == {
        "init": {}, "train_step": {"x": 0, "y": 0}, "train_steps": {"xs": 1, "ys": 1},
        "eval_step": {"x": 0, "y": 0, "weight": 0}, "predict": {"x": 0, "logits": 0},
    }  # fmt: skip
    alone = build(MLP, Recipe(), BATCH).manifest
    assert "replicas" not in alone and "split" not in str(alone)


@pytest.mark.parametrize(
    ("recipe", "replicas", "told"),
    [
        (Recipe(), 5, "replicas wants a number of equal parts of the batch of 12, got 5; choose one that divides it"),
        (Recipe(), 0, "replicas wants a positive integer below 2^16, got 0"),
        (Recipe(accumulate=3), 2, None),
        (Recipe(accumulate=4), 6, "accumulate wants a number of equal parts of the batch of 2 on each of 6 replicas"),
    ],
)
def test_what_does_not_divide_the_batch_is_refused(recipe, replicas, told):
    if told is None:
        assert build(MLP, recipe, BATCH, replicas=replicas).replicas == replicas
        return
    with pytest.raises(SpecError) as caught:
        build(MLP, recipe, BATCH, replicas=replicas)
    assert told in str(caught.value)


def test_one_replica_by_itself_is_refused():
    program = build(MLP, Recipe(), BATCH, replicas=MANY)
    state = run(program.module, "init", [np.array([1, 2], np.uint32)])
    with pytest.raises(IrError, match="wants all replicas together"):
        run(program.module, "train_step", [*state, *(v[: BATCH // MANY] for v in batch_of(MLP)), 1e-2])


def test_few_long_vectors_are_summed():
    """A bucket is full at `largest` bytes; in whatever buckets, the numbers are the same."""
    recipe = Recipe(SGD())
    program = build(MLP, recipe, BATCH, replicas=MANY)

    def sums(module, name="train_step"):
        return [op for op in module.function(name).ops if op.kind == "all_reduce"]

    gradients = len(MLP.params)
    assert len(sums(program.module)) == gradients + 2
    whole, small = buckets(program.module), buckets(program.module, 200)
    assert [op.operands[0].type.size for op in sums(whole)] == [MLP.count + 2]
    assert 1 < len(sums(small)) < gradients
    own = buckets(program.module, alone=120)  # bytes, that the kernels of a and b have
    assert sorted(op.operands[0].type.size for op in sums(own)) == sorted([30, 42, MLP.count + 2 - 30 - 42])
    for module in (whole, small, own):
        channels = [op.attr("channel") for f in verify(module) for op in f.ops if op.kind == "all_reduce"]
        assert channels == [*range(1, len(channels) + 1)]
        assert apart(stepped(MLP, recipe, MANY, module), stepped(MLP, recipe)) < 1e-9
    order = [op.operands[0] for op in sums(small)]
    numbers = {v: n for n, op in enumerate(small.function("train_step").ops) for v in op.results}
    first_update = next(n for n, op in enumerate(small.function("train_step").ops) if "update" in op.loc)
    assert [numbers[v] for v in order] == sorted(numbers[v] for v in order) and numbers[order[-1]] < first_update
    assert buckets(single := build(MLP, recipe, BATCH).module) is single


def test_the_sums_of_a_joint_batch_norm_are_one_in_the_backward_pass():
    module = buckets(build(NORM, Recipe(SGD(), **SYNCED), BATCH, replicas=MANY).module)
    found = [(op.loc, op.operands[0].type.size) for op in module.function("train_step").ops if op.kind == "all_reduce"]
    assert found == [
        ("n", 4), ("n", 4), ("m", 3), ("m", 3), ("m (vjp)", 6), ("n (vjp)", 8), ("replicas (vjp)", NORM.count + 2),
    ]  # fmt: skip
    assert apart(stepped(NORM, Recipe(SGD(), **SYNCED), MANY, module), stepped(NORM, Recipe(SGD()))) < 1e-9


@pytest.mark.parametrize("profile", ["plain", "xla"])
def test_the_lowered_text(profile, golden):
    """Each replica's module says how many there are."""
    net = check(NetSpec("two", (3,), (Dense(2, name="a"), BatchNorm(name="n"))))
    module = lower(build(net, Recipe(SGD(), norms=False, **SYNCED), 4, replicas=2).module, profile)
    golden(f"replicas/{profile}.mlir", text_of(module.needed("train_step"), profile))
