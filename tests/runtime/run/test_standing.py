"""Early stopping, plateau and the best by a metric: what evaluations decide, the same however a run was stopped."""

import math

import pytest

from netc.netspec import layers as nn
from netc.netspec.errors import UserError
from netc.netspec.recipe import TrainConfig
from netc.netspec.schedules import Plateau
from netc.netspec.spec import NetSpec
from netc.requests import planned, request_training
from netc.resuming import resumed
from netc.runs import Run
from netc.runtime.compare.replay import replay_of
from netc.runtime.run import checkpoint
from netc.runtime.run.standing import Comparison, Standing, moved
from netc.training import resume, train

NET = NetSpec("tiny", (8, 8, 1), (nn.Flatten(), nn.Dense(10, name="head")))
WORDS = {"target": "reference", "batch": 128, "warmup": 0, "lr": 0.5, "optimizer": "sgd"}
PER_EPOCH = 11
FILES = ("trace.jsonl", "run.json", "last/manifest.json", "last/state.safetensors", "best/manifest.json")


def walk(values, config, by):
    """The standings after each of these values, and which were the best."""
    found, standing = [], Standing()
    for value in values:
        standing, best = moved(standing, value, by, config)
        found.append((standing, best))
    return found


def test_plateau_falls_where_keras_and_torch_do():
    torch = pytest.importorskip("torch")
    values = [1.0, 0.9, 0.95, 0.91, 0.9, 0.5, 0.6, 0.7, 0.8, 0.9, 0.55, 0.4]
    config = TrainConfig(lr=1.0, decay=Plateau(0.5, 2))
    falls = [s.falls for s, _ in walk(values, config, Comparison("loss", higher=False))]
    optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=0.0)
    rates = []
    for value in values:
        schedule.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    assert [0.5**n for n in falls] == rates


def test_a_value_that_is_better_by_too_little_is_the_best_and_no_improvement():
    found = walk([1.0, 0.99, 0.8], TrainConfig(patience=2, min_delta=0.1), Comparison("loss", higher=False))
    assert [(s.since, best) for s, best in found] == [(0, True), (1, True), (0, True)]
    found = walk([0.5, math.nan, 0.6], TrainConfig(patience=2), Comparison("accuracy", higher=True))
    assert [(s.since, s.best, best) for s, best in found] == [(0, 0.5, True), (1, 0.5, False), (0, 0.6, True)]


def stops(at):
    """A callback that stops after a step."""
    return lambda done: done.step == at


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run whose rate falls, and which ends early."""
    folder = tmp_path_factory.mktemp("early") / "whole"
    said = []
    words = {"decay": "plateau", "wait": 1, "gamma": 0.5, "patience": 3, "min_delta": 0.2, "best_by": "f1"}
    run = train(NET, out=folder, epochs=12, on_note=said.append, **words, **WORDS)
    return run, said, words


def test_a_run_ends_early_and_its_rate_falls(whole):
    run, said, _ = whole
    evaluations = run.trace.evals
    assert run.steps == len(evaluations) * PER_EPOCH < 12 * PER_EPOCH and not run.stopped
    rates = [run.trace.steps[i * PER_EPOCH].lr for i in range(len(evaluations))]
    assert rates[-1] < rates[0] and {round(math.log2(0.5 / lr)) for lr in rates} >= {0, 1}
    assert any("f1 is no better: the learning rate falls to 0.25" in text for text in said)
    assert said[-1] == "f1 was no better 3 times in a row: the run ends"
    assert len(evaluations) == checkpoint.load(run.folder / "last").meta["step"] // PER_EPOCH


@pytest.mark.parametrize("at", [5, PER_EPOCH - 1, 2 * PER_EPOCH + 3, 4 * PER_EPOCH - 1])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(whole, tmp_path, at):
    run, _, words = whole
    folder = tmp_path / "run"
    stopped = train(NET, out=folder, epochs=12, on_step=stops(at), **words, **WORDS)
    assert stopped.stopped
    again = resume(folder)
    assert again.steps == run.steps
    for name in FILES:
        assert (folder / name).read_bytes() == (run.folder / name).read_bytes(), name
    assert resume(folder).steps == run.steps  # it has ended


def test_patience_may_be_another_when_a_run_goes_on(tmp_path):
    run = train(NET, out=tmp_path / "run", epochs=2, **WORDS)
    assert resumed(run.folder, {"patience": 1}).training.patience == 1
    again = resume(run.folder, epochs=30, patience=1)
    assert again.steps < 30 * PER_EPOCH and Run.open(run.folder).config.training.patience == 1
    more = resume(run.folder, patience=0, on_step=stops(again.steps + 1))
    assert more.steps == again.steps + 2


def test_best_is_chosen_by_the_metric(tmp_path):
    run = train(NET, out=tmp_path / "run", epochs=4, best_by="loss", **WORDS)
    losses = [e.loss for e in run.trace.evals]
    assert checkpoint.load(run.folder / "best").meta["step"] == (losses.index(min(losses)) + 1) * PER_EPOCH
    run = train(NET, out=tmp_path / "top5", epochs=4, best_by="top5", **WORDS)
    standing = checkpoint.load(run.folder / "best").meta["standing"]
    assert run.evaluate(metrics="top5", checkpoint="best").metrics["top5"] == standing["best"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("accuracyy", r"`best_by` wants loss or one of top1, .*, got 'accuracyy'; did you mean top1\?"),
        ("rmse", r"`best_by`: rmse is of numbers, got a net of classes; choose loss or one of top1, top5"),
        ("confusion", r"`best_by`: confusion has no better and worse; choose loss"),
    ],
)
def test_a_metric_that_a_run_has_not_is_refused_at_once(word, said):
    with pytest.raises(UserError, match=said):
        planned(request_training(NET, best_by=word))


def test_a_plateau_has_no_replay():
    plan = planned(request_training(NET, decay="plateau", target="reference"))
    with pytest.raises(UserError, match="a replay wants rates that follow from the step alone, got `decay=plateau`"):
        replay_of(plan.config, plan.data)


def test_max_steps_end_a_run_in_an_epoch_and_evaluate_it(tmp_path):
    run = train(NET, out=tmp_path / "run", max_steps=PER_EPOCH + 4, **WORDS)
    assert (run.steps, run.config.training.epochs, run.stopped) == (PER_EPOCH + 4, 2, False)
    assert [e.step for e in run.trace.evals] == [PER_EPOCH - 1, PER_EPOCH + 3]
    several = train(NET, out=tmp_path / "several", max_steps=PER_EPOCH + 4, steps_per_call=3, **WORDS)
    assert (several.folder / "trace.jsonl").read_bytes() == (run.folder / "trace.jsonl").read_bytes()
    train(NET, out=tmp_path / "two", max_steps=PER_EPOCH + 4, on_step=stops(PER_EPOCH + 1), **WORDS)
    resume(tmp_path / "two")
    for name in FILES:
        assert (tmp_path / "two" / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_the_defaults_leave_no_word_in_the_records():
    made = planned(request_training(NET, target="reference")).config
    assert made.to_json()["schedule"].keys() == {"epochs", "batch", "lr", "warmup", "decay", "final"}
