"""A drawn run's first checkpoint comes after its first epoch: before that it goes on from its seed."""

import json
import shutil
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest

from netc.netspec.errors import NetcError
from netc.runtime.cache.store import Cache
from netc.runtime.run import checkpoint
from netc.runtime.run.resume import left_off
from netc.runtime.train import Progress, train
from netc.runtime.weights.pretrained import Start
from netc.traces.errors import TraceError
from tests.runtime.test_train import PER_EPOCH, STEPS, Stop, config, die, digits, result, stopper

WEIGHTS = "5" * 64


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def whole(data, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(config(), data, folder, cache)
    return folder


def dead(at, data, folder, cache, **options):
    """A run that died after so many steps, or, without any, when it was about to begin."""
    if at:
        progress, _ = stopper(at, die)
    else:

        def started(first, total):
            raise Stop

        progress = Progress(started=started)
    with pytest.raises(Stop):
        train(options.pop("config", config()), data, folder, cache, progress=progress, **options)


@pytest.mark.parametrize("at", range(PER_EPOCH + 1))
def test_the_first_epoch_needs_no_checkpoint(at, data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    dead(at, data, folder, cache)
    assert (folder / "run.json").exists()
    assert not checkpoint.exists(folder / "last")
    dead(2, data, folder, cache, resume=True)  # and once more
    assert not checkpoint.exists(folder / "last")
    assert train(config(), data, folder, cache, resume=True).steps == STEPS
    assert result(folder) == result(whole)
    assert (folder / "run.json").read_bytes() == (whole / "run.json").read_bytes()


def test_a_death_between_best_and_last(data, tmp_path, cache, whole, monkeypatch):
    """`last` holds the trained epoch then, and the evaluation is made again."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(checkpoint, "restate", lambda *arguments: die())
        train(config(), data, folder, cache)
    assert checkpoint.load(folder / "best").meta["evaluated"] is True
    assert checkpoint.load(folder / "last").meta["evaluated"] is False
    assert json.loads((folder / "trace.jsonl").read_text().splitlines()[-1])["kind"] == "eval"
    train(config(), data, folder, cache, resume=True)
    assert result(folder) == result(whole)


def test_a_run_without_any_checkpoint_is_not_begun_again(data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "last")
    shutil.rmtree(folder / "best")
    trace = (folder / "trace.jsonl").read_bytes()
    with pytest.raises(checkpoint.CheckpointError, match="last wants a checkpoint, got none"):
        train(config(), data, folder, cache, resume=True)
    assert (folder / "trace.jsonl").read_bytes() == trace


def test_another_run_is_not_begun_in_its_place(data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    dead(2, data, folder, cache)
    with pytest.raises(TraceError, match="seed"):
        train(config(seed=12), data, folder, cache, resume=True)
    train(config(), data, folder, cache, resume=True)
    assert result(folder) == result(whole)


def test_given_weights_are_kept_before_the_first_step(data, tmp_path, cache):
    """Their source may be gone when the run is resumed."""
    given = config(init=WEIGHTS)
    bias = np.arange(10, dtype=np.float32)
    start = Start({"head.bias": bias}, None, WEIGHTS, ())
    whole, folder = tmp_path / "whole", tmp_path / "run"
    train(given, data, whole, cache, start=start)
    dead(0, data, folder, cache, config=given, start=start)
    np.testing.assert_array_equal(checkpoint.load(folder / "last").tensors["head.bias"], bias)
    assert train(given, data, folder, cache, resume=True).steps == STEPS
    assert result(folder) == result(whole)
    shutil.rmtree(folder / "last")
    shutil.rmtree(folder / "best")
    (folder / "trace.jsonl").unlink()
    with pytest.raises(checkpoint.CheckpointError, match="got none"):
        left_off(folder, given, PER_EPOCH, print)


def test_a_death_before_run_json_leaves_the_name_free(data, tmp_path, cache, monkeypatch):
    """Given weights are kept first. What is kept behind a first step is not given up so."""
    given, folder = config(init=WEIGHTS), tmp_path / "run"
    start = Start({"head.bias": np.ones(10, np.float32)}, None, WEIGHTS, ())
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr("netc.runtime.run.tokenizer.write_config", lambda *arguments: die())
        train(given, data, folder, cache, start=start)
    assert [p.name for p in folder.iterdir()] == ["last"]
    assert train(given, data, folder, cache, start=start).steps == STEPS
    for name in ("run.json", "spec.toml", "trace.jsonl", "timing.jsonl"):
        (folder / name).unlink()
    shutil.rmtree(folder / "best")
    with pytest.raises(NetcError, match=r"`out` wants a new folder, got .* with last in it"):
        train(given, data, folder, cache, start=start)


def test_a_disk_without_room_is_told_of_before_the_first_step(data, tmp_path, cache, monkeypatch):
    usage = namedtuple("usage", "total used free")
    folder = tmp_path / "run"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(NetcError, match=r"the checkpoint .*last wants 0 MB of its disk, got 0 MB; free some"):
        train(config(), data, folder, cache)
    assert not (folder / "run.json").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 0))  # a file system that does not say
    assert train(replace(config(), training=replace(config().training, epochs=1)), data, folder, cache).steps == 4
