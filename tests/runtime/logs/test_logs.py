"""Logs beside the trace: the same numbers, and after a kill and a resume none of them twice."""

from __future__ import annotations

import csv
import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

import netc
from netc import layers as nn
from netc.cli.main import _run
from netc.netspec.install import install_extra
from netc.runtime.logs import table
from netc.runtime.logs.csv_file import HEAD
from netc.runtime.logs.log import LoggedRun
from netc.runtime.logs.tee import Tee
from netc.traces.schema import EvalRecord, StepRecord, TimingRecord

EPOCH = 12  # steps
TAGS = {"train/loss": "loss", "train/lr": "lr", "train/grad_norm": "grad_norm", "train/param_norm": "param_norm"}


@pytest.fixture
def train(tmp_path, monkeypatch, artefacts):
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 128)
    data = netc.Dataset.from_arrays((rng.normal(size=(128, 5)) + np.eye(5)[y]).astype(np.float32), y)
    assert len(data.train) // 8 >= EPOCH
    data = netc.Dataset.from_arrays(*(a[: 8 * EPOCH] for a in data.arrays()), *data.arrays("test"))
    net = netc.NetSpec("tiny", (5,), (nn.Dense(3),))

    def go(folder, **words):
        words = {"log_every": 2, **words} if words.get("log", "none") != "none" else words
        return netc.train(net, data, target="reference", epochs=3, batch=8, out=tmp_path / folder, **words)

    go.data = data
    return go


@pytest.fixture
def killed(train, tmp_path):
    """`killed(log)`: the folder of a run that was killed in its third epoch, with its logs ahead of its checkpoint."""

    def go(log, **words):
        def look(done):
            if done.step == 2 * EPOCH + 4:
                time.sleep(0.3)  # longer than the trace waits with its writing, so that this step is written
            if done.step == 2 * EPOCH + 5:
                time.sleep(0.6)  # until the logs' thread has followed
                shutil.copytree(tmp_path / "whole", tmp_path / "killed")

        train("whole", log=log, on_step=look, **words)
        return tmp_path / "whole", tmp_path / "killed"

    return go


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_csv_has_the_numbers_of_the_trace(train):
    run = train("run", log="csv", log_every=1)
    found = rows(run.folder)
    steps = [r for r in found if r["loss"]]
    assert [int(r["step"]) for r in steps] == list(range(3 * EPOCH))
    for row, record in zip(steps, run.trace.steps, strict=True):
        assert [float(row[n]) for n in TAGS.values()] == pytest.approx([getattr(record, n) for n in TAGS.values()])
    tests = [r for r in found if r["test_loss"]]
    assert [(int(r["step"]), int(r["epoch"])) for r in tests] == [(e.step, e.epoch) for e in run.trace.evals]
    assert [np.float32(r["test_accuracy"]) for r in tests] == [np.float32(e.accuracy) for e in run.trace.evals]
    lines = (run.folder / "trace.jsonl").read_text().splitlines()
    assert [r["loss"] for r in steps] == [str(json.loads(x)["loss"]) for x in lines if '"kind": "step"' in x]
    assert tuple(found[0]) == HEAD


def test_logs_change_no_bit_and_are_left_out_of_the_trace(train):
    plain, logged = train("plain"), train("logged", log="csv")
    assert (plain.folder / "trace.jsonl").read_bytes() == (logged.folder / "trace.jsonl").read_bytes()
    assert not (plain.folder / "metrics.csv").exists()
    assert "logging" not in json.loads((plain.folder / "run.json").read_text())
    assert [int(r["step"]) for r in rows(logged.folder) if r["loss"]] == list(range(0, 3 * EPOCH, 2))


def test_a_killed_run_has_the_csv_of_an_unbroken_one(killed, train):
    whole, folder = killed("csv")
    assert int(rows(folder)[-1]["step"]) > 2 * EPOCH  # ahead of the checkpoint
    netc.resume(folder, train.data)
    assert (folder / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def test_a_log_that_is_asked_for_later_has_the_steps_before_it(train, tmp_path):
    train("run", on_step=lambda done: done.step == EPOCH + 3)
    netc.resume(tmp_path / "run", train.data, log="csv", log_every=2)
    whole = train("whole", log="csv")
    assert (tmp_path / "run/metrics.csv").read_bytes() == (whole.folder / "metrics.csv").read_bytes()
    assert json.loads((tmp_path / "run/run.json").read_text())["logging"] == {"to": ["csv"], "every": 2}


def events(folder):
    """(tag, step) -> (value, wall time) of all event files, as TensorBoard itself reads them; none twice."""
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    found = {}
    for path in sorted((folder / "tensorboard").glob("*tfevents*")):
        for event in loader.LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                assert (value.tag, event.step) not in found
                found[value.tag, event.step] = value.simple_value, event.wall_time
    return found


def test_tensorboard_reads_the_event_files(killed, train):
    pytest.importorskip("tensorboardX")
    whole, folder = killed("tensorboard")
    before = events(folder)
    assert max(step for _, step in before) > 2 * EPOCH
    netc.resume(folder, train.data)
    expected, after = events(whole), events(folder)
    trace = netc.load(str(folder)).trace
    for record in trace.steps[::2]:
        for tag, name in TAGS.items():
            assert after[tag, record.step][0] == np.float32(getattr(record, name))
    for record in trace.evals:
        assert after["test/accuracy", record.step][0] == np.float32(record.accuracy)
    timed = {k: v[0] for k, v in after.items() if not k[0].startswith("time/")}
    assert timed == {k: v[0] for k, v in expected.items() if not k[0].startswith("time/")}
    assert after.keys() == expected.keys()  # the times of the steps too
    old = [k for k in before if k[1] < 2 * EPOCH]
    assert old and all(after[k] == before[k] for k in old)  # with their own wall times
    assert len(list((folder / "tensorboard").iterdir())) == 1


def test_an_event_file_that_was_cut_short_is_taken_up_to_there(train, tmp_path):
    pytest.importorskip("tensorboardX")
    train("run", log="tensorboard", on_step=lambda done: done.step == EPOCH + 3)
    (path,) = (tmp_path / "run/tensorboard").iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    netc.resume(tmp_path / "run", train.data)
    assert ("train/loss", 3 * EPOCH - 2) in events(tmp_path / "run")


def test_mlflow_has_each_step_once(killed, train):
    tracking = pytest.importorskip("mlflow.tracking")
    whole, folder = killed("mlflow")
    # the copied folder's store is its own
    netc.resume(folder, train.data)
    client = tracking.MlflowClient(tracking_uri=(folder / "mlruns").as_uri())
    found = client.get_run((folder / "mlflow-run").read_text().strip())
    for tag, name in TAGS.items():
        history = client.get_metric_history(found.info.run_id, tag)
        assert [(m.step, np.float32(m.value)) for m in history] == [
            (s.step, np.float32(getattr(s, name))) for s in netc.load(str(whole)).trace.steps[::2]
        ]
    assert len(client.get_metric_history(found.info.run_id, "test/accuracy")) == 3
    assert found.info.status == "FINISHED" and found.data.params["recipe.optimizer.kind"] == "adam"


def test_wandb_gets_each_step_once_offline(killed, train, monkeypatch):
    wandb = pytest.importorskip("wandb")
    sent = []
    real = wandb.init

    def init(**words):
        run = real(**words)
        log = run.log
        monkeypatch.setattr(type(run), "log", lambda self, row, step: (sent.append((step, row)), log(row, step=step)))
        return run

    whole, folder = killed("wandb")
    assert list((whole / "wandb").glob("offline-run-*/*.wandb"))
    mark = int((folder / "wandb-step").read_text().split()[0])
    assert 2 * EPOCH <= mark < 3 * EPOCH
    monkeypatch.setattr(wandb, "init", init)
    netc.resume(folder, train.data)
    steps = [step for step, _ in sent]
    assert steps == [s for s in range(2 * EPOCH, 3 * EPOCH) if s > mark and (s % 2 == 0 or s == 3 * EPOCH - 1)]
    assert "test/loss" in sent[-1][1] and (folder / "wandb-step").read_text() == f"{3 * EPOCH - 1} 1\n"


def test_what_log_refuses(train, monkeypatch):
    with pytest.raises(netc.UserError, match="`log` wants one of csv, tensorboard, wandb, mlflow, got 'cvs'; did you"):
        train("run", log="cvs")
    with pytest.raises(netc.UserError, match="`log_every` wants 1 or more steps, got 0"):
        train("run", log="csv", log_every=0)
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    with pytest.raises(netc.UserError) as caught:
        train("run", log="csv,tb")
    assert str(caught.value) == f"`log=tensorboard` wants tensorboardX, got none; {install_extra('tensorboard')}"


class Broken:
    errors = ()

    def __init__(self):
        self.calls = 0

    def write(self, records):
        self.calls += 1
        raise OSError("no space left on device")

    def close(self):
        raise AssertionError("it was left out before")


class Kept:
    errors = ()

    def __init__(self):
        self.records, self.closed = [], False

    def write(self, records):
        self.records += records

    def close(self):
        self.closed = True


def test_a_log_that_fails_is_left_out_and_the_run_goes_on():
    said, broken, kept = [], Broken(), Kept()
    tee = Tee({"csv": broken, "other": kept}, 5, said.append)
    for step in range(20):
        tee.take(StepRecord(step, 0, 1.0, 0.1, 1.0, 1.0))
        tee.take(TimingRecord(step, 0.5))
        time.sleep(0.01)
    tee.take(EvalRecord(19, 0, 1.0, 0.5, 10))
    tee.close()
    assert [r.step for r in kept.records if isinstance(r, StepRecord)] == [0, 5, 10, 15] and kept.closed
    assert isinstance(kept.records[-1], EvalRecord) and broken.calls == 1
    assert said == ["csv is no longer logged to, because it failed: no space left on device; the run continues"]


def test_the_command(tmp_path, monkeypatch, artefacts, capsys):
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))
    monkeypatch.chdir(tmp_path)
    words = ("--target", "reference", "--epochs", "1", "--out", "run", "--quiet", "--input", "8x8x1")
    assert _run(["train", "mnist-mlp", *words, "--log", "csv", "--log-every", "20"]) == 0
    assert [int(r["step"]) for r in rows(tmp_path / "run") if r["loss"]] == [0, 20, 40]
    assert _run(["train", "--resume", "run", "--epochs", "2", "--log", "none"]) == 0
    assert [int(r["step"]) for r in rows(tmp_path / "run") if r["loss"]] == [0, 20, 40]
    assert 'log = "none"' not in (tmp_path / "run/config.toml").read_text()
    assert 'log = "csv"' in (tmp_path / "run/config.toml").read_text()


def test_a_log_knows_nothing_of_a_run_but_what_it_is_given(tmp_path):
    for kind in [table.LOGS["csv"]]:
        log = kind.opened(LoggedRun(tmp_path, "run", {}))
        log.close()
    assert (tmp_path / "metrics.csv").read_text() == ",".join(HEAD) + "\n"


class Opened:
    def __init__(self, run):
        Opened.last = self
        self.closed = False

    def close(self):
        self.closed = True


def test_a_log_that_cannot_be_opened_begins_no_run_and_leaves_none_open(train, tmp_path, monkeypatch):
    def fails(run):
        raise RuntimeError("no such server")

    rows = {"tensorboard": replace(table.LOGS["tensorboard"], opened=fails, package="")}
    rows["csv"] = replace(table.LOGS["csv"], opened=Opened)
    for word, row in rows.items():
        monkeypatch.setitem(table.LOGS._rows, word, row)
    with pytest.raises(netc.UserError, match="`log=tensorboard` wants a log that can be opened, got: no such server"):
        train("run", log="csv,tensorboard")
    assert Opened.last.closed and not (tmp_path / "run/run.json").exists()
    assert train("run", log="none").steps == 3 * EPOCH


def test_a_damaged_event_file_ends_where_it_is_damaged(train, tmp_path):
    pytest.importorskip("tensorboardX")
    train("run", log="tensorboard")
    (file,) = (tmp_path / "run/tensorboard").iterdir()
    content = bytearray(file.read_bytes())
    length = int.from_bytes(content[:8], "little")
    content[12 : 12 + length] = b"\xff" * length
    file.write_bytes(content)
    assert netc.resume(tmp_path / "run", train.data, epochs=4).steps == 4 * EPOCH


def test_any_error_of_a_log_is_noted():
    class Odd(Broken):
        def write(self, records):
            raise ZeroDivisionError("of a package")

    said = []
    tee = Tee({"csv": Odd()}, 1, said.append)
    tee.take(StepRecord(0, 0, 1.0, 0.1, 1.0, 1.0))
    tee.close()
    assert said == ["csv is no longer logged to, because it failed: of a package; the run continues"]


def test_more_epochs_of_a_run_that_max_steps_ends_are_refused(train, tmp_path):
    train("run", max_steps=5)
    with pytest.raises(netc.UserError, match="`max_steps` ends this run after step 5, got also `epochs=9`"):
        netc.resume(tmp_path / "run", train.data, epochs=9)


def test_words_that_would_do_nothing_are_refused(train):
    with pytest.raises(netc.UserError, match="`aug_repeats` wants images, which are augmented"):
        train("run", aug_repeats=2)
    with pytest.raises(netc.UserError, match="`swa_start` wants a step of the run, below 36, got 36"):
        train("run", swa_start=3 * EPOCH)
