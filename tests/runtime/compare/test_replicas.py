"""`netc trace diff` between runs of one device and of several with the same batch, and where a fault was planted."""

from dataclasses import replace

import pytest

import netc
from netc.codegen import module_emitter
from netc.codegen.distribute.meeting import met
from netc.codegen.random import step_key
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import Dense, Dropout, Flatten
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.spec import NetSpec
from netc.runtime.cache.store import Cache
from netc.runtime.compare.noise import measure
from netc.runtime.compare.replay import refuse_other_function, replay_of
from netc.runtime.train import Progress, train
from tests.runtime.test_train import config, digits

SYNCED = {"recipe": Recipe(sync_bn=True), "training": TrainConfig(1, 16, 0.01)}
DROP = NetSpec("drop", (8, 8, 1), (Flatten(), Dense(12, name="a"), Dropout(0.5), Dense(10, name="head")))
DRAWN = {**SYNCED, "recipe": Recipe(), "net": check(DROP)}


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture(scope="module")
def ran(data, tmp_path_factory):
    """Runs by their names, each taken once."""
    root = tmp_path_factory.mktemp("runs")

    def run(name, words, devices=1):
        if not (root / name).exists():
            train(config(**words, devices=devices), data, root / name, Cache(root / "cache"))
        return root / name

    return run


@pytest.fixture(scope="module")
def floors(data):
    return {
        "synced": measure(replay_of(config(**SYNCED), data), 4),
        "drawn": measure(replay_of(config(**DRAWN), data), 4),
    }


def test_a_joint_batch_norm_agrees_with_one_device_and_one_of_each_differs(ran, floors):
    one = ran("one", SYNCED)
    assert netc.trace.diff(one, ran("four", SYNCED, 4), noise=floors["synced"]).agree
    own = {**SYNCED, "recipe": Recipe()}
    floor = replace(floors["synced"], recipe=config(**own).recipe_json)
    assert not netc.trace.diff(ran("own", own), ran("own four", own, 4), noise=floor).agree


def test_what_looks_at_a_run_as_of_one_device_refuses_one_that_computes_something_else():
    several = config(**SYNCED, devices=4)
    refuse_other_function(several, "noise")
    refuse_other_function(config(recipe=Recipe()), "noise")
    with pytest.raises(UserError, match="noise wants a run whose devices compute what one does, got 4 with batch norm"):
        refuse_other_function(replace(several, recipe=Recipe()), "noise")
    with pytest.raises(UserError, match=r"emit-jax wants .* got 2 with draws of each one's own; name the net"):
        refuse_other_function(config(**DRAWN, devices=2), "emit-jax")


def mean_for_sum(b, found, held, replicas, *, synced):
    good = met(b, found, held, replicas, synced=synced)
    return replace(good, grads={n: b.mul(g, 1 / replicas) for n, g in good.grads.items()})


def one_left_out(b, found, held, replicas, *, synced):
    good = met(b, found, held, replicas, synced=synced)
    return replace(good, grads={**good.grads, "hidden.kernel": found.grads["hidden.kernel"]})


@pytest.mark.parametrize("fault", [mean_for_sum, one_left_out])
def test_a_fault_in_the_sums_is_told(fault, ran, floors, monkeypatch):
    monkeypatch.setattr(module_emitter, "met", fault)
    assert not netc.trace.diff(ran("one", SYNCED), ran(fault.__name__, SYNCED, 4), noise=floors["synced"]).agree


def test_keys_that_are_not_folded_are_told(ran, floors, monkeypatch):
    """One device draws otherwise, so this is beside a run of as many."""
    sound = ran("drawn", DRAWN, 4)
    monkeypatch.setattr(module_emitter, "step_key", lambda b, key, step, replicas: step_key(b, key, step))
    assert not netc.trace.diff(sound, ran("alike", DRAWN, 4), noise=floors["drawn"]).agree


def test_a_run_of_several_devices_goes_on_as_if_never_stopped(data, tmp_path):
    words, cache = {"training": TrainConfig(2, 16, 0.01)}, Cache(tmp_path / "cache")
    whole, parts = config(**words, devices=2), tmp_path / "parts"
    train(whole, data, tmp_path / "whole", cache)
    assert train(whole, data, parts, cache, progress=Progress(stepped=lambda done, seconds: done.step == 2)).interrupted
    train(whole, data, parts, cache, resume=True)
    assert (parts / "trace.jsonl").read_bytes() == (tmp_path / "whole" / "trace.jsonl").read_bytes()
