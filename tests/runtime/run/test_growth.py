"""A long training holds no more memory than a short one: nothing that an epoch made is kept, not in rings either."""

import gc
import os
from dataclasses import replace

import pytest

from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import prefetch
from netc.runtime.train import Progress, train
from tests.runtime.test_train import config, digits


@pytest.fixture(autouse=True)
def python_looks_for_no_rings(monkeypatch):
    """As in the command line, which raises the threshold; here it is never reached."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    gc.collect()
    before = gc.get_threshold()
    gc.set_threshold(10**9)
    yield
    gc.set_threshold(*before)


def test_what_a_thread_makes_ahead_leaves_no_ring():
    for _ in range(2):  # the first time Python and the modules make what stays
        gc.collect()
        assert list(prefetch(iter(range(5)))) == list(range(5))
    assert gc.collect() == 0


def test_objects_do_not_grow_with_the_epochs(tmp_path):
    counts = []

    def count(record):
        counts.append(len(gc.get_objects()))

    given = config()
    given = replace(given, training=replace(given.training, epochs=30))
    train(given, digits(), tmp_path / "run", Cache(tmp_path / "cache"), progress=Progress(evaluated=count))
    assert counts[-1] - counts[9] < 20 * 5  # a few an epoch; each epoch's JSON alone leaves hundreds
