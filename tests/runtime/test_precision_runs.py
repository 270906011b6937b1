"""`--precision bf16` from a recipe to a trained net: it learns what float32 learns, and its runs say what they are."""

import json
from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.program import build
from netc.netspec.augment import Augment
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import ConvBn, Dense, Flatten, MaxPool
from netc.netspec.recipe import SGD, Recipe, TrainConfig
from netc.netspec.spec import NetSpec
from netc.runtime.cache.store import Cache
from netc.runtime.data.digits import read_digits
from netc.runtime.prepare import emit_text, prepare
from netc.runtime.run.config import from_json
from netc.runtime.target import parse_target
from netc.runtime.train import train
from netc.runtime.trainer import Trainer
from netc.traces.diff import diff
from netc.traces.errors import TraceError
from netc.traces.read import read
from tests.runtime.test_train import config, digits

SMALL = NetSpec(
    "small",
    (8, 8, 1),
    (ConvBn(8, name="conv1"), ConvBn(8, 2, name="conv2"), MaxPool(2), Flatten(), Dense(10, name="head")),
)
ONE_CONV = NetSpec(
    "one-conv", (6, 6, 1), (ConvBn(8, name="conv"), Flatten(), Dense(10, name="head"))
)  # as few dispatches as may be: IREE compiles each
BF16 = Recipe(precision="bf16")


def trained(precision, folder, cache):
    """The test accuracy after two epochs of all digits on XLA, and the losses."""
    parts = dict(zip(("train", "test"), read_digits(), strict=True))
    data = replace(digits(), **parts)
    made = config(
        net=check(SMALL), recipe=Recipe(precision=precision), training=TrainConfig(2, 16, 0.02, warmup=0.5),
        target="xla", augment=Augment(),
    )  # fmt: skip
    outcome = train(made, data, folder, cache)
    return outcome.accuracy, [s.loss for s in read(folder / "trace.jsonl").steps]


def test_two_epochs_reach_the_accuracy_of_float32(tmp_path, compiled):
    (low, low_losses), (full, full_losses) = (trained(p, tmp_path / p, compiled) for p in ("bf16", "f32"))
    assert full > 0.9
    # three standard deviations of two draws of 359 images, as netc trace diff allows
    assert abs(low - full) <= 3 * np.sqrt(2 * full * (1 - full) / 359) + 1 / 359
    assert low_losses != full_losses
    assert np.mean(low_losses[-20:]) == pytest.approx(np.mean(full_losses[-20:]), rel=0.25)


def test_the_cpu_compiler_rounds_where_the_evaluator_does(compiled):
    """Gradients of one step: IREE and the evaluator agree far better than either does with float32."""
    rng, made = np.random.default_rng(0), {}
    x, y = rng.standard_normal((4, 6, 6, 1)).astype(np.float32), rng.integers(0, 10, 4).astype(np.int32)
    start = None
    for target, precision in (("reference", "bf16"), ("cpu", "bf16"), ("reference", "f32")):
        program = build(check(ONE_CONV), Recipe(SGD(), norms=False, precision=precision), 4)
        session = Trainer(prepare(program, parse_target(target), compiled))
        if start is None:
            session.init(3)
            start = session.fetch()
        session.restore(start)
        session.train_step(x, y, 0.0)
        made[target, precision] = {n: v for n, v in session.fetch().items() if n.startswith("velocity/")}
    ours, theirs, full = made.values()
    for name, g in ours.items():
        size = np.linalg.norm(g)
        noise, rounding = np.linalg.norm(theirs[name] - g) / size, np.linalg.norm(full[name] - g) / size
        # a float32 sum beside a tie may make another bf16 number, and that number another gradient
        assert noise < 2e-3, name
        assert rounding > 5 * noise, name


def test_run_json_says_bf16_and_an_old_one_means_f32():
    table = json.loads(json.dumps(config(recipe=BF16).to_json()))
    assert table["recipe"]["precision"] == "bf16"
    assert from_json(table, "here") == config(recipe=BF16)
    old = json.loads(json.dumps(config().to_json()))
    assert "precision" not in old["recipe"]  # the header that such a run always had
    assert from_json(old, "here").recipe.precision == "f32"
    table["recipe"]["precision"] = "f8"
    with pytest.raises(Exception, match="`precision` wants f32, bf16 or f64, got 'f8'"):
        from_json(table, "here")


def test_runs_of_two_precisions_are_not_compared(tmp_path):
    data, cache = digits(), Cache(tmp_path / "cache")
    for name, recipe in (("low", BF16), ("full", Recipe())):
        train(config(recipe=recipe, training=TrainConfig(1, 16, 0.01)), data, tmp_path / name, cache)
    a, b = (read(tmp_path / name / "trace.jsonl") for name in ("low", "full"))
    assert a.header.recipe["recipe"]["precision"] == "bf16"
    with pytest.raises(TraceError, match=r"recipe\.recipe\.precision \(the training step\): bf16 and None"):
        diff(a, b, "ulp")


def test_vulkan_refuses_bf16_before_it_compiles():
    program = build(check(SMALL), BF16, 2)
    with pytest.raises(UserError, match=r"`precision=bf16` wants cpu, .* got vulkan: IREE 3\.12 cannot compile"):
        emit_text(program, parse_target("vulkan"))
    assert "bf16" in emit_text(program, parse_target("rocm:gfx1100")).text
