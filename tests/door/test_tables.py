"""Tables at the front door: a CSV trains, evaluates, resumes and is predicted, from the command line alone."""

import json
from pathlib import Path

import numpy as np
import pytest

import netc
from netc import layers as nn
from netc.cli.main import _run

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4)).astype(np.float32) * (1, 10, 100, 0.1) + (0, 5, 1000, 0)
KIND = np.array(["low", "high"])[(X[:, 0] + X[:, 1] / 10 > 0.5).astype(int)]
NET = netc.NetSpec("mine", (4,), (nn.Dense(8, activation="relu"), nn.Dense(3)))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    lines = [",".join(map(str, row)) for row in X.tolist()]
    Path("t.csv").write_text("a,b,c,d,kind\n" + "".join(f"{n},{k}\n" for n, k in zip(lines, KIND, strict=True)))
    Path("n.csv").write_text(
        "a,b,c,d,sum,twice\n" + "".join(f"{n},{s},{2 * s}\n" for n, s in zip(lines, X[:, 0], strict=True))
    )
    Path("net.toml").write_text('name="mine"\ninput=[9]\n[[layers]]\nkind="dense"\nfeatures=8\nactivation="relu"\n'
                                '[[layers]]\nkind="dense"\nfeatures=7\n')  # fmt: skip


def train(*words, out="run"):
    return _run(["train", "net.toml", "--target", "reference", "--quiet", "--out", out, *words])


def test_a_table_trains_evaluates_resumes_and_is_predicted(capsys):
    words = ("--data", "csv:t.csv", "--lr", "0.03")
    assert train(*words, "--epochs", "4") == 0 and train(*words, "--epochs", "2", out="part") == 0
    run = netc.load("run")
    assert run.config.net.spec.input == (4,) and run.config.net.out.shape == (2,) and run.best > 0.8
    assert _run(["train", "--resume", "part", "--epochs", "4", "--quiet"]) == 0
    again = netc.load("part")
    assert again.steps == run.steps and again.config.data == "csv:t.csv"
    capsys.readouterr()
    assert _run(["eval", "run"]) == 0 and f"{run.best:.2%} of 12 test rows of csv:t.csv" in capsys.readouterr().out
    # the same rows with the columns in another order, and one more
    rows = [line.split(",") for line in Path("t.csv").read_text().splitlines()]
    Path("o.csv").write_text(
        "".join(f"{d},{k},{c},0.5,{a},{b}\n".replace("0.5", "x" if a == "a" else "0.5") for a, b, c, d, k in rows)
    )
    assert _run(["eval", "run", "--data", "csv:o.csv,label=kind", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    whole = netc.load("run").evaluate("csv:o.csv,label=kind")
    assert other["count"] == 60 and other["loss"] == whole.loss
    Path("new.csv").write_text("".join(f"{a},{b},{c},{d}\n" for a, b, c, d, k in rows[:4]))
    assert _run(["predict", "run", "new.csv", "missing.csv", "--json"]) == 1
    answers = json.loads(capsys.readouterr().out)
    assert [a["image"] for a in answers] == [*(f"new.csv, line {i}" for i in (2, 3, 4)), "missing.csv"]
    logits = run.predict(X[:3].astype(np.float32))
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    for answer, row in zip(answers, chances, strict=False):
        assert answer["classes"] == pytest.approx(dict(zip(("high", "low"), row.tolist(), strict=True)), rel=1e-6)
    Path("t.csv").write_text(Path("t.csv").read_text().replace("high", "low", 1))
    assert _run(["train", "--resume", "run", "--epochs", "5", "--quiet"]) != 0


def test_numbers_are_learnt_from_a_table(capsys):
    words = ("--data", "csv:n.csv,label=sum+twice", "--loss", "mse", "--lr", "0.03")
    assert train(*words, "--epochs", "30") == 0
    run = netc.load("run")
    assert run.config.net.out.shape == (2,) and "%" not in str(run)
    assert run.evaluate().loss < 0.3 * float((X[4::5, :1] ** 2 * (0.5 + 2)).mean())
    Path("new.csv").write_text("a,b,c,d\n" + ",".join(map(str, X[0].tolist())))
    capsys.readouterr()
    assert _run(["predict", "run", "new.csv"]) == 0
    said = capsys.readouterr().out
    a, b = run.predict(X[:1].astype(np.float32))[0]
    assert said == f"new.csv, line 2: sum {a:.6g}, twice {b:.6g}\n"
    assert train("--data", "csv:n.csv", out="two") == 2
    assert "give --loss mse to predict numbers" in capsys.readouterr().err
    assert train("--data", "csv:t.csv", "--loss", "mse", out="two") == 2
    assert "t.csv, line 2, column kind: wants a number, got 'low'" in capsys.readouterr().err.replace("high", "low")


def test_several_labels_at_once():
    """Multi-label: columns of 0 and 1 for a binary cross-entropy."""
    Path("m.csv").write_text(
        "a,b,p,q\n" + "".join(f"{r[0]},{r[1]},{int(r[0] > 0)},{int(r[1] > 5)}\n" for r in X.tolist())
    )
    assert train("--data", "csv:m.csv,label=p+q", "--loss", "bce", "--lr", "0.05", "--epochs", "60") == 0
    run = netc.load("run")
    assert run.config.net.spec.input == (2,) and run.accuracy > 0.85
    Path("new.csv").write_text("a,b\n3,25\n")
    guess = next(run.classify(["new.csv"]))
    assert {name for name, _ in guess.classes} == {"p", "q"} and all(p > 0.5 for _, p in guess.classes)


def test_a_series_is_learnt_from_arrays():
    """[T, C]: one-dimensional convolutions over time."""
    y = np.arange(60) % 2
    x = RNG.standard_normal((60, 12, 2)).astype(np.float32) + y[:, None, None] * np.linspace(0, 2, 12)[:, None]
    np.save("x.npy", x.astype(np.float32))
    np.save("y.npy", y)
    net = netc.NetSpec("series", (12, 2), (nn.Conv1d(4, 3, activation="relu"), nn.Flatten(), nn.Dense(2)))
    run = netc.train(net, "arrays:x.npy,y.npy", target="reference", epochs=30, lr=0.03, out="run")
    assert run.accuracy > 0.8 and netc.load("run").evaluate().accuracy == run.best


def test_held_out_parts_are_kept_by_the_run(capsys):
    words = ("--data", "csv:t.csv", "--fold", "2/4", "--stratify", "--split-seed", "7", "--sampler", "balanced")
    assert train(*words, "--epochs", "4") == 0
    run = netc.load("run")
    stored = json.loads(Path("run/run.json").read_text())["feeding"]
    assert stored.items() >= {"fold": "2/4", "stratify": True, "split_seed": 7, "sampler": "balanced"}.items()
    assert run.evaluate().count == 15 and run.evaluate().accuracy == run.best
    assert netc.load("run").evaluate("csv:t.csv").count == 15  # its own data, divided as it was
    fed = {"fold": "2/4", "stratify": True, "split_seed": 7, "sampler": "balanced"}
    netc.train("net.toml", "csv:t.csv", target="reference", epochs=4, out="part", on_step=lambda d: d.step == 2, **fed)
    netc.resume("part")
    assert Path("part/trace.jsonl").read_bytes() == Path("run/trace.jsonl").read_bytes()
    assert train("--config", "run/config.toml", out="same") == 0
    assert Path("same/trace.jsonl").read_bytes() == Path("run/trace.jsonl").read_bytes()
    assert train("--data", "csv:t.csv", "--val", "0.25", out="val") == 0 and netc.load("val").evaluate().count == 15
    capsys.readouterr()
    for wrong, sentence in (
        (("--val", "1"), "--val wants a share from 0 to below 1, got 1.0; give --val 0.1 for a tenth"),
        (("--fold", "2"), "--fold wants K/N"),
        (("--stratify",), "--stratify belongs to --val or --fold, got neither"),
    ):
        assert train("--data", "csv:t.csv", *wrong, out="no") == 2
        assert sentence in capsys.readouterr().err


def test_a_class_that_only_the_test_part_has_is_refused_before_anything_is_compiled(capsys):
    Path("s.csv").write_text("a,split,y\n1,train,p\n2,train,q\n3,test,r\n")
    assert train("--data", "csv:s.csv", out="no") == 2
    said = capsys.readouterr().err
    assert "csv:s.csv: wants training examples of every class of the test part, got none of r; add some" in said
    assert not Path("no").exists()


def test_a_class_for_each_pixel_is_learnt_from_arrays(capsys):
    """Masks as arrays: y [N, H, W] of class ids, 255 for pixels that are left out by `check_labels`."""
    x = RNG.standard_normal((40, 6, 6, 1)).astype(np.float32)
    y = (x[..., 0] > 0).astype(np.int32)
    y[:, 0] = 255
    np.savez("m.npz", x=x, y=y)
    net = netc.NetSpec("pixels", (6, 6, 1), (nn.Conv2d(4, 1, 1, "same"), nn.Conv2d(2, 1, 1, "same")))
    run = netc.train(net, "arrays:m.npz", target="reference", epochs=20, batch=6, lr=0.05, out="run", check_labels=True)
    assert run.accuracy > 0.8
    with pytest.raises(
        netc.UserError, match="`y` has pixels of 255, which is no class; give `check_labels=True` to leave"
    ):
        netc.train(net, "arrays:m.npz", target="reference", out="no")
    assert not Path("no").exists() and run.evaluate().accuracy == run.best
    np.savez("o.npz", x=x[:20], y=y[:20])
    # other arrays, whose 255 is no class either: 20 examples of 30 pixels in 36 that count
    assert run.evaluate("arrays:o.npz").count == 16
    np.savez("m.npz", x=x, y=np.where(y == 1, 254, y))
    with pytest.raises(netc.DataError, match=r"`y` wants class ids from 0 to 1, for the 2 classes .* got 0 to 254"):
        netc.train(net, "arrays:m.npz", target="reference", out="no", check_labels=True)
