"""Training: the same trace and the same state however often and wherever a run was stopped; and how a run fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.program import build
from netc.netspec.augment import Augment
from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.layers import BatchNorm, Dense, Flatten
from netc.netspec.recipe import SGD, Adam, Recipe, TrainConfig
from netc.netspec.regularisation import Regularisation
from netc.netspec.spec import NetSpec
from netc.runtime.cache.store import Cache
from netc.runtime.data.dataset import ArraySplit, Dataset, array_digest
from netc.runtime.data.digits import read_digits
from netc.runtime.evaluate import evaluate, open_session, predict
from netc.runtime.run import checkpoint
from netc.runtime.run.config import RunConfig
from netc.runtime.train import NonFiniteError, Progress, train
from netc.traces.errors import TraceError
from netc.traces.schema import EvalRecord, StepRecord

BATCH, EPOCHS, PER_EPOCH = 16, 3, 4
STEPS = EPOCHS * PER_EPOCH
NET = NetSpec(
    "digits", (8, 8, 1), (Flatten(), Dense(6, activation="relu", name="hidden"), BatchNorm(), Dense(10, name="head"))
)
CLASSES = tuple("0123456789")


def digits():
    """70 images to train on, four batches and a rest; 20 to test on, one batch and a padded one."""
    train_all, test_all = read_digits()
    train_part = ArraySplit(train_all.pixels[:70], train_all.labels[:70])
    test_part = ArraySplit(test_all.pixels[:20], test_all.labels[:20])
    digest = array_digest(CLASSES, train_part, test_part)
    return Dataset("digits", train_part, test_part, CLASSES, digest, "here", "BSD", Augment(), (8, 8, 1))


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Nothing here pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def config(**changes):
    plain = RunConfig(
        check(NET), Recipe(), TrainConfig(EPOCHS, BATCH, 0.01, warmup=0.5), "digits", 11, "reference", Augment(crop=1)
    )
    return replace(plain, **changes)


def result(folder):
    """What must not depend on how a run was stopped: the trace's bytes, and both checkpoints."""
    held = {name: checkpoint.load(folder / name) for name in ("last", "best")}
    states = {n: {k: v.tobytes() for k, v in c.tensors.items()} for n, c in held.items()}
    return (folder / "trace.jsonl").read_bytes(), states, {n: c.meta for n, c in held.items()}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    outcome = train(config(), data, folder, Cache(folder.parent / "cache"))
    assert (outcome.steps, outcome.interrupted) == (STEPS, False)
    return folder


class Stop(BaseException):
    """A death that nothing in the program expects."""


def stopper(at, how):
    """Progress that calls `how` once `at` steps are done, and hooks of the evaluation and the start likewise."""
    seen = []

    def stepped(record, seconds):
        seen.append(record.step)
        if record.step + 1 == at:
            how()

    return Progress(stepped=stepped), seen


def die():
    raise Stop


def press():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("at", range(1, STEPS + 1))
@pytest.mark.parametrize("how", [die, press], ids=["death", "ctrl-c"])
def test_a_stop_at_any_step_leaves_no_mark(at, how, data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    progress, _ = stopper(at, how)
    if how is die:
        with pytest.raises(Stop):
            train(config(), data, folder, cache, progress=progress)
    else:
        outcome = train(config(), data, folder, cache, progress=progress)
        assert (outcome.steps, outcome.interrupted, outcome.signal) == (at, True, signal.SIGINT)
        assert checkpoint.load(folder / "last").meta["step"] == at
    done = train(config(), data, folder, cache, resume=True)
    assert (done.steps, done.interrupted) == (STEPS, False)
    assert result(folder) == result(whole)


def test_many_deaths_in_one_run(data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    for number, at in enumerate((3, 2, 6, 7, 4, 9, 12)):
        progress, seen = stopper(at, die)
        try:
            train(config(), data, folder, cache, resume=number > 0, progress=progress)
        except Stop:
            assert seen[-1] == at - 1
    train(config(), data, folder, cache, resume=True)
    assert result(folder) == result(whole)


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_a_death_after_an_evaluation(epoch, data, tmp_path, cache, whole):
    folder = tmp_path / "run"

    def evaluated(record):
        if record.epoch == epoch:
            raise Stop

    with pytest.raises(Stop):
        train(config(), data, folder, cache, progress=Progress(evaluated=evaluated))
    train(config(), data, folder, cache, resume=True)
    assert result(folder) == result(whole)


def test_a_death_before_the_first_step(data, tmp_path, cache, whole):
    """The folder then holds a run.json: the run can be continued, or the folder is free again."""
    folder = tmp_path / "run"

    def started(first, total):
        raise Stop

    with pytest.raises(Stop):
        train(config(), data, folder, cache, progress=Progress(started=started))
    train(config(), data, folder, cache, resume=(folder / "run.json").exists())
    assert result(folder) == result(whole)


def test_a_half_written_line_is_mended(data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    with (folder / "trace.jsonl").open("ab") as file:
        file.write(b'{"kind": "step", "st')
    train(config(), data, folder, cache, resume=True)
    assert result(folder) == result(whole)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.runtime.test_train import config, digits, stopper
from netc.runtime.cache.store import Cache
from netc.runtime.train import train
progress, _ = stopper(6, lambda: os.kill(os.getpid(), signal.SIGKILL))
train(config(), digits(), Path(sys.argv[1]), Cache(Path(sys.argv[2])), progress=progress)
"""


def test_a_killed_process_leaves_no_mark(data, tmp_path, cache, whole, pytestconfig):
    folder = tmp_path / "run"
    code = KILLED.format(root=str(pytestconfig.rootpath))
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    # ahead of the checkpoint of step 4: how far, the time between two writings decides
    assert [json.loads(x)["step"] for x in (folder / "trace.jsonl").read_text().splitlines()[1:]][-1] in (4, 5)
    train(config(), data, folder, cache, resume=True)
    assert result(folder) == result(whole)


def test_the_second_ctrl_c_ends_at_once(data, tmp_path, cache):
    handler = signal.getsignal(signal.SIGINT)

    def twice():
        press()
        press()

    progress, seen = stopper(2, twice)
    with pytest.raises(KeyboardInterrupt):
        train(config(), data, tmp_path / "run", cache, progress=progress)
    assert seen == [0, 1]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_finished_run_resumed_changes_nothing(data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    outcome = train(config(), data, folder, cache, resume=True)
    assert (outcome.steps, outcome.interrupted) == (STEPS, False)
    assert result(folder) == result(whole)


def test_header_and_manifest_name_the_net_alike(data, tmp_path, cache):
    """Also where the recipe puts a dropout into it."""
    own = config(recipe=Recipe(regularisation=Regularisation(head_dropout=0.2)))
    train(own, data, tmp_path / "run", cache)
    header = json.loads((tmp_path / "run" / "trace.jsonl").read_text().splitlines()[0])
    assert header["spec_sha256"] == build(own.net, own.recipe, BATCH).manifest["spec_sha256"] == check(NET).digest


def test_the_trace_says_what_happened(whole):
    records = [json.loads(line) for line in (whole / "trace.jsonl").read_text().splitlines()]
    header, *rest = records
    assert (header["net"], header["batch"], header["seed"], header["target"]) == ("digits", BATCH, 11, "reference")
    assert header["spec_sha256"] == check(NET).digest
    steps = [r for r in rest if r["kind"] == StepRecord.kind]
    evals = [r for r in rest if r["kind"] == EvalRecord.kind]
    assert [r["step"] for r in steps] == list(range(STEPS))
    assert [r["epoch"] for r in steps] == [s // PER_EPOCH for s in range(STEPS)]
    assert [(r["step"], r["epoch"], r["count"]) for r in evals] == [
        (PER_EPOCH * (e + 1) - 1, e, 20) for e in range(EPOCHS)
    ]
    assert steps[0]["lr"] == pytest.approx(0.005) and steps[1]["lr"] == pytest.approx(0.01)  # float32 of half and all
    assert evals[-1]["loss"] < evals[0]["loss"]


# -- how a run fails -------------------------------------------------------------------------------------------------


def finite(folder, name):
    tensors = checkpoint.load(folder / name).tensors
    return all(np.isfinite(v).all() for v in tensors.values())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the run is meant to overflow
@pytest.mark.parametrize("rate", [1e20, 1e38])
@pytest.mark.parametrize("count", [70, 20])  # four steps an epoch, and one
def test_a_loss_that_is_no_number_stops_the_run(rate, count, data, tmp_path, cache):
    folder = tmp_path / "run"
    part = ArraySplit(data.train.pixels[:count], data.train.labels[:count])
    wild = config(training=TrainConfig(EPOCHS, BATCH, rate, decay="constant"), recipe=Recipe(SGD(0.9)))
    # found in the loss of a step, or else in what the step left: the test loss, or a tensor of the state
    found = (
        r"(the loss of step|the test loss after step|.* after step) \d+ is (nan|inf); the checkpoint .*last is the last"
    )
    with pytest.raises(NonFiniteError, match=found) as caught:
        train(wild, replace(data, train=part), folder, cache)
    step = int(str(caught.value).split("step ")[1].split(" ")[0])
    last = json.loads((folder / "trace.jsonl").read_text().splitlines()[-1])
    assert last["step"] == step
    if str(caught.value).startswith("the loss of step"):
        assert last["loss"] in ("NaN", "Infinity")
    # a state that is finite is kept although its test loss is not
    assert checkpoint.load(folder / "last").meta["step"] <= step + str(caught.value).startswith("the test loss")
    assert finite(folder, "last"), "the checkpoint that is called the last good one is not finite"


def test_a_folder_with_a_run_is_not_overwritten(data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    with pytest.raises(
        UserError, match=r"`out` wants a new folder, got .*run with run.json in it; resume that run, or choose"
    ):
        train(config(), data, folder, cache)
    assert result(folder) == result(whole)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 12}, "seed"),
        ({"target": "xla"}, "target"),
        ({"training": TrainConfig(EPOCHS, BATCH, 0.02)}, "recipe"),
        ({"recipe": Recipe(Adam(0.8))}, "recipe"),
        ({"recipe": Recipe(SGD())}, "the state wants|recipe"),
        ({"net": check(replace(NET, name="other"))}, "belongs to another spec than run.json"),
    ],
)
def test_a_run_is_not_continued_as_another(change, sentence, data, tmp_path, cache, whole):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    with pytest.raises((NetcError, TraceError), match=sentence):  # the command line prints both as a line
        train(config(**change), data, folder, cache, resume=True)
    assert result(folder) == result(whole)


def test_data_and_net_must_fit(data, tmp_path, cache):
    small = check(NET.with_classes(9))
    with pytest.raises(UserError, match="digits has 10 classes, got a net with 9 outputs; give `classes=10`"):
        train(config(net=small), data, tmp_path / "run", cache)
    with pytest.raises(NetcError, match="`batch=71` is more than the 70 training examples; make it 70 or less"):
        train(config(training=TrainConfig(1, 71)), data, tmp_path / "run", cache)
    other = check(NET.with_input((9, 8, 1)))
    with pytest.raises(NetcError, match=r"examples of shape \(8, 8, 1\) were given to a net that wants \(9, 8, 1\)"):
        train(config(net=other), data, tmp_path / "run", cache)
    assert not (tmp_path / "run" / "run.json").exists()


# -- afterwards ------------------------------------------------------------------------------------------------------


def test_evaluation_agrees_with_the_trace(data, whole, cache):
    evals = [json.loads(x) for x in (whole / "trace.jsonl").read_text().splitlines() if '"eval"' in x]
    score = evaluate(config(), data, whole, "last", "reference", cache)
    assert np.float32(score.loss) == np.float32(evals[-1]["loss"])
    assert np.float32(score.accuracy) == np.float32(evals[-1]["accuracy"])
    assert score.count == 20
    best = evaluate(config(), data, whole, "best", "reference", cache)
    assert np.float32(best.accuracy) == np.float32(max(e["accuracy"] for e in evals))


def test_prediction_agrees_with_evaluation(data, whole, cache, tmp_path):
    from PIL import Image

    paths = []
    for i, pixels in enumerate(data.test.images(np.arange(20))):
        paths.append(tmp_path / f"{i:02}.png")
        Image.fromarray(pixels[..., 0]).save(paths[-1])
    guesses = list(predict(config(), paths, whole, "last", "reference", cache))
    assert [g.image for g in guesses] == [str(p) for p in paths]
    for g in guesses:
        chances = [p for _, p in g.classes]
        assert sum(chances) == pytest.approx(1, rel=1e-12)  # float64, ten terms
        assert chances == sorted(chances, reverse=True)
        assert {n for n, _ in g.classes} == set(CLASSES)
    right = np.mean([int(g.classes[0][0]) == label for g, label in zip(guesses, data.test.labels, strict=True)])
    assert right == evaluate(config(), data, whole, "last", "reference", cache).accuracy


def test_another_spec_is_not_opened(whole, cache):
    other = config(net=check(replace(NET, name="other")))
    with pytest.raises(UserError, match=r"last belongs to another spec than run\.json; give the run"):
        open_session(other, whole, "last", "reference", cache)
    with pytest.raises(UserError):
        open_session(config(), whole, "no-such", "reference", cache)


def test_a_run_that_checks_labels_says_so_and_goes_on(data, cache, tmp_path):
    """Data sets are checked when they are read, so nothing is left out: the losses are those of a run without."""
    checked = config(recipe=Recipe(check_labels=True), training=TrainConfig(2, BATCH, 0.01))
    train(checked, data, tmp_path / "checked", cache)
    assert json.loads((tmp_path / "checked" / "run.json").read_text())["recipe"]["check_labels"] is True
    plain = config(training=TrainConfig(2, BATCH, 0.01))
    train(plain, data, tmp_path / "plain", cache)
    lines = [(tmp_path / n / "trace.jsonl").read_text().splitlines()[1:] for n in ("checked", "plain")]
    losses = [[json.loads(line)["loss"] for line in found] for found in lines]
    np.testing.assert_allclose(*losses, rtol=1e-4)
