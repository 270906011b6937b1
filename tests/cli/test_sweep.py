"""`netc sweep`: a grid or a search of ordinary runs, a table, and that a killed one goes on."""

import csv
import json
import os
import subprocess
import sys
import time

import pytest

from netc.netspec import layers as nn
from netc.netspec.errors import UserError
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.runs import Run
from netc.sweeps import Trial, read_sweep

NET = NetSpec("tiny", (8, 8, 1), (nn.Flatten(), nn.Dense(10, name="head")))
BASE = 'net = "net.toml"\ntarget = "reference"\nbatch = 128\nepochs = 2\n'
GRID = BASE + '[grid]\nlr = [1e-2, 1e-1]\noptimizer = ["sgd", "adam"]\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("sweeps")
    (place / "net.toml").write_text(to_toml(NET))
    (place / "grid.toml").write_text(GRID)
    return place


def test_a_grid_is_trained_and_ranked(netc, place):
    code, out, err = netc("sweep", "grid.toml", "--json")
    assert code == 0, err
    found = json.loads(out)
    values = [row["best"] for row in found["results"]]
    assert found["metric"] == "accuracy" and values == sorted(values, reverse=True) and len(values) == 4
    assert {row["name"] for row in found["results"]} >= {"lr=0.01,optimizer=sgd", "lr=0.1,optimizer=adam"}
    for row in found["results"]:
        run = Run.open(place / "runs" / "sweep-grid" / row["name"])
        assert (run.best, run.steps, run.config.training.lr) == (row["best"], row["steps"], row["words"]["lr"])
    assert err.count("trial ") == 4 and "trial 4 of 4: lr=0.1,optimizer=adam" in err
    code, out, err = netc("sweep", "grid.toml", "--csv", "--plot", "p/grid.svg")
    rows = list(csv.DictReader(out.splitlines()))
    assert (
        code == 0
        and err == "wrote p/grid.svg\n"
        and [float(row["best"]) for row in rows] == [round(v, 4) for v in values]
    )
    assert (place / "p" / "grid.svg").read_text().count("<svg") == 1
    code, out, _ = netc("sweep", "grid.toml")
    assert "best accuracy" in out and "the runs are in runs/sweep-grid" in out


def test_more_values_are_more_trials_and_other_words_are_refused(netc, place):
    netc("sweep", "grid.toml", "--quiet")
    (place / "grid.toml").write_text(GRID.replace("1e-1]", "1e-1, 1.0]"))
    code, out, err = netc("sweep", "grid.toml", "--json")
    assert code == 0 and err.count("trial ") == 2 and len(json.loads(out)["results"]) == 6
    (place / "grid.toml").write_text(GRID.replace("batch = 128", "batch = 64").replace("1e-1]", "1e-1, 2.0]"))
    (place / "runs" / "sweep-grid" / "sweep.json").unlink()
    code, out, err = netc("sweep", "grid.toml")
    assert code == 2 and "trial lr=0.01,optimizer=sgd:" in err and "schedule.batch (128 there, 64 here)" in err
    (place / "grid.toml").write_text(GRID)


def test_a_killed_sweep_goes_on(netc, place):
    (place / "kill.toml").write_text(GRID.replace("epochs = 2", "epochs = 40").replace('"sgd", "adam"', '"sgd"'))
    env = {**os.environ, "NETC_CACHE_DIR": os.environ["NETC_CACHE_DIR"]}
    process = subprocess.Popen([sys.executable, "-m", "netc", "sweep", "kill.toml", "--quiet"], cwd=place, env=env)
    folder = place / "runs" / "sweep-kill"
    second, end = folder / "lr=0.1,optimizer=sgd" / "last" / "manifest.json", time.monotonic() + 300
    while not second.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.kill()
    process.wait()
    first = folder / "lr=0.01,optimizer=sgd" / "trace.jsonl"
    written = first.stat().st_mtime_ns
    assert json.loads((folder / "sweep.json").read_text())["begun"]["lr"] in (0.1, None)
    code, out, err = netc("sweep", "kill.toml", "--json")
    assert code == 0 and "trial 1 of" not in err, err
    assert first.stat().st_mtime_ns == written
    assert [row["state"] for row in json.loads(out)["results"]] == ["done", "done"]
    netc("train", "--config", "runs/sweep-kill/lr=0.1,optimizer=sgd/config.toml", "--out", "alone", "--quiet")
    assert (place / "alone" / "trace.jsonl").read_bytes() == second.parent.with_name("trace.jsonl").read_bytes()


def test_a_search_proposes_and_goes_on(netc, place):
    pytest.importorskip("optuna")
    text = BASE + "[search]\nlr = { low = 1e-3, high = 1.0, log = true }\noptimizer = ['sgd', 'adam']\n"
    (place / "search.toml").write_text("trials = 3\n" + text)
    code, out, err = netc("sweep", "search.toml", "--json")
    assert code == 0, err
    found = json.loads(out)["results"]
    assert len(found) == 3 and all(1e-3 <= row["words"]["lr"] <= 1 for row in found)
    (place / "search.toml").write_text("trials = 4\n" + text)
    code, out, err = netc("sweep", "search.toml", "--json")
    assert code == 0 and err.count("trial ") == 1 and len(json.loads(out)["results"]) == 4


def test_a_trial_that_diverges_is_a_result(netc, place):
    (place / "wild.toml").write_text(
        BASE.replace("epochs = 2", "epochs = 1") + "optimizer='sgd'\n[grid]\nlr=[1e-2,1e38]\n"
    )
    code, out, err = netc("sweep", "wild.toml", "--json")
    assert code == 0, err
    assert [row["state"] for row in json.loads(out)["results"]] == ["done", "diverged"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr = 1\n", r"a sweep wants a table \[grid\] or a table \[search\], got neither"),
        ("[grid]\nlr=[1]\n[search]\nlr=[1]\n", "got both"),
        ("[grid]\n", "grid wants a table of words"),
        ("[grid]\nlrr = [1]\n", r"grid.lrr: there is no lrr; did you mean lr"),
        ("[grid]\nlr = ['fast']\n", "grid.lr: lr wants a number, got 'fast'"),
        ("[grid]\nlr = 0.1\n", r"grid.lr wants a list of values, got 0.1; write lr = \[..\]"),
        ("[grid]\nlr = [0.1, 0.1]\n", "grid.lr wants each value once"),
        ("[grid]\nout = ['a']\n", r"grid.out is the same for all trials; write it above \[grid\]"),
        ("[search]\nlr = [1]\n", r"\[search\] wants trials, a positive integer, got None"),
        ("trials = 2\n[search]\nlr = { low = 1 }\n", "search.lr wants a list, or { low = 1e-4"),
        ("trials = 2\n[search]\nlr = { low = 0, high = 1, log = true }\n", "wants low below high, above 0 where log"),
        ("trials = 2\n[grid]\nlr = [1]\n", r"trials belongs to \[search\]"),
        ("epoch = 2\n[grid]\nlr = [1]\n", r":1: there is no epoch; did you mean epochs"),
    ],
)  # fmt: skip
def test_what_is_wrong(tmp_path, text, said):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_sweep(path)


def test_a_wrong_trial_is_refused_before_any_runs(netc, place):
    (place / "late.toml").write_text(BASE + "[grid]\noptimizer = ['sgd', 'adam']\nmomentum = [0.5]\n")
    code, _, err = netc("sweep", "late.toml")
    assert code == 2 and "momentum" in err and not (place / "runs" / "sweep-late").exists()


def test_the_name_of_a_trial_is_one_of_a_folder():
    assert Trial({"lr": 0.1, "optimizer": "sgd"}).name == "lr=0.1,optimizer=sgd"
    odd = Trial({"data": "imagefolder:/a b/../c"}).name
    assert "/" not in odd and " " not in odd and odd != Trial({"data": "imagefolder:/a_b/../c"}).name


@pytest.mark.parametrize("words", ['best_by = "loss"\n', 'loss = "mse"\n'])
def test_a_sweep_by_loss_ranks_by_the_loss(netc, place, words):
    name = "mse" if "mse" in words else "byloss"
    rows = "".join(f"{i % 7},{i % 3},{0.5 * (i % 7) + 1}\n" for i in range(60))
    (place / "n.csv").write_text("a,b,y\n" + rows)
    base = BASE.replace("net.toml", "line.toml") + 'data = "csv:n.csv"\n' if name == "mse" else BASE
    (place / "line.toml").write_text(to_toml(NetSpec("line", (2,), (nn.Dense(1, name="head"),))))
    (place / f"{name}.toml").write_text(words + base.replace("128", "8") + "[grid]\nlr = [1e-3, 1e-2]\n")
    code, out, err = netc("sweep", f"{name}.toml", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["metric"] == "loss" and ("accuracy" in err) == (name == "byloss")
    for row in found["results"]:
        evals = Run.open(place / "runs" / f"sweep-{name}" / row["name"]).trace.evals
        assert row["best"] == pytest.approx(min(e.loss for e in evals), rel=1e-6)
        assert row["last"] == pytest.approx(evals[-1].loss, rel=1e-6)
    best = [row["best"] for row in found["results"]]
    assert best == sorted(best) and best[0] > 0


def test_results_of_other_words_are_refused_and_lost_trials_are_not_counted(netc, place):
    text = BASE.replace("epochs = 2", "epochs = 1") + "[grid]\nlr = [1e-3, 1e-2]\n"
    (place / "again.toml").write_text(text)
    assert netc("sweep", "again.toml", "--quiet")[0] == 0
    kept = (place / "runs" / "sweep-again" / "sweep.json").read_bytes()
    (place / "again.toml").write_text(text.replace("epochs = 1", "epochs = 2"))
    code, _, err = netc("sweep", "again.toml")
    assert code == 2 and "epochs (1 there, 2 here)" in err and "--out" in err
    assert (place / "runs" / "sweep-again" / "sweep.json").read_bytes() == kept
    (place / "again.toml").write_text(text.replace("1e-3, 1e-2", "0.5"))
    code, _, err = netc("sweep", "again.toml")
    assert code == 0 and "trial 1 of 1: lr=0.5" in err


def test_a_trial_that_cannot_be_planned_is_refused_before_any_runs(netc, place):
    (place / "plan.toml").write_text(BASE + "[grid]\nbest_by = ['accuracy', 'accuracyy']\n")
    code, _, err = netc("sweep", "plan.toml")
    assert code == 2 and "trial best_by=accuracyy: " in err and not (place / "runs" / "sweep-plan").exists()


def test_a_search_leaves_out_results_beyond_its_space(netc, place):
    pytest.importorskip("optuna")
    text = "trials = 2\n" + BASE.replace("epochs = 2", "epochs = 1") + "[search]\nlr = { low = 1e-3, high = 1e-2 }\n"
    (place / "space.toml").write_text(text)
    assert netc("sweep", "space.toml", "--quiet")[0] == 0
    (place / "space.toml").write_text(text.replace("low = 1e-3, high = 1e-2", "low = 0.1, high = 0.2"))
    code, out, err = netc("sweep", "space.toml", "--json")
    assert code == 0 and "trial 2 of 2" in err, err
    assert sum(row["words"]["lr"] >= 0.1 for row in json.loads(out)["results"]) == 2


def test_data_is_loaded_once_for_all_trials_that_ask_for_the_same(place, monkeypatch):
    from netc.runtime.data import catalog
    from netc.sweeping import run_sweep

    asked, load = [], catalog.load
    monkeypatch.chdir(place)
    monkeypatch.setattr(catalog, "load", lambda name, **words: asked.append(words["whole"]) or load(name, **words))
    (place / "loads.toml").write_text(BASE + "max_steps = 1\n[grid]\nval = [0.0, 0.1, 0.2]\nlr = [0.1, 0.2]\n")
    nothing = {"began": lambda *of: None, "ended": lambda of: None, "seen": lambda *of: None}
    results, _, _ = run_sweep(read_sweep(place / "loads.toml"), place / "loads", **nothing)
    assert len(results) == 6 and asked == [False, True]  # as it is, and whole, to be divided
    assert Run.open(place / "loads" / "val=0.1,lr=0.2").config.data == "digits"
