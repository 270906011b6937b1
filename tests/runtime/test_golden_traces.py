"""The committed traces of small nets on real digits: all pairs of targets agree, and the first steps come out again."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.program import build
from netc.runtime.compare.noise import measure, replicas_of
from netc.runtime.compare.replay import first_state, replay_of
from netc.runtime.data import catalog
from netc.runtime.prepare import prepare
from netc.runtime.run.config import read_config
from netc.runtime.target import parse_target
from netc.runtime.train import train
from netc.runtime.trainer import Trainer
from netc.traces.diff import diff
from netc.traces.floor import FILE, MEASURED, misfit, read_floor
from netc.traces.read import Trace, read
from netc.traces.schema import StepRecord
from tests.conftest import GOLDEN

NETS = ("mlp", "cnn")
TARGETS = {"reference", "cpu", "xla", "vulkan", "jax"}
AGAIN = 24  # steps


def golden_trace(net, target):
    return read(GOLDEN / "traces" / net / f"{target}.jsonl")


@pytest.fixture(scope="module", params=NETS)
def net(request):
    return request.param


@pytest.fixture(scope="module")
def floor(net):
    return read_floor(GOLDEN / "traces" / net / FILE)


@pytest.fixture(scope="module")
def replay(net, tmp_path_factory):
    config = read_config(GOLDEN / "traces" / net)
    return replay_of(config, catalog.load("digits", cache_dir=tmp_path_factory.mktemp("data")))


PAIRS = [
    (net, *pair)
    for net in NETS
    for pair in itertools.combinations(sorted(p.stem for p in (GOLDEN / "traces" / net).glob("*.jsonl")), 2)
]


def test_every_backend_that_needs_no_card_has_a_trace():
    for net in NETS:
        assert {t for n, *pair in PAIRS if n == net for t in pair} >= TARGETS


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_every_pair_agrees(pair):
    net, *targets = pair
    a, b = (golden_trace(net, target) for target in targets)
    assert [a.header.target, b.header.target] == targets
    floor = read_floor(GOLDEN / "traces" / net / FILE)
    report = diff(a, b, "cross-compiler", floor)
    assert report.agree, report.verdict
    assert report.steps == floor.steps == 200
    assert all("did not record it" in note for note in report.notes)  # nothing else was left out
    assert bool(report.notes) == ("vulkan" in targets)


def test_they_learn(net):
    assert golden_trace(net, "reference").evals[-1].accuracy > 0.6


def test_the_floor_is_of_this_training(net, floor):
    assert misfit(floor, golden_trace(net, "reference").header) == ""


def test_the_first_steps_come_out_again(net, floor, replay):
    """Within the floor, not bit for bit: the replicas' matrix products are those of this machine's BLAS."""
    config = replay.config
    program = build(config.net, config.recipe, config.training.batch)
    replica, state, records = replicas_of(program)[1], first_state(program, config.seed), []
    for step in replay.steps(0, AGAIN):
        results = replica.step(state, step)
        state = results[: len(program.state)]
        told = dict(zip(replica.function.result_names, results, strict=True))
        numbers = {name: float(told[name]) for name in MEASURED}
        records.append(StepRecord(step.index, step.epoch, lr=float(step.lr), **numbers))
    golden = golden_trace(net, "reference")
    report = diff(golden, Trace(golden.header, tuple(records), ()), "cross-compiler", floor, steps=AGAIN)
    assert report.agree, report.verdict


def test_the_floor_comes_out_again(net, floor, replay):
    again = measure(replay, 4)
    for name in MEASURED:
        assert again.envelope(name)[-1] <= 8 * floor.envelope(name)[3]
    assert again.gradient <= 8 * floor.gradient


# what a compiler or a rule could get wrong, small enough to train on
FAULTS = {
    "rate off by 1e-4": {"lr": 1.0001},
    "decay left out": {"optimizer": {"weight_decay": 0.0}},
    "no look ahead": {"optimizer": {"nesterov": False}},
    "momentum off by 1e-4": {"optimizer": {"momentum": 0.9001}},
    "an example twice": {"twice": True},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_still_trains_is_seen(fault):
    """The verdict has power: what is wrong by far less than anybody would see in a loss curve leaves the floor."""
    config = read_config(GOLDEN / "traces" / "mlp")
    change = FAULTS[fault]
    optimizer = replace(config.recipe.optimizer, **change.get("optimizer", {}))
    program = build(config.net, replace(config.recipe, optimizer=optimizer), config.training.batch)
    replay = replay_of(config, catalog.load("digits", cache_dir=GOLDEN))
    replica, state, records = replicas_of(program)[1], first_state(program, config.seed), []
    for step in replay.steps(0, AGAIN):
        wrong = replace(step, lr=np.float32(step.lr * change.get("lr", 1.0)))
        if change.get("twice"):
            wrong = replace(wrong, x=np.concatenate([step.x[:-1], step.x[:1]]))
        results = replica.step(state, wrong)
        state = results[: len(program.state)]
        told = dict(zip(replica.function.result_names, results, strict=True))
        records.append(
            StepRecord(step.index, step.epoch, lr=float(step.lr), **{name: float(told[name]) for name in MEASURED})
        )
    golden = golden_trace("mlp", "reference")
    floor = read_floor(GOLDEN / "traces" / "mlp" / FILE)
    report = diff(golden, Trace(golden.header, tuple(records), ()), "cross-compiler", floor, steps=AGAIN)
    assert not report.agree


@pytest.fixture(scope="module")
def small(tmp_path_factory, compiled):
    """Six steps of the golden mlp on the CPU through IREE, twice."""
    place = tmp_path_factory.mktemp("iree")
    config = read_config(GOLDEN / "traces" / "mlp")
    config = replace(config, target="cpu", training=replace(config.training, epochs=1))
    data = catalog.load("digits", cache_dir=place)
    for name in ("one", "two"):
        train(config, data, place / name, compiled)
    return config, data, place


def test_two_runs_through_iree_have_the_same_bytes(small):
    _, _, place = small
    one, two = ((place / name / "trace.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two


def test_the_cpu_alone_gives_the_bits_that_its_workers_give(small, compiled):
    """local-sync runs every dispatch on the calling thread, local-task on a pool of workers."""
    config, data, place = small
    program = build(config.net, config.recipe, config.training.batch)
    ready = prepare(program, parse_target("cpu"), compiled)
    assert ready.target.driver == "local-task"
    alone = Trainer(replace(ready, target=replace(ready.target, driver="local-sync")))
    alone.init(config.seed)
    recorded = read(place / "one" / "trace.jsonl").steps
    for step, record in zip(replay_of(config, data).steps(), recorded, strict=True):
        told = alone.train_step(step.x, step.y, float(step.lr))
        assert {name: float(told[name]) for name in MEASURED} == {name: getattr(record, name) for name in MEASURED}
