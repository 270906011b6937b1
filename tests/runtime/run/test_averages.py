"""A run that keeps averages of its weights: evaluated beside them, the best by them, saved, resumed and chosen."""

import dataclasses

import numpy as np
import pytest

from netc.cli.main import _run
from netc.netspec.errors import UserError
from netc.netspec.recipe_words import recipe_of
from netc.runs import Run
from netc.runtime.evaluate import evaluate
from netc.runtime.run import checkpoint
from netc.runtime.train import train
from netc.runtime.weights.chosen import chosen_weights
from netc.traces.diff import diff
from netc.traces.read import read
from tests.runtime.test_train import PER_EPOCH, Stop, config, die, result, stopper

WORDS = [{"ema": 0.5}, {"swa_start": 5}]


@pytest.fixture(scope="module", params=WORDS, ids=["ema", "swa"])
def whole(request, data, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("averages") / "run"
    own = config(recipe=recipe_of(**request.param))
    train(own, data, folder, cache)
    return own, folder


def test_each_evaluation_has_both_and_the_best_is_the_averages(whole, data, cache):
    own, folder = whole
    word, evals = own.recipe.averaging.word, read(folder / "trace.jsonl").evals
    for which, e in (("last", evals[-1]), ("best", max(evals, key=lambda e: e.averaged_accuracy))):
        for weights, loss, accuracy in (
            ("plain", e.loss, e.accuracy),
            (word, e.averaged_loss, e.averaged_accuracy),
            (None, e.averaged_loss, e.averaged_accuracy),
        ):
            found = evaluate(own, data, folder, which, "reference", cache, weights=weights)
            assert (np.float32(found.loss), np.float32(found.accuracy)) == (loss, np.float32(accuracy))
    assert any(e.loss != e.averaged_loss for e in evals)
    meta = checkpoint.load(folder / "last").meta
    assert np.float32(meta["best"]) == max(e.averaged_accuracy for e in evals)
    run = Run.open(folder)
    held = run.weights("last")
    np.testing.assert_array_equal(run.weights("last", word)["head.kernel"], held[f"{word}/head.kernel"])
    assert np.any(held[f"{word}/head.kernel"] != held["head.kernel"])


@pytest.mark.parametrize("at", [1, PER_EPOCH, 2 * PER_EPOCH + 1])
def test_a_stop_leaves_no_mark(at, whole, data, tmp_path, cache):
    own, folder = whole
    progress, _ = stopper(at, die)
    with pytest.raises(Stop):
        train(own, data, tmp_path / "run", cache, progress=progress)
    train(own, data, tmp_path / "run", cache, resume=True)
    assert result(tmp_path / "run") == result(folder)


def test_a_difference_of_the_averages_alone_is_one(whole):
    trace = read(whole[1] / "trace.jsonl")
    assert diff(trace, trace, "ulp").agree
    last = dataclasses.replace(trace.evals[-1], averaged_loss=0.0)
    other = dataclasses.replace(trace, evals=(*trace.evals[:-1], last))
    assert "averaged loss is" in diff(trace, other, "ulp").verdict


def test_the_command_line_chooses(whole, capsys):
    own, folder = whole
    word = own.recipe.averaging.word
    assert _run(["eval", str(folder), "--weights", "average"]) != 0
    assert f"--weights wants {word} or plain, which this run has, got 'average'; choose one" in capsys.readouterr().err


def test_a_run_without_averages_says_so(data, tmp_path, cache):
    with pytest.raises(UserError, match="`weights` wants plain, which this run has, got 'ema'; leave it out"):
        evaluate(config(), data, tmp_path, "last", "reference", cache, weights="ema")


def test_slots_keep_their_names():
    tensors = {"a": np.zeros(1), "m/a": np.ones(1), "ema/a": np.full(1, 2.0)}
    assert chosen_weights(tensors, "ema")["a"] == 2 and chosen_weights(tensors, "plain")["a"] == 0
