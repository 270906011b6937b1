"""Trained at one size of image, tested at another: `train_size` beside the net's `input`."""

from pathlib import Path

import pytest

import netc
from netc import layers as nn
from netc.cli.main import _run
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.train_size import at_train_size
from netc.netspec.zoo import ZOO

BODY = (nn.Conv2d(4, 3, 1, "same"), nn.BatchNorm(), nn.Activation("relu"))
NET = netc.NetSpec("any", (8, 8, 1), (*BODY, nn.GlobalAvgPool(), nn.Dense(10)))
WORDS = {"target": "reference", "epochs": 2, "max_steps": 50, "batch": 64, "seed": 3}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))


def test_a_run_learns_at_one_size_and_is_tested_at_another(capsys):
    run = netc.train(NET, out="run", train_size=6, **WORDS)
    plain = netc.train(NET, out="plain", **WORDS)
    assert run.config.net.spec.input == (8, 8, 1) and run.config.trained_net.spec.input == (6, 6, 1)
    assert run.data.train.shape == (6, 6, 1) and run.data.test.shape == (8, 8, 1)
    first, other = (Path(f, "trace.jsonl").read_text() for f in ("run", "plain"))
    assert first.splitlines()[1] != other.splitlines()[1] and plain.config.trained_net is plain.config.net
    # what the trace says of a test is what `eval` finds, at the net's own size
    assert netc.Run.open("run").evaluate(checkpoint="last").accuracy == run.accuracy
    assert run.predict(run.data.test.images([0, 1])).shape == (2, 10)
    netc.train(NET, out="part", train_size=6, on_step=lambda done: done.step == 30, **WORDS)
    assert netc.resume("part").steps == run.steps
    assert Path("part/trace.jsonl").read_text() == first
    assert _run(["train", "--config", "run/config.toml", "--out", "again", "--quiet"]) == 0
    assert Path("again/trace.jsonl").read_text() == first
    capsys.readouterr()
    assert _run(["train", "--config", "run/config.toml", "--out", "told"]) == 0
    assert "brought to a height of 6, test images to the net's input" in " ".join(capsys.readouterr().out.split())


def test_a_net_whose_parameters_depend_on_the_size_is_refused_by_name():
    flat = netc.NetSpec("flat", (8, 8, 1), (*BODY, nn.Flatten(), nn.Dense(10)))
    with pytest.raises(UserError, match=r"any size, and dense4.kernel of flat is \[256, 10\] for 8x8, \[144, 10\]"):
        netc.train(flat, train_size=6, **WORDS)
    with pytest.raises(UserError, match=r"any size, and patch.embed.positions of vit"):
        at_train_size(check(ZOO["vit_tiny_patch16_224"].make()), 160)
    with pytest.raises(UserError, match="`train_size=160` does not fit: mobilevit_s"):
        at_train_size(check(ZOO["mobilevit_s"].make()), 160)


@pytest.mark.parametrize("given", [-1, 2.5, "big"])
def test_a_size_that_is_none_is_refused(given):
    with pytest.raises(UserError, match="`train_size` wants"):
        netc.train(NET, train_size=given, **WORDS)


def test_the_width_is_in_proportion_and_whole():
    wide = check(NET.with_input((8, 12, 1)))
    assert at_train_size(wide, 6).spec.input == (6, 9, 1) and at_train_size(wide, 8) is wide
    with pytest.raises(UserError, match="wants a height whose width is a whole number"):
        at_train_size(wide, 5)
