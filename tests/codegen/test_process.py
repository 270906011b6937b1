"""The processes of generative models in the step: what is drawn, how often, the same on XLA, and the first loss."""

import math

import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.process import pose, ranks, spread, thousandths
from netc.codegen.program import build
from netc.codegen.slots import KEY
from netc.netspec.check import check
from netc.netspec.layers import Dense, TakeTokens, TokenPositionEmbed
from netc.netspec.process import Generation
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.references.step_nets import DENOISING, GROWING, TIMED, UNMASKING
from tests.codegen.witness import by_xla

WORDS = np.asarray([5, 9], np.uint32)


def posed(net, generation, batch, *, training=True):
    """The module that makes a question of examples, for its results x, target and maybe weight."""
    checked, b = check(net), Builder("pose")
    process = generation.chosen
    key = b.parameter("key", KEY)
    shapes = (process.example(checked.x, checked.out), process.label(checked.x, checked.out))
    x, y = (b.parameter(n, TensorType((batch, *t.shape), t.dtype)) for n, t in zip("xy", shapes, strict=True))
    found = pose(b, checked, generation, key if training else None, x, y)
    results = [("seen", found.x), ("target", found.target)]
    results += [("weight", found.weight)] if found.weight is not None else []
    return Module("pose", (b.finish(results),))


def test_flow_goes_straight_and_classes_are_dropped():
    x, y = np.full((4000, 4, 4, 2), 3.0, np.float32), np.full(4000, 1, np.int32)
    module = posed(DENOISING, Generation("flow", label_drop=0.25, label_count=3), 4000)
    seen, target = evaluator.run(module, "pose", [WORDS, x, y], "f32")
    time, label = seen[:, 0, 0, 2], seen[:, 0, 0, 3]
    assert (seen[..., 2:] == seen[:, :1, :1, 2:]).all()
    np.testing.assert_allclose(seen[..., :2], x + time[:, None, None, None] * target, atol=1e-5)
    noise = target + x
    assert abs(noise.mean()) < 0.01 and noise.std() == pytest.approx(1, abs=0.01)
    assert time.min() > 0 and time.max() < 1 and time.mean() == pytest.approx(0.5, abs=0.02)
    assert set(np.unique(label)) == {1, 3} and (label == 3).mean() == pytest.approx(0.25, abs=0.03)


def test_of_a_predicted_image_the_velocity_is_judged():
    """Li and He 2025, algorithm 1: v = (x_t - x) / t, t at least 0.05."""
    generation, batch = Generation("flow", flow_predicts="x"), 40
    x = np.random.default_rng(0).standard_normal((batch, 3, 4, 1)).astype(np.float32)
    y = np.zeros(batch, np.int32)
    for training in (True, False):
        module = posed(TIMED, generation, batch, training=training)
        seen, target = evaluator.run(module, "pose", [WORDS, x, y], "f64")
        plain = evaluator.run(posed(TIMED, Generation("flow"), batch, training=training), "pose", [WORDS, x, y], "f64")
        time = seen[:, :1, :1, 1:]
        assert (seen == plain[0]).all() and time.min() < 0.05 < time.max()
        np.testing.assert_allclose(target, plain[1] * np.minimum(1, time / 0.05), atol=1e-12)


def test_times_of_the_logit_normal_distribution():
    x, y = np.zeros((4000, 3, 4, 1), np.float32), np.zeros(4000, np.int32)
    for training in (True, False):
        module = posed(TIMED, Generation("flow", "logit-normal"), 4000, training=training)
        time = evaluator.run(module, "pose", [WORDS, x, y], "f32")[0][:, 0, 0, 1]
        logit = np.log(time / (1 - time))
        assert abs(logit.mean()) < 0.05 and logit.std() == pytest.approx(1, abs=0.05)


def test_evaluation_draws_the_same_for_any_key_and_drops_no_class():
    x, y = np.ones((8, 4, 4, 2), np.float32), np.arange(8, dtype=np.int32) % 3
    module = posed(DENOISING, Generation("flow", label_drop=0.9, label_count=3), 8, training=False)
    first, second = (evaluator.run(module, "pose", [key, x, y], "f32")[0] for key in (WORDS, WORDS + 1))
    assert (first == second).all() and (first[:, 0, 0, 3] == y).all()
    assert sorted(first[:, 0, 0, 2]) == [(i + 0.5) / 8 for i in range(8)]


def test_any_part_of_the_spread_is_spread():
    assert spread(1) == [0.5] and spread(4) == [0.125, 0.625, 0.375, 0.875]
    assert all(abs(np.mean(spread(1000)[:n]) - 0.5) < 0.02 for n in (64, 100, 500, 1000))


def test_masks_are_as_many_as_the_time_says():
    x = np.arange(4000 * 5, dtype=np.int32).reshape(4000, 5) % 6
    seen, target, weight = evaluator.run(posed(UNMASKING, Generation("masked"), 4000), "pose", [WORDS, x, x], "f32")
    masked, time = seen[:, :5] == 6, seen[:, 5]
    count = masked.sum(1)
    assert (target == x).all() and (seen[:, :5][~masked] == x[~masked]).all()
    assert (time == 200 * count).all() and (weight == np.where(masked, 5 / count[:, None], 0).astype(np.float32)).all()
    assert np.bincount(count, minlength=6)[1:] == pytest.approx(800, abs=100)
    assert masked.mean(0) == pytest.approx(0.6, abs=0.03)  # every place alike
    np.testing.assert_allclose(weight.sum(1), 5, rtol=1e-6)


def test_times_of_texts():
    assert thousandths(4) == (0, 250, 500, 750, 1000) and thousandths(3) == (0, 333, 667, 1000)


def test_ranks_of_equal_scores():
    b = Builder("rank")
    scores = b.parameter("scores", TensorType((1, 5)))
    module = Module("ranks", (b.finish([("ranks", ranks(b, scores))]),))
    found = evaluator.run(module, "rank", [np.asarray([[2, 1, 2, 0, 1]], np.float32)], "f32")[0]
    assert found.tolist() == [[3, 1, 4, 0, 2]]


@pytest.mark.parametrize(
    ("net", "generation"),
    [
        (DENOISING, Generation("flow", label_count=3)),
        (DENOISING, Generation("flow", flow_predicts="x", label_count=3)),
        (TIMED, Generation("ddpm", predicts="v", noise_schedule="cosine")),
        (UNMASKING, Generation("masked")),
        (GROWING, Generation("branching")),
    ],
    ids=["flow", "flow-image", "ddpm", "masked", "branching"],
)
def test_xla_draws_the_same(net, generation):
    module = posed(net, generation, 6)
    shapes = [v.shape for v in module.function("pose").params[1:]]
    rng = np.random.default_rng(0)
    tokens = net.dtype == "i32"
    x = rng.integers(0, 6, shapes[0], np.int32) if tokens else rng.standard_normal(shapes[0]).astype(np.float32)
    args = [WORDS, x, rng.integers(0, 3, shapes[1], np.int32)]
    ours, theirs = evaluator.run(module, "pose", args, "f32"), by_xla(module, "pose", args)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=0 if tokens else 2e-7, rtol=0 if tokens else 2e-6)


def test_the_first_loss_of_a_head_of_zeros_is_that_of_all_tokens_alike():
    net = NetSpec(
        "zero-head",
        (9,),
        (TokenPositionEmbed(1001, 4, name="embed"), TakeTokens(8), Dense(128, name="head")),
        dtype="i32",
    )
    program = build(check(net), recipe_of(process="masked"), 4)
    state = evaluator.run(program.module, "init", [WORDS], "f32")
    held = {s.name: v for s, v in zip(program.state, state, strict=True)}
    held["head.kernel"] = 0 * held["head.kernel"]
    x = np.arange(32, dtype=np.int32).reshape(4, 8)
    found = evaluator.run(program.module, "train_step", [*held.values(), x, x, np.float32(0)], "f32")
    loss = found[len(program.state)]
    assert float(loss) == pytest.approx(math.log(128), rel=1e-6)
    weights = [held[s.name] for s in program.kept]
    total = evaluator.run(program.module, "eval_step", [*weights, x, x, np.ones(4, np.float32)], "f32")
    assert float(total[0]) / 4 == pytest.approx(math.log(128), rel=1e-6)
