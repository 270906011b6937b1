"""The commands that look at a training, for those that began with given weights or add up the parts of a batch."""

import json
import runpy
import shutil
import sys

import numpy as np
import pytest

from netc.cli.main import _run
from netc.netspec import layers as nn
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.runtime.run import checkpoint
from netc.runtime.run.config import read_config
from netc.traces.read import read

NET = NetSpec(
    "digits", (8, 8, 1),
    (nn.Flatten(), nn.Dense(6, activation="relu", name="hidden"), nn.BatchNorm(name="norm"),
     nn.Dropout(0.2, name="drop"), nn.Dense(10, name="head")),
)  # fmt: skip
TRAIN = ("train", "net.toml", "--epochs", "1", "--batch", "64", "--quiet", "--target", "reference")


@pytest.fixture(scope="module")
def place(tmp_path_factory, artefacts):
    """A run; one that began with its weights but for the last layer, in two parts a batch; and that one's JAX twin."""
    place = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("NETC_CACHE_DIR", str(artefacts))
        (place / "net.toml").write_text(to_toml(NET))
        assert _run([*TRAIN, "--out", "first"]) == 0
        begun = ("--init", "first/last", "--new-head", "--accumulate", "2", "--seed", "3")
        assert _run([*TRAIN, "--out", "second", *begun]) == 0
        assert _run(["emit-jax", "second", "-o", "twin.py"]) == 0
        patch.setattr(sys, "argv", ["twin.py", "--out", "twin.jsonl"])
        runpy.run_path("twin.py", run_name="__main__")
    return place


def test_a_run_says_what_it_began_with(place):
    config, header = read_config(place / "second"), read(place / "second" / "trace.jsonl").header
    assert (config.init_path, config.new_head) == (str(place / "first" / "last"), True)
    assert (header.recipe["init"], header.recipe["new_head"]) == (config.init, True)
    assert "init_path" not in header.recipe  # a trace names no places
    assert "new_head" not in read(place / "first" / "trace.jsonl").header.recipe


def test_the_noise_of_it_bounds_its_jax_twin(netc):
    code, out, err = netc("trace", "noise", "second", "--steps", "22", "-o", "floor.json")
    assert code == 0, err
    code, out, _ = netc("trace", "diff", "second", "twin.jsonl", "--noise", "floor.json")
    assert code == 0, out


def test_noise_of_a_net_takes_the_weights_too(netc, place):
    what = ("net.toml", "--epochs", "1", "--batch", "64", "--seed", "3", "--accumulate", "2", "--steps", "2")
    assert netc("trace", "noise", *what, "--init", "first/last", "--new-head", "-o", "net.json")[0] == 0
    assert netc("trace", "noise", "second", "--steps", "2", "-o", "run.json")[0] == 0
    ours, theirs = (json.loads((place / name).read_text()) for name in ("net.json", "run.json"))
    assert ours == theirs


def test_the_twin_begins_with_the_weights_and_refuses_others(place, monkeypatch):
    monkeypatch.chdir(place)
    scope = runpy.run_path("twin.py")
    drawn, given = scope["initial_state"](scope["SEED"]), checkpoint.load(place / "first" / "last").tensors
    begun = scope["begun"](place / "twin.weights.npz", drawn)
    held = {**begun["params"], **begun["statistics"]}
    for name, value in held.items():
        new = name.startswith("head.")
        np.testing.assert_array_equal(np.asarray(value), drawn["params"][name] if new else given[name], err_msg=name)
    with np.load("twin.weights.npz") as arrays:
        np.savez("other.npz", **{**arrays, "sha256": np.array("b" * 64)})
    with pytest.raises(SystemExit, match=r"other\.npz holds other weights than the script was written for"):
        scope["begun"]("other.npz", drawn)


def test_bisect_replays_it(netc):
    code, out, err = netc("trace", "bisect", "second", "reference", "--step", "1", "--json")
    assert code == 0, err
    assert json.loads(out)["finding"] is None
    assert json.loads(out)["asked"] > 80


def test_weights_that_went_away_are_asked_for(netc, place):
    shutil.copytree(place / "second", place / "moved", dirs_exist_ok=True)
    path = place / "moved" / "run.json"
    table = json.loads(path.read_text())
    del table["run_sha256"]  # or what is altered below would be refused
    wanted = "wants the weights that the run started from (SHA-256 " + table["init"][:12] + ")"
    path.write_text(json.dumps(table | {"init_path": str(place / "gone")}))
    code, _, err = netc("trace", "bisect", "moved", "reference")
    assert code == 2
    assert f"{wanted}, got nothing at {place / 'gone'}; put them back" in " ".join(err.split())
    assert netc("trace", "bisect", "moved", "reference", "--init", "first/last")[0] == 0
    code, _, err = netc("trace", "noise", "moved", "--init", "second/last")
    assert code == 2
    assert f"{wanted}, got others at second/last (SHA-256 " in " ".join(err.split())
    del table["init_path"], table["new_head"]  # as runs were written before
    path.write_text(json.dumps(table))
    code, _, err = netc("trace", "noise", "moved")
    assert code == 2
    assert f"{wanted}, got a run.json that does not say where they are; name them by --init" in " ".join(err.split())
    code, _, err = netc("trace", "noise", "first", "--init", "second/last")
    assert code == 2
    assert "got one that drew its weights at random" in err
