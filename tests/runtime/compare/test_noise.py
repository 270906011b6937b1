"""The noise floor: what the replicas are, that they part by rounding only, and what cannot be measured."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.evaluator import FloatArithmetic
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import Conv2d, Dense, Dropout, Flatten
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.cache.store import Cache
from netc.runtime.compare.noise import (
    WHOLE_TWINS,
    WINDOW,
    Blas,
    InTurn,
    jittered,
    measure,
    over_the_whole_run,
    replicas_of,
)
from netc.runtime.compare.replay import replay_of
from netc.runtime.target import parse_target
from netc.traces.floor import MEASURED
from tests.runtime.test_train import config, digits

CONV = NetSpec("conv", (8, 8, 1), (Conv2d(4, 3, 2, name="conv"), Flatten(), Dense(10, name="head")))


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture(scope="module")
def floor(data):
    return measure(replay_of(config(), data), 6)


def test_a_floor_is_of_its_training(floor, data):
    assert (floor.net, floor.steps, floor.batch) == ("digits", 6, 16)
    assert floor.data_sha256 == data.digest
    assert floor.recipe == config().recipe_json
    assert set(floor.differences) == set(MEASURED)
    assert {len(v) for v in floor.differences.values()} == {6}


def test_rounding_drives_twins_apart_a_little(floor):
    assert 0 < floor.differences["loss"][0] < 1e-6
    assert 0 < max(floor.differences["grad_norm"]) < 1e-4
    assert 1e-8 < floor.gradient < 1e-5
    assert floor.gradient_of in {p.name for p in config().net.params}


def test_the_same_floor_is_measured_again(floor, data):
    assert measure(replay_of(config(), data), 6) == floor


def test_every_form_is_one_twin_and_equal_texts_are_one(data):
    names = [t.name for t in replicas_of(build(config().net, Recipe(), 4))]
    assert names[:3] == ["float64", "cpu forms", "sums in turn"]  # without convolutions all families' texts are equal
    names = [t.name for t in replicas_of(build(check(CONV), Recipe(), 4))]
    assert names[:4] == ["float64", "cpu forms", "xla forms", "gpu forms"]
    assert names[-1] == "examples permuted 2"


def test_a_net_that_draws_keeps_its_examples_in_order():
    drawing = replace(CONV, layers=(Dropout(0.5, name="drop"), *CONV.layers))
    assert not [t.name for t in replicas_of(build(check(drawing), Recipe(), 4)) if "permuted" in t.name]


def test_a_gradient_is_found_without_moments(data):
    plain = config(recipe=Recipe(SGD(momentum=0.0)))
    assert measure(replay_of(plain, data), 1).gradient < 1e-4


def test_sums_in_turn_are_sums():
    x = np.random.default_rng(0).normal(size=(7, 300, 5)).astype(np.float32)
    y = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    tree, turn = FloatArithmetic("f32"), InTurn("f32")
    for dims in ((0,), (1,), (0, 1), (0, 1, 2)):
        np.testing.assert_allclose(turn.reduce_sum(x, dims), tree.reduce_sum(x, dims), rtol=1e-4, atol=1e-4)
    assert (turn.reduce_sum(x, (0, 1, 2)) != tree.reduce_sum(x, (0, 1, 2))).any()
    joined = (((1,), (0,)), ((), ()))
    np.testing.assert_allclose(turn.dot(x, y, *joined), tree.dot(x, y, *joined), rtol=1e-4, atol=1e-4)
    assert (turn.dot(x, y, *joined) != tree.dot(x, y, *joined)).any()
    outer = (((), ()), ((), ()))
    assert turn.dot(x[0, 0], y[0], *outer).shape == (5, 4)
    assert turn.dot(y[:, 0], y[:, 1], ((0,), (0,)), ((), ())).shape == ()


def test_a_product_over_many_terms_adds_them_one_by_one():
    """As a compiler's matrix product does: a kernel's gradient has a term for each pixel of the batch."""
    x, y = (np.random.default_rng(n).random((4, 5000, 3)).astype(np.float32) for n in range(2))
    merged = [t.reshape(20000, 3) for t in (x, y)]
    wanted = np.zeros((3, 3), np.float32)
    for a, b in zip(*merged, strict=True):
        wanted += np.outer(a, b)
    found = InTurn("f32").dot(x, y, ((0, 1), (0, 1)), ((), ()))
    assert np.array_equal(found, wanted)
    exact = merged[0].T.astype(np.float64) @ merged[1]
    rounded = FloatArithmetic("f32").dot(x, y, ((0, 1), (0, 1)), ((), ()))
    assert (np.abs(rounded - exact) <= np.spacing(rounded) * 0.5000001).all()
    assert np.abs(found - exact).max() > 4 * np.abs(rounded - exact).max()


def test_blas_may_choose_the_order_in_a_twin():
    """Its products are float32's own, so their rounding is in the floor; the reference rounds a sum once."""
    x, y = (np.random.default_rng(n).random((8, 300)).astype(np.float32) for n in range(2))
    exact = x.astype(np.float64) @ y.T
    errors = [np.abs(A("f32").dot(x, y, ((1,), (1,)), ((), ())) - exact).max() for A in (Blas, FloatArithmetic)]
    assert 2e-3 > errors[0] > errors[1]


def test_jitter_moves_floats_by_a_number_at_most():
    x = np.array([1.0, -2.0, 0.0, 1e-20] * 50, np.float32)
    moved, whole = jittered([x, np.arange(3)], np.random.default_rng(0))
    assert np.abs(moved.view(np.int32) - x.view(np.int32)).max() == 1
    assert (moved[2::4] == 0).all()
    assert whole.tolist() == [0, 1, 2]


def test_no_step_is_no_measurement(data):
    with pytest.raises(UserError, match="noise wants one step or more, got 0"):
        measure(replay_of(config(), data), 0)


def test_a_training_that_diverges_is_refused(data):
    wild = config(training=replace(config().training, lr=1e30, warmup=0.0))
    with pytest.raises(UserError, match=r"the loss of step \d is .*lower learning rate"):
        measure(replay_of(wild, data), 12)


def test_means_of_a_whole_run_come_from_twins_on_a_target(floor, data, tmp_path):
    long = replay_of(config(training=replace(config().training, epochs=11)), data)
    seen = []
    target = parse_target("reference")
    whole = over_the_whole_run(long, floor, target, Cache(tmp_path), lambda *counts: seen.append(counts))
    assert whole.window == WINDOW
    assert len(whole.means) == 44 // WINDOW
    assert 0 < max(whole.means) < 1e-3
    assert whole.differences == floor.differences
    assert whole.twins[-1] == "whole run on reference 4"
    assert seen[-1] == (WHOLE_TWINS * 44, WHOLE_TWINS * 44)
