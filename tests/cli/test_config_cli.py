"""`netc train --config FILE.toml`, `--set`, `--recipe`, and `netc recipes`."""

import json

import pytest

from netc.netspec import layers as nn
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.runtime.run.config import read_config

NET = NetSpec("tiny", (8, 8, 1), (nn.Flatten(), nn.Dense(10, name="head")))
MINE = """
net = "net.toml"
target = "reference"
batch = 64
epochs = 1
lr = 0.01
optimizer = "adamw"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("config")
    (place / "net.toml").write_text(to_toml(NET))
    (place / "mine.toml").write_text(MINE)
    return place


def test_a_file_and_what_the_command_line_says_over_it(netc, place):
    code, _, err = netc("train", "--config", "mine.toml", "--set", "lr=0.5", "--batch", "128", "--out", "a")
    assert code == 0, err
    made = read_config(place / "a")
    assert (made.training.lr, made.training.batch, made.recipe.optimizer.decoupled) == (0.5, 128, True)
    assert netc("train", "--config", "a/config.toml", "--out", "b", "--quiet")[0] == 0
    for name in ("run.json", "trace.jsonl"):
        assert (place / "a" / name).read_bytes() == (place / "b" / name).read_bytes()
    assert netc("train", "--config", "mine.toml", "--auto-resume", "--out", "c", "--set", "target=reference")[0] == 0
    code, _, err = netc("train", "--config", "mine.toml", "--auto-resume", "--out", "c", "--epochs", "2")
    assert code == 2 and "schedule.epochs (1 there, 2 here)" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train"], "train wants NET or --resume RUN, got neither"),
        (
            ["train", "--set", "lr=1"],
            "wants a NET, got none; name one that `netc ls` shows, or a --config that has one",
        ),
        (["train", "--config", "none.toml"], "none.toml: cannot be read (No such file or directory); check the name"),
        (["train", "--config", "mine.toml", "--set", "lr=1", "--lr", "2"], "wants --lr once, got it in --set too"),
        (["train", "--config", "mine.toml", "--set", "lrr=1"], "--set lrr=1: there is no lrr; did you mean lr"),
        (["train", "mnist-mlp", "--recipe", "fasion"], "did you mean fashion"),
        (["train", "net.toml", "--config", "x"], "--config belongs to a .lean file, got the net 'net.toml'"),
        (["recipes", "show", "nothing"], "got 'nothing'; `netc recipes ls` lists them"),
    ],
)
def test_what_is_wrong(netc, words, said):
    code, out, err = netc(*words)
    assert (code, out) == (2, "") and said in err


def test_a_wrong_key_is_said_with_its_line(netc, place):
    (place / "wrong.toml").write_text(MINE + "learning_rate = 1\n")
    code, _, err = netc("train", "--config", "wrong.toml")
    assert code == 2 and "wrong.toml:8: there is no learning_rate; did you mean lr?" in err


def test_other_commands_take_what_concerns_their_program(netc, place):
    code, _, err = netc("emit-mlir", "net.toml", "--config", "mine.toml", "-o", "text")
    assert code == 0, err
    texts = [path.read_text() for path in (place / "text").glob("*.mlir")]
    assert len(texts) == 1 and "tensor<64x8x8x1xf32>" in texts[0]


def test_recipes_are_listed_and_shown(netc):
    code, out, _ = netc("recipes", "ls", "--json")
    names = [row["recipe"] for row in json.loads(out)]
    assert code == 0 and "digits" in names
    assert netc("recipes", "ls")[1].count("\n") >= len(names)
    for name in names:
        code, out, _ = netc("recipes", "show", name)
        assert code == 0 and out.startswith("# ")
