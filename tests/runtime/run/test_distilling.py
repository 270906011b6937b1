"""A run that learns from another one: what its loss is, what it keeps, how it goes on, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.evaluator import run as call
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.layers import Dense, Flatten
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.compare.replay import replay_of
from netc.runtime.evaluate import evaluate, open_session
from netc.runtime.prepare import prepare
from netc.runtime.run import checkpoint
from netc.runtime.run.config import from_json
from netc.runtime.target import PLAIN, parse_target
from netc.runtime.train import train
from netc.runtime.trainer import Trainer
from netc.runtime.weights.teacher import taught_as, with_teacher
from netc.traces.read import read
from tests.runtime.test_train import BATCH, PER_EPOCH, Stop, config, die, result, stopper

STUDENT = check(NetSpec("student", (8, 8, 1), (Flatten(), Dense(10, name="head"))))
WORDS = {"distill_temperature": 2.0, "distill_weight": 0.25}


@pytest.fixture(scope="module")
def student(whole):
    """What learns from the run `whole`."""
    return replace(config(recipe=with_teacher(recipe_of(distill=str(whole), **WORDS))), net=STUDENT)


@pytest.fixture(scope="module")
def folder(student, data, cache, tmp_path_factory):
    found = tmp_path_factory.mktemp("student") / "run"
    train(student, data, found, cache)
    return found


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_the_first_loss_is_that_of_the_formula(student, folder, whole, data):
    replay = replay_of(student, data, folder)
    step = next(iter(replay.steps(0, 1)))
    own = build(student.net, student.recipe, BATCH)
    state = dict(zip([s.name for s in own.state], replay.first_state(own), strict=True))
    best = checkpoint.load(whole / "best").tensors
    for slot in own.state:
        if slot.role == "teacher":
            np.testing.assert_array_equal(state[slot.name], best[slot.name.removeprefix("teacher/")])
    taught = build(student.recipe.distilling.net, recipe_of(), BATCH)
    u = call(taught.module, "predict", [*(best[s.name] for s in taught.kept), step.x], "f64")[0]
    z = call(own.module, "predict", [*(state[s.name] for s in own.kept), step.x], "f64")[0]
    hard = -np.log(softmax(z))[np.arange(BATCH), step.y].mean()
    p, q = softmax(u / 2), softmax(z / 2)
    expected = 0.75 * hard + 0.25 * 4 * (p * np.log(p / q)).sum(-1).mean()
    assert read(folder / "trace.jsonl").steps[0].loss == pytest.approx(expected, rel=1e-5)  # a step in float32
    assert abs(expected - hard) > 1e-2


def test_the_teacher_stays_as_it_is_and_evaluation_is_without_it(student, folder, data, cache, whole):
    last, best = checkpoint.load(folder / "last").tensors, checkpoint.load(whole / "best").tensors
    held = {n.removeprefix("teacher/"): t for n, t in last.items() if n.startswith("teacher/")}
    assert held.keys() == student.recipe.distilling.shapes.keys()
    assert all(np.array_equal(t, best[n]) for n, t in held.items())
    session, _ = open_session(student, folder, "last", "reference", cache)
    assert not [s for s in session.program.state if s.role == "teacher"]
    found = evaluate(student, data, folder, "last", "reference", cache)
    assert np.float32(found.loss) == np.float32(read(folder / "trace.jsonl").evals[-1].loss)


@pytest.mark.parametrize("at", [1, PER_EPOCH + 1])
def test_a_stop_leaves_no_mark_and_the_teachers_run_is_not_read_again(
    at, student, folder, data, tmp_path, cache, monkeypatch
):
    progress, _ = stopper(at, die)
    with pytest.raises(Stop):
        train(student, data, tmp_path / "run", cache, progress=progress)
    monkeypatch.setattr("netc.runtime.weights.teacher._saved", die)
    train(student, data, tmp_path / "run", cache, resume=True)
    assert result(tmp_path / "run") == result(folder)


@pytest.mark.parametrize("target", ["xla", "cpu"])
def test_compilers_take_the_evaluators_step(target, student, data, folder, cache):
    program, replay = build(student.net, student.recipe, BATCH), replay_of(student, data, folder)
    state, step = replay.first_state(program), next(iter(replay.steps(0, 1)))
    trainer = Trainer(prepare(program, parse_target(target), cache))
    trainer.restore({s.name: v for s, v in zip(program.state, state, strict=True)})
    loss = trainer.train_step(step.x, step.y, 0.1)["loss"]
    exact = call(program.module, "train_step", [*state, step.x, step.y, np.asarray(0.1)], "f64")
    assert loss == pytest.approx(exact[len(state)], rel=1e-5)  # float32
    for slot, own, wanted in zip(program.state, trainer.fetch().values(), exact, strict=False):
        np.testing.assert_allclose(own, wanted, rtol=1e-3, atol=1e-4, err_msg=slot.name)  # Adam divides by sqrt(v)


def test_its_backward_is_certified(student):
    program = build(student.net, student.recipe, 2)
    assert certify_program(program, PLAIN, Settings()).verdict == "holds"


def test_its_record_reads_back(student):
    assert from_json(student.to_json(), "run.json").recipe == student.recipe


def test_what_does_not_fit_is_refused(student, whole, data, tmp_path):
    with pytest.raises(UserError, match="`distill`: RUN wants a folder that `netc train` made, got"):
        with_teacher(recipe_of(distill=str(tmp_path / "none")))
    with pytest.raises(UserError, match="wants a teacher of the 10 classes of digits in their order, got"):
        taught_as(student, replace(data, classes=tuple("abcdefghij")))
    other = replace(student.recipe, distilling=replace(student.recipe.distilling, teacher_sha256="0" * 64))
    with pytest.raises(UserError, match=r"wants the weights that the run names .SHA-256 000000000000., got others"):
        taught_as(replace(student, recipe=other), data)
    with pytest.raises(SpecError, match=r"wants a teacher that has the classes of the net, \[batch, 7\] f32, got"):
        build(check(STUDENT.spec.with_classes(7)), student.recipe, BATCH)
    wide = check(NetSpec("wide", (9, 9, 1), STUDENT.spec.layers))
    with pytest.raises(SpecError, match=r"wants a teacher that takes what the net takes, .batch, 9, 9, 1. f32, got"):
        build(wide, student.recipe, BATCH)
    with pytest.raises(SpecError, match="`distill` wants a loaded run, got"):
        build(STUDENT, recipe_of(distill="runs/a"), BATCH)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"loss": "mse"}, "`distill` wants a loss over classes that exclude each other .*, got meanSquaredError"),
        ({"chunked_loss": 2}, "`distill` wants no `chunked_loss`, got both"),
        ({"check_labels": True}, "`distill` wants no `check_labels`, got both"),
        ({"scan_blocks": True}, "`distill` wants no `scan_blocks`, got both"),
        ({"process": "masked"}, "`distill` wants no `process`, got both"),
        ({"distill_temperature": 0.0}, "`distill_temperature` wants a positive number, got 0.0"),
        ({"distill_weight": 1.5}, "`distill_weight` wants a share above 0 and at most 1, got 1.5"),
        ({"distill": None, "distill_weight": 0.5}, "`distill_weight` belongs to `distill`, got no `distill`"),
    ],
    ids=str,
)
def test_what_contradicts_is_refused_before_the_run_is_read(words, match):
    with pytest.raises(SpecError, match=match):
        recipe_of(**{"distill": "runs/a", **words})
