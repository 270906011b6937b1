"""`run.evaluate(metrics=..)` and `netc eval --metrics`: for each kind of run, from training to the numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import netc
from netc import layers as nn
from netc.cli.main import _run

RNG = np.random.default_rng(0)


@pytest.fixture
def trained(tmp_path, monkeypatch, artefacts):
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))
    monkeypatch.chdir(tmp_path)

    def train(layers, x, y, *, input_=None, **words):
        net = netc.NetSpec("tiny", input_ or x.shape[1:], layers)
        data = netc.Dataset.from_arrays(x[:24], y[:24], x[24:], y[24:])
        return netc.train(net, data, target="reference", epochs=2, batch=8, lr=0.05, out=tmp_path / "run", **words)

    return train


def test_classes(trained):
    y = RNG.integers(0, 3, 43)
    x = (RNG.normal(size=(43, 5)) + np.eye(5)[y]).astype(np.float32)
    run = trained((nn.Dense(3),), x, y)
    plain, score = run.evaluate(), run.evaluate(metrics="all")
    assert (plain.loss, plain.accuracy, plain.metrics) == (score.loss, score.accuracy, {})
    assert "metrics" not in plain.to_json() and "metrics" in score.to_json()
    assert score.metrics["top1"] == pytest.approx(score.accuracy)
    assert score.metrics["log-loss"] == pytest.approx(score.loss, rel=1e-5)  # the program's is in float32
    logits = run.predict(x[24:])
    assert score.metrics["top1"] == pytest.approx((logits.argmax(1) == y[24:]).mean())
    assert np.sum(score.metrics["confusion"]["true_by_predicted"]) == 19
    with pytest.raises(netc.UserError, match="applies to images only"):
        run.evaluate(tta="flip")


def test_labels_and_numbers_and_pixels(trained, tmp_path):
    x = RNG.normal(size=(43, 5)).astype(np.float32)
    run = trained((nn.Dense(3),), x, (x[:, :3] > 0.3).astype(np.float32), loss="bce")
    score = run.evaluate(metrics="all")
    assert {"f1", "exact-match", "auroc", "per-class"} <= score.metrics.keys()
    assert score.metrics["exact-match"] <= score.accuracy

    (tmp_path / "run").rename(tmp_path / "labels")
    run = trained((nn.Dense(2),), x, (x[:, :2] * 3 + 1).astype(np.float32), loss="mse")
    found = run.evaluate(metrics=["rmse", "r2"])
    assert found.metrics["rmse"] == pytest.approx(math.sqrt(found.loss), rel=1e-5)
    assert len(found.metrics["r2"]["classes"]) == 2

    (tmp_path / "run").rename(tmp_path / "numbers")
    x = RNG.normal(size=(43, 4, 4, 1)).astype(np.float32)
    run = trained((nn.Conv2d(2, 3, activation="identity"),), x, (x[..., 0] > 0).astype(np.int32))
    score = run.evaluate(metrics="all")
    assert {"iou", "dice", "confusion"} <= score.metrics.keys()
    assert score.metrics["top1"] == pytest.approx(score.accuracy, rel=1e-6)
    assert np.sum(score.metrics["confusion"]["true_by_predicted"]) == 19 * 16


def test_the_mirrored_images_are_looked_at_too(trained, capsys):
    x = RNG.integers(0, 255, (43, 6, 6, 3)).astype(np.uint8)
    y = (x[:, :, :3].mean((1, 2, 3)) > x[:, :, 3:].mean((1, 2, 3))).astype(np.int64)  # which half is brighter
    run = trained((nn.Flatten(), nn.Dense(2)), x, y, classes=2)
    plain, both = run.evaluate(), run.evaluate(metrics=["top1"], tta="flip")
    logits = np.stack([run.predict(x[24:]), run.predict(x[24:, :, ::-1])]).astype(np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert both.accuracy == both.metrics["top1"] == (chances.mean(0).argmax(1) == y[24:]).mean()
    assert both.loss == plain.loss


def test_the_command(tmp_path, monkeypatch, artefacts, capsys):
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))
    monkeypatch.chdir(tmp_path)
    words = ("--target", "reference", "--epochs", "1", "--out", "run", "--quiet")
    assert _run(["train", "mnist-mlp", "--input", "8x8x1", *words]) == 0
    capsys.readouterr()
    assert _run(["eval", "run"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert _run(["eval", "run", "--metrics", "f1,confusion"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(line) and "\nf1 " in shown and "true \\ predicted" in shown
    assert _run(["eval", "run", "--metrics", "all", "--tta", "flip", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["top1"] == found["accuracy"] and len(found["metrics"]["per-class"]["classes"]) == 10
    assert _run(["eval", "run", "--metrics", "rmse"]) == 2
    assert "--metrics: rmse is of numbers, got a net of classes" in capsys.readouterr().err
    assert _run(["eval", "run", "--tta", "turn"]) == 2
    assert "--tta wants one of flip, got 'turn'" in capsys.readouterr().err
