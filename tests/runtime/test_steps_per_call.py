"""K steps in one call: the same bits as K calls, the same trace, and a run that can be stopped and resumed."""

import json

import numpy as np
import pytest

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.find import find
from netc.netspec.layers import Dense
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.run import checkpoint
from netc.runtime.run.config import from_json
from netc.runtime.target import parse_target
from netc.runtime.train import NonFiniteError, Progress, train
from netc.runtime.trainer import Trainer
from tests.runtime.conftest import TINY
from tests.runtime.test_train import PER_EPOCH, STEPS, config, digits, no_waiting_for_the_disk, press, result, stopper

__all__ = ["no_waiting_for_the_disk"]  # a fixture that every test here uses
K, BATCH = 3, 8
MLP = check(find("mnist-mlp").with_input((8, 8, 1)))
LARGE = check(NetSpec("large", (8,), (Dense(3000), Dense(1000))))  # 36 MB of state with Adam's moments


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture(scope="module")
def single(data, tmp_path_factory):
    """A run whose every step is a call."""
    folder = tmp_path_factory.mktemp("single") / "run"
    train(config(), data, folder, Cache(folder.parent / "cache"))
    return folder


@pytest.mark.parametrize(
    ("net", "word"), [(MLP, "reference"), (MLP, "xla"), (MLP, "cpu"), (check(TINY), "xla")],
    ids=["mlp-reference", "mlp-xla", "mlp-cpu", "convolutions-xla"],
)  # fmt: skip
def test_one_call_is_k_calls(net, word, compiled):
    prepared = prepare(build(net, Recipe(), BATCH, steps_per_call=K), parse_target(word), compiled)
    one, many = Trainer(prepared), Trainer(prepared)
    one.init(1)
    many.init(1)
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((K, BATCH, *net.x.shape)).astype(np.float32)
    ys = rng.integers(0, net.out.size, (K, BATCH)).astype(np.int32)
    for rates in (np.array([1e-3, 2e-3, 4e-3], np.float32), np.array([1e-2, 0, 1e-3], np.float32)):
        found = [one.train_step(x, y, float(lr)) for x, y, lr in zip(xs, ys, rates, strict=True)]
        together = many.train_steps(xs, ys, rates)
        assert together.keys() == found[0].keys()
        for name, values in together.items():
            assert values.tolist() == [float(f[name]) for f in found], name
    states = one.fetch(), many.fetch()
    assert {n: v.tobytes() for n, v in states[0].items()} == {n: v.tobytes() for n, v in states[1].items()}


@pytest.mark.parametrize("word", ["reference", "xla"])
@pytest.mark.parametrize("net", [MLP, LARGE], ids=["small", "large"])
def test_the_header_names_the_steps_text(net, word, compiled):
    """The gradients of a large net stand behind one barrier, which is parted where a loop calls the step."""
    several = prepare(build(net, Recipe(), BATCH, steps_per_call=K), parse_target(word), compiled)
    alone = prepare(build(net, Recipe(), BATCH), parse_target(word), compiled)
    assert several.step_sha256 == alone.step_sha256 == alone.sha256 != several.sha256
    assert several.step_sha256 is several.step_sha256  # lowered and printed once


def test_another_number_of_batches_is_an_error(compiled):
    several, alone = (
        Trainer(prepare(build(MLP, Recipe(), BATCH, steps_per_call=k), parse_target("reference"), compiled))
        for k in (K, 1)
    )
    xs, ys = np.zeros((2, BATCH, 8, 8, 1), np.float32), np.zeros((2, BATCH), np.int32)
    for session in (several, alone):
        session.init(0)
        with pytest.raises(NetcError, match=r"train_steps wants the steps_per_call .* got 2 batches, 2 targets and 2"):
            session.train_steps(xs, ys, np.zeros(2, np.float32))


@pytest.mark.parametrize("count", [2, K, PER_EPOCH])
def test_the_trace_does_not_know(count, data, tmp_path, single):
    """Four steps an epoch: groups of two; of three and a single step; of four."""
    folder = tmp_path / "run"
    progress, seen = stopper(0, press)
    outcome = train(config(steps_per_call=count), data, folder, Cache(tmp_path / "cache"), progress=progress)
    assert (outcome.steps, seen) == (STEPS, list(range(STEPS)))
    assert result(folder) == result(single)


@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_ctrl_c_stops_after_the_group_and_a_resume_goes_on(at, data, tmp_path, single):
    folder, cache = tmp_path / "run", Cache(tmp_path / "cache")
    progress, _ = stopper(at, press)
    outcome = train(config(steps_per_call=K), data, folder, cache, progress=progress)
    end = at if at % PER_EPOCH == 0 else at + -(at % PER_EPOCH) % K
    assert outcome.steps == checkpoint.load(folder / "last").meta["step"] == end
    train(config(steps_per_call=K), data, folder, cache, resume=True)
    assert result(folder) == result(single)


def test_a_run_stopped_between_groups_is_resumed(data, tmp_path, single):
    """A run of single steps, stopped at step 1, goes on in groups of 3: all three fit in the epoch."""
    folder, cache = tmp_path / "run", Cache(tmp_path / "cache")
    progress, _ = stopper(1, press)
    assert train(config(), data, folder, cache, progress=progress).steps == 1
    train(config(steps_per_call=K), data, folder, cache, resume=True)
    assert result(folder) == result(single)


def test_a_loss_that_is_no_number_ends_at_its_step(data, tmp_path):
    """The trace of a run in groups then ends where that of single steps ends."""
    traces = []
    for count in (1, K):
        folder = tmp_path / f"run{count}"
        schedule = config().training
        wild = config(training=type(schedule)(schedule.epochs, schedule.batch, 1e30), steps_per_call=count)
        with pytest.raises(NonFiniteError, match="the loss of step 1"):
            train(wild, data, folder, Cache(tmp_path / "cache"), progress=Progress())
        traces.append((folder / "trace.jsonl").read_bytes())
    assert traces[0] == traces[1]


def test_more_steps_than_an_epoch_has_is_an_error(data, tmp_path):
    with pytest.raises(UserError, match="`steps_per_call` wants at most the 4 steps of an epoch, got 5"):
        train(config(steps_per_call=PER_EPOCH + 1), data, tmp_path / "run", Cache(tmp_path / "cache"))


def test_run_json_says_both_and_an_old_one_neither():
    plain = config().to_json()
    assert "steps_per_call" not in plain
    assert "accumulate" not in plain["recipe"]
    assert from_json(plain, "here") == config()
    other = config(recipe=Recipe(accumulate=4), steps_per_call=8)
    table = json.loads(json.dumps(other.to_json()))
    assert (table["steps_per_call"], table["recipe"]["accumulate"]) == (8, 4)
    assert from_json(table, "here") == other
    assert "steps_per_call" not in other.recipe_json
    assert other.recipe_json["recipe"]["accumulate"] == 4
    for damaged in ("8", 1.5, None, True):
        with pytest.raises(UserError, match="steps_per_call wants a finite int"):
            from_json({**table, "steps_per_call": damaged}, "here")


def test_an_accumulated_run_is_resumed_bit_for_bit(data, tmp_path):
    recipe, cache = Recipe(accumulate=2), Cache(tmp_path / "cache")
    train(config(recipe=recipe), data, tmp_path / "whole", cache)
    progress, _ = stopper(5, press)
    train(config(recipe=recipe), data, tmp_path / "stopped", cache, progress=progress)
    train(config(recipe=recipe), data, tmp_path / "stopped", cache, resume=True)
    assert result(tmp_path / "whole") == result(tmp_path / "stopped")
    header = json.loads((tmp_path / "whole" / "trace.jsonl").read_text().splitlines()[0])
    assert header["recipe"]["recipe"]["accumulate"] == 2


@pytest.mark.parametrize("word", ["xla", "cpu"])
def test_a_backend_accumulates_as_the_evaluator_does(word, compiled):
    program = build(MLP, Recipe(accumulate=2), BATCH)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, 8, 8, 1)).astype(np.float32)
    y = rng.integers(0, 10, BATCH).astype(np.int32)
    found = []
    for each in ("reference", word):
        session = Trainer(prepare(program, parse_target(each), compiled))
        session.init(1)
        found.append((session.train_step(x, y, 1e-3), session.fetch()))
    (metrics, state), (theirs, other) = found
    for name in metrics:
        np.testing.assert_allclose(theirs[name], metrics[name], rtol=1e-5)
    for name in (f"m/{p.name}" for p in MLP.params):  # 0.1 of the gradient
        np.testing.assert_allclose(other[name], state[name], atol=1e-6)
