"""`netc lr-find`: a range test that leaves no run."""

import json
import math

import numpy as np
import pytest

from netc.netspec import layers as nn
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.requests import planned, request_training
from netc.runtime.measure.lr_find import rates_between, suggestion
from netc.training import train

NET = NetSpec("tiny", (8, 8, 1), (nn.Flatten(), nn.Dense(10, name="head")))
WORDS = ["net.toml", "--target", "reference", "--batch", "64", "--optimizer", "sgd"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("rates")
    (place / "net.toml").write_text(to_toml(NET))
    return place


def test_a_rate_is_suggested_and_no_run_is_left(netc, place):
    before = sorted(place.iterdir())
    code, out, err = netc("lr-find", *WORDS, "--steps", "60", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert 1e-6 < found["steepest"] < found["lowest"] < 10
    assert found["losses"][0] == pytest.approx(found["smoothed"][0]) and len(found["rates"]) <= 60
    assert sorted(place.iterdir()) == before
    code, out, err = netc("lr-find", *WORDS, "--steps", "60", "--plot", "p/lr.svg")
    assert f"suggestion: netc train net.toml --lr {found['steepest']:.2g}" in out and out.count("#") > 20
    assert (place / "p" / "lr.svg").read_text().count("<svg") == 1


def test_the_steps_are_those_of_a_training_at_these_rates(netc, place, tmp_path):
    """With one rate all along it is a constant schedule: the losses are those of a run, over two epochs."""
    code, out, err = netc("lr-find", *WORDS, "--from", "0.1", "--to", "0.1000000001", "--steps", "30", "--json")
    assert code == 0, err
    words = {"optimizer": "sgd", "batch": 64, "lr": 0.1, "warmup": 0, "decay": "constant", "epochs": 2}
    run = train(NET, target="reference", out=tmp_path / "run", **words)
    assert planned(request_training(NET, target="reference", **words)).config.training.steps(22) == 44
    assert json.loads(out)["losses"] == pytest.approx([s.loss for s in run.trace.steps[:30]], rel=1e-5)


def test_the_suggestion_is_the_steepest_fall_before_the_lowest_loss():
    rates = rates_between(1e-4, 1.0, 81)
    assert rates[0] == 1e-4 and rates[-1] == pytest.approx(1.0)
    x = np.log10(rates)
    losses = list(2 - np.tanh(3 * (x + 2)) + np.exp(4 * (x + 0.3)))  # falls fastest at 1e-2
    steepest, lowest = suggestion(rates, losses)
    assert math.log10(steepest) == pytest.approx(-2, abs=0.06) and lowest > steepest
    assert suggestion(rates, list(x)) == (None, None)
    assert suggestion(rates[:5], losses[:5]) == (None, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "1", "--to", "0.1"], "--from wants a rate below that of --to, got 1 and 0.1"),
        (["--plot", "f.txt"], "--plot wants a file ending in .svg, .png, .pdf, got f.txt"),
        (["--steps", "3"], "3 is not in the range x>=20"),
    ],
)
def test_what_is_wrong(netc, words, said):
    code, out, err = netc("lr-find", *WORDS, *words)
    assert (code, out) == (2, "") and said in err
