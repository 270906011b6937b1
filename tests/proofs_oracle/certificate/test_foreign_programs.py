"""Certify of other people's programs: some rows of the study, and whether what the study prints can be believed."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"
FAMILIES = (
    "tutorial", "losses", "activations", "images", "sequences", "tokens", "optax steps", "texts", "by hand", "planted",
)  # fmt: skip
RIGHT = (
    "classifier-with-accuracy", "volume-rendering-cumprod", "linear-recurrence-associative-scan", "act-cube-root",
    "act-erf-inv", "loss-sigmoid-bce", "residual-block-batch-norm", "bytes-to-floats", "lstm-by-scan",
    "gpt2-train-step", "mixed-precision-bf16", "step-adam", "elixir-form",
    "act-gelu-erf--export-as-text",
)  # fmt: skip
WRONG = (
    "hand-batch-norm-no-variance", "rule-window-to-its-last", "rule-scan-with-a-wrong-step", "taught-gelu-as-silu",
    "elixir-form--smallest-of-the-window", "lenet-max-pool--turned-round",
    "act-gelu-erf--a-thousandth-and-more--export-as-text",
)  # fmt: skip


@pytest.fixture(scope="module", name="rows")
def _rows():
    sys.path.insert(0, str(SCRIPTS))  # as when the script is run
    yield importlib.import_module("foreign").load(FAMILIES)
    sys.path.remove(str(SCRIPTS))


@pytest.fixture(name="judge")
def _judge(rows):
    return importlib.import_module("foreign.judge")


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_holds(rows, judge, tmp_path, name):
    found = judge.judged(rows[name](), tmp_path)
    assert found.word == judge.HOLDS, found


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_is_called_wrong(rows, judge, tmp_path, name):
    found = judge.judged(rows[name](), tmp_path)
    assert found.word == judge.WRONG, found


def test_a_point_at_which_all_relus_are_on_is_not_the_only_one(rows, judge, tmp_path):
    told = rows["taught-relu-everywhere"]()  # the slope 1 for relu; at the first point of this seed all 20 are on
    found = judge.judged(replace(told, words=("--seed", "3")), tmp_path)
    assert found.word == judge.WRONG, found


def test_a_row_that_lies_is_found_by_differences(rows):
    differs = importlib.import_module("foreign.differences").differs
    assert differs(rows["hinge-svm"]()) is None
    assert "says wrong" in differs(replace(rows["hinge-svm"](), right=False))
    assert differs(rows["taught-tanh"]()) is None
    assert "says right" in differs(replace(rows["taught-tanh"](), right=True))


def test_a_wrong_judgement_is_counted_and_exits_with_1(rows, monkeypatch, capsys):
    study = importlib.import_module("study_foreign_programs")
    monkeypatch.setattr(sys, "argv", ["study", "--only", "hinge-svm", "taught-tanh"])
    assert study.main() == 0
    lying = replace(rows["taught-tanh"], fixed={"right": True})
    monkeypatch.setitem(rows, "taught-tanh", lying)
    capsys.readouterr()
    assert study.main() == 1
    assert "| planted | right | 1 | 0 | 0 | 0 | 1 | 0 | 1 |" in capsys.readouterr().out
