"""Between two steps: only what is logged is fetched, and records are made when they are written."""

from dataclasses import fields

import numpy as np
import pytest

from netc.codegen.program import build
from netc.netspec.recipe import Recipe
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.run import ledger as ledgers
from netc.runtime.run.ledger import Ledger, StepDone
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer
from netc.traces.schema import StepRecord
from tests.runtime.test_train import BATCH, config


def test_the_numbers_of_a_step_are_those_of_its_record():
    assert StepDone._fields == tuple(f.name for f in fields(StepRecord))


class Written(list):
    write, syncs = list.append, 0

    def sync(self):
        self.syncs += 1


def test_records_are_made_a_few_times_a_second_and_at_the_end(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(ledgers.time, "monotonic", lambda: now[0])
    trace = Written()
    with pytest.raises(KeyError), Ledger(trace) as ledger:
        for step, later in enumerate((0.0, 0.1, 0.2, 0.0)):
            now[0] += later
            ledger.add(StepDone(step, 0, 0.1, 1e-3, 2.0, float("nan")), 0.5)
            assert len(trace) == (2, 2, 6, 6)[step]  # the first at once, the others after a quarter of a second
        raise KeyError
    assert [record.kind for record in trace] == ["step", "timing"] * 4
    assert [record.step for record in trace] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert trace[0].loss == np.float32(0.1)
    assert trace.syncs == 1


def test_only_the_metrics_that_are_asked_for_are_fetched(tmp_path, monkeypatch):
    program = build(config().net, Recipe(norms=False), BATCH)
    session = Trainer(prepare(program, parse_target("reference"), Cache(tmp_path)))
    session.init(1)
    fetched, get = [], session.session.loaded.get
    monkeypatch.setattr(session.session.loaded, "get", lambda buffer: fetched.append(buffer) or get(buffer))
    feed = session.upload([np.zeros((BATCH, 8, 8, 1), np.float32)], [np.zeros(BATCH, np.int32)], [0.1])
    assert [*session.train(feed, ("loss", "grad_norm"))] == ["loss"]  # this program has no norms
    assert len(fetched) == 1
    assert [*session.train(feed)] == ["loss", "correct"]
