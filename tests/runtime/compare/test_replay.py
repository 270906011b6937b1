"""A replay feeds a run with what the run was fed with."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.evaluator import FloatArithmetic
from netc.netspec.errors import UserError
from netc.runtime.cache.store import Cache
from netc.runtime.compare.noise import replicas_of
from netc.runtime.compare.replay import first_state, replay_of
from netc.runtime.run.config import read_config
from netc.runtime.train import train
from netc.runtime.weights.pretrained import read_start, start_of_run
from netc.traces.read import read
from tests.runtime.test_train import STEPS, config, digits


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay") / "run"
    train(config(), digits(), folder, Cache(folder.parent / "cache"))
    return folder


def evaluator(program):
    """The replica that computes as the target `reference` does."""
    return replace(replicas_of(program)[1], arithmetic=FloatArithmetic("f32"))


def test_a_replay_is_the_run(run):
    from netc.codegen.program import build

    program = build(config().net, config().recipe, config().training.batch)
    state = first_state(program, config().seed)
    replica = evaluator(program)
    replay = replay_of(config(), digits(), run)
    recorded = read(run / "trace.jsonl").steps
    assert replay.total == STEPS
    for step, record in zip(replay.steps(), recorded, strict=True):
        results = replica.step(state, step)
        state = results[: len(program.state)]
        assert np.float32(results[len(program.state)]) == np.float32(record.loss)
        assert (step.index, step.epoch, step.lr) == (record.step, record.epoch, np.float32(record.lr))


def test_a_part_of_a_replay_is_that_part():
    replay = replay_of(config(), digits())
    whole = list(replay.steps())
    part = list(replay.steps(5, 9))
    assert [s.index for s in part] == [5, 6, 7, 8]
    for a, b in zip(part, whole[5:9], strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)
    assert list(replay.steps(STEPS, STEPS + 5)) == []


def test_given_weights_begin_a_replay(run, tmp_path):
    from netc.codegen.program import build

    start = read_start(config().net, run / "last", new_head=True)
    begun = config(init=start.digest, init_path=str(run / "last"), new_head=True, seed=5)
    train(begun, digits(), tmp_path / "run", Cache(tmp_path / "cache"), start=start)
    assert read_config(tmp_path / "run") == begun
    again = start_of_run(begun)
    replay = replay_of(begun, digits(), None, again)
    assert replay.normalise == start.normalise == replay_of(begun, digits(), tmp_path / "run", again).normalise
    program = build(begun.net, begun.recipe, begun.training.batch)
    state = replay.first_state(program)
    replica = evaluator(program)
    for step, record in zip(replay.steps(), read(tmp_path / "run" / "trace.jsonl").steps, strict=True):
        results = replica.step(state, step)
        state = results[: len(program.state)]
        assert np.float32(results[len(program.state)]) == np.float32(record.loss)


def test_other_weights_are_refused():
    with pytest.raises(UserError, match=r"wants the weights that the run started from \(a{12}\), got none"):
        replay_of(config(init="a" * 64), digits())
