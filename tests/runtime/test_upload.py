"""Batches are uploaded by the thread that makes them, where the backend allows it; an error there ends the run."""

import threading

import numpy as np
import pytest

from netc.netspec.errors import NetcError
from netc.runtime import session as sessions
from netc.runtime.backends.reference import ReferenceLoaded
from netc.runtime.cache.store import Cache
from netc.runtime.data.errors import DataError
from netc.runtime.train import train
from netc.traces.read import read
from tests.runtime.test_train import BATCH, STEPS, config, digits, no_waiting_for_the_disk, result

__all__ = ["no_waiting_for_the_disk"]  # a fixture that every test here uses


class Uploaded(np.ndarray):
    """An array that `put` has seen."""


class Watching(ReferenceLoaded):
    """The evaluator; notes which thread puts images, and wants every argument of a step to have been put."""

    concurrent_put = True

    def __init__(self, source, fail=None):
        super().__init__(source)
        self.threads, self.steps, self.fail = [], 0, fail

    def put(self, array, axis=None):
        if np.ndim(array) >= 4 and len(array) == BATCH:
            if self.fail is not None and len(self.threads) == self.fail:
                raise NetcError("the device is full")
            self.threads.append(threading.current_thread())
        return np.asarray(array).view(Uploaded)

    def get(self, buffer):
        return np.asarray(buffer)

    def call(self, function, args):
        if function == "train_step":
            assert all(isinstance(a, Uploaded) for a in args[-3:]), "a batch that is not on the device"
            assert threading.current_thread() is threading.main_thread()
            self.steps += 1
        return super().call(function, [np.asarray(a) for a in args])


@pytest.fixture
def watch(monkeypatch):
    def start(**given):
        made = []

        def load(source, target):
            made.append(kind(source, **given))
            return made[-1]

        monkeypatch.setattr(sessions, "load", load)
        return made

    kind = Watching
    return start


def uploads(loaded):
    """The names of the threads that put the training batches; evaluation puts its own on the main one."""
    return [t.name for t in loaded.threads if t is not threading.main_thread()]


def test_the_thread_that_makes_a_batch_uploads_it(watch, tmp_path):
    made = watch()
    train(config(), digits(), tmp_path / "run", Cache(tmp_path / "cache"))
    assert made[0].steps == STEPS
    assert uploads(made[0]) == ["netc-prefetch"] * STEPS


def test_a_backend_that_wants_one_thread_has_one(watch, tmp_path, monkeypatch):
    """The trace is the same."""
    for name, concurrent in (("one", False), ("two", True)):
        monkeypatch.setattr(Watching, "concurrent_put", concurrent)
        made = watch()
        train(config(), digits(), tmp_path / name, Cache(tmp_path / "cache"))
        assert len(uploads(made[0])) == (STEPS if concurrent else 0)
    assert result(tmp_path / "one") == result(tmp_path / "two")


def test_an_error_of_the_upload_ends_the_run_at_its_step(watch, tmp_path):
    """The steps before it are in the trace; the thread is gone."""
    watch(fail=3)
    before = set(threading.enumerate())  # an earlier test's kept traceback may hold a thread of its own
    with pytest.raises(NetcError, match="the device is full"):
        train(config(), digits(), tmp_path / "run", Cache(tmp_path / "cache"))
    assert [s.step for s in read(tmp_path / "run" / "trace.jsonl").steps] == [0, 1, 2]
    assert not [t for t in set(threading.enumerate()) - before if t.name == "netc-prefetch"]


def test_an_error_of_the_data_too(watch, tmp_path, monkeypatch):
    watch()
    data = digits()
    images, seen = type(data.train).images, []

    def damaged(split, indices):
        if len(indices) == BATCH and split is data.train:
            seen.append(1)
            if len(seen) == 3:
                raise DataError("image 7 is damaged")
        return images(split, indices)

    monkeypatch.setattr(type(data.train), "images", damaged)
    with pytest.raises(DataError, match="image 7 is damaged"):
        train(config(), data, tmp_path / "run", Cache(tmp_path / "cache"))
    assert [s.step for s in read(tmp_path / "run" / "trace.jsonl").steps] == [0, 1]
