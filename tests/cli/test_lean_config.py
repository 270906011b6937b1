"""`netc train FILE.lean`: which TrainConfig, what it states, and that the command line wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from netc.cli.train import train, train_request
from netc.netspec.errors import UserError
from netc.netspec.loss import Focal
from netc.netspec.recipe import SGD, Adam, Recipe
from netc.requests import planned, request_training
from netc.train_request import TrainRequest

NET = """
def net : NetSpec where
  name := "small"
  imageH := 8
  imageW := 8
  layers := [.dense 64 16 .relu, .dense 16 10 .identity]
"""
ADAM_CONFIG = """
def adam : TrainConfig where
  learningRate := 0.002
  batchSize := 48
  epochs := 3
  useAdam := true
  weightDecay := 0.0001
  cosineDecay := true
  warmupEpochs := 1
  labelSmoothing := 0.1
"""
SGD_CONFIG = """
def sgd : TrainConfig where
  learningRate := 0.1
  batchSize := 16
  epochs := 2
  momentum := 0.9
"""
SWAG = """
def swag : TrainConfig where
  learningRate := 0.1
  batchSize := 16
  epochs := 2
  useSWAG := true
"""


@pytest.fixture
def write(tmp_path):
    def make(*parts: str) -> Path:
        path = tmp_path / "Nets.lean"
        path.write_text("".join((NET, *parts)), encoding="utf-8")
        return path

    return make


def asked(*words: str) -> TrainRequest:
    """The request that `netc train words` makes."""
    with train.make_context("train", [str(word) for word in words]):
        return train_request(str(words[0]))


def test_the_only_configuration_is_taken_and_said(write, capsys):
    path = write(ADAM_CONFIG)
    found = asked(path)
    assert {n: found.training[n] for n in ("lr", "batch", "epochs")} == {"lr": 0.002, "batch": 48, "epochs": 3}
    assert found.recipe.optimizer == Adam(weight_decay=1e-4)
    said = capsys.readouterr().err
    assert said.startswith("adam: --epochs 3 --batch 48 --lr 0.002 --warmup 1.0 --decay cosine --optimizer adamw ")
    assert "adam: weightDecay: leaves out biases" in said
    asked(path, "--quiet")
    assert capsys.readouterr().err == ""


def test_the_command_line_wins(write, capsys):
    found = asked(write(ADAM_CONFIG), "--lr", "0.5", "--optimizer", "sgd", "--decay", "cosine")
    assert (found.training["lr"], found.recipe.optimizer.kind, found.training["batch"]) == (0.5, "sgd", 48)
    assert "; not --lr, --decay, --optimizer, which the command line decides" in capsys.readouterr().err
    assert asked(write(SGD_CONFIG), "--optimizer", "adam").recipe.optimizer == Adam(decoupled=False)
    assert asked(write(ADAM_CONFIG), "--loss", "focal").recipe.loss == Focal()


RMSPROP = SGD_CONFIG.replace("sgd : ", "rms : ") + "  optimizer := .rmsprop\n  expLRDecayRate := 0.9\n"


def test_a_word_of_the_command_line_takes_the_place_of_what_belongs_to_the_files(write, capsys):
    path = write(RMSPROP)
    found = asked(path)
    assert found.recipe.optimizer.kind == "rmsprop" and found.training["decay"] != "cosine"
    said = capsys.readouterr().err.partition("\n")[0]
    flags = {flag for p in train.params for flag in (*p.opts, *p.secondary_opts)}
    given = {word for word in said.split() if word.startswith("--")}
    assert "--eps" in given and given <= flags
    assert asked(path, "--optimizer", "sgd").recipe.optimizer == SGD(0.9)
    assert ", --eps" in capsys.readouterr().err
    assert asked(path, "--decay", "cosine").training["decay"] == "cosine"
    assert request_training(str(path), optimizer=Adam()).recipe.optimizer == Adam()
    assert request_training(str(path), optimizer=None, recipe=None).recipe == found.recipe
    assert request_training(str(path), recipe=Recipe()).recipe == Recipe()


def test_one_of_several_is_named_or_none(write):
    path = write(ADAM_CONFIG, SGD_CONFIG)
    assert asked(path, "--config", "sgd").recipe.optimizer == SGD(0.9)
    assert "lr" not in asked(path, "--config", "none").training
    with pytest.raises(UserError, match=r"holds 2 TrainConfigs, adam, sgd; choose one by `config=NAME`, or `config=n"):
        asked(path)
    with pytest.raises(UserError, match=r"holds no TrainConfig sgdd; did you mean sgd\?"):
        asked(path, "--config", "sgdd")


def test_a_file_without_one_leaves_the_defaults(write, capsys):
    assert "lr" not in asked(write()).training
    assert capsys.readouterr().err == ""


def test_what_netc_cannot_do_is_an_error_at_its_place(write):
    path = write(SWAG)
    with pytest.raises(UserError) as caught:
        asked(path)
    first, line, caret = str(caught.value).splitlines()
    assert first.startswith(f"{path}:12:")
    assert "netc train does not support useSWAG := true; take it out, or train" in first
    assert line == "  useSWAG := true" and caret.strip("^ ") == ""
    assert "lr" not in asked(path, "--config", "none").training


def test_config_belongs_to_lean_files():
    with pytest.raises(UserError, match=r"`config` belongs to a .lean file, got the net 'mnist-mlp'; leave it out"):
        asked("mnist-mlp", "--config", "x")


@pytest.mark.parametrize(
    ("config", "optimizer", "loss"),
    [
        (ADAM_CONFIG, Adam(weight_decay=1e-4), 0.1),
        (SGD_CONFIG, SGD(0.9), 0.0),
    ],
    ids=["adam", "sgd"],
)
def test_the_training_is_the_one_that_the_file_states(write, config, optimizer, loss, tmp_path):
    path = write(config)
    made = planned(asked(f"{path}:net", "--out", str(tmp_path / "run"))).config
    assert made.recipe.optimizer == optimizer
    assert made.recipe.loss.smoothing == loss
    assert made.augment.crop == 0 and not made.augment.flip
    assert made.net.spec.name == "small" and made.net.count == 64 * 16 + 16 + 16 * 10 + 10
