"""Runs that earlier versions wrote, as they lie in old_runs/: each is opened, evaluated and continued by this one."""

import json
import shutil
from pathlib import Path

import pytest

from netc.netspec.errors import UserError
from netc.netspec.loss import Focal
from netc.netspec.optimizers import Adam
from netc.netspec.schedules import Cosine
from netc.runtime.cache.store import Cache
from netc.runtime.data.catalog import load
from netc.runtime.data.resize import resized
from netc.runtime.evaluate import evaluate
from netc.runtime.run.config import from_json, read_config, write_config
from netc.runtime.run.records import read, written
from netc.runtime.train import train
from netc.traces.read import read as read_trace

OLD = Path(__file__).parent / "old_runs"
VERSIONS = sorted(path.name for path in OLD.iterdir())
RUN_JSON = json.loads((OLD / "0.1.0" / "run.json").read_text())


def test_a_run_of_the_first_version_is_kept():
    assert "0.1.0" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_read_evaluated_and_written_again(version, tmp_path):
    config = read_config(OLD / version)
    assert config.recipe.optimizer == Adam(weight_decay=0.01) and config.recipe.loss == Focal()
    assert config.training.decay == Cosine() and config.augment.crop == 1
    trace = read_trace(OLD / version / "trace.jsonl")
    assert trace.header.recipe["recipe"] == config.recipe_json["recipe"]  # so it can be resumed
    data = resized(load("digits", cache_dir=tmp_path), (8, 8, 1))
    found = evaluate(config, data, OLD / version, "last", "reference", Cache(tmp_path / "cache"))
    assert found.accuracy == pytest.approx(trace.evals[-1].accuracy, abs=1e-6)
    write_config(tmp_path / "again", config)
    assert json.loads((tmp_path / "again" / "run.json").read_text()) == json.loads(
        (OLD / version / "run.json").read_text()
    )


def test_a_field_that_it_lacks_has_its_default():
    table = json.loads(json.dumps(RUN_JSON))
    for record, field in (("schedule", "final"), ("augment", "flip"), ("saving", "keep")):
        del table[record][field]
    del table["recipe"]["optimizer"]["epsilon"], table["recipe"]["loss"]["alpha"], table["run_sha256"]
    assert from_json(table, "run.json") == read_config(OLD / "0.1.0")


@pytest.mark.parametrize("place", [(), ("recipe",), ("recipe", "optimizer"), ("schedule",), ("augment",), ("saving",)])
def test_a_field_that_is_not_known_is_a_newer_netcs(place):
    table = json.loads(json.dumps({k: v for k, v in RUN_JSON.items() if k != "run_sha256"}))
    inner = table
    for name in place:
        inner = inner[name]
    inner["nu"] = 1.0
    with pytest.raises(UserError, match=r"got also 'nu'; a newer netc wrote it: use that one"):
        from_json(table, "run.json")


def test_it_goes_on(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(OLD / "0.1.0", folder)
    config = read_config(folder)
    longer = from_json({**config.to_json(), "schedule": {**RUN_JSON["schedule"], "epochs": 2}}, "run.json")
    data = resized(load("digits", cache_dir=tmp_path), (8, 8, 1))
    outcome = train(longer, data, folder, Cache(tmp_path / "cache"), resume=True, same_bits=False)
    assert outcome.steps == 10


def test_what_is_written_is_read():
    assert read(Adam, {k: v for k, v in written(Adam(0.5)).items() if k != "kind"}, "here") == Adam(0.5)
