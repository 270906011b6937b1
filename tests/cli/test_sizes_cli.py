"""`--layers`, `--heads`, `--width` and `--context`: a net of another size trained, resumed, sampled and looked at."""

import json

import pytest
from click.testing import CliRunner

from netc.cli.main import cli

SMALL = ("--layers", "1", "--heads", "2", "--width", "16", "--context", "8")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text("abcdefghij" * 60)

    def call(*words):
        result = CliRunner().invoke(cli, words)
        return result.exit_code, result.output + str(result.exception or "")

    return call


TRAIN = ("train", "tiny-gpt", "--data", "text:book.txt", "--target", "reference", "--batch", "32", "--out", "run")


def test_a_net_of_chosen_sizes_is_trained_resumed_and_sampled(run, tmp_path):
    code, said = run(*TRAIN, *SMALL, "--epochs", "1")
    assert code == 0, said
    code, said = run("train", "--resume", "run", "--epochs", "2")
    assert code == 0, said
    code, said = run("sample", "run", "--tokens", "3", "--json")
    assert code == 0, said
    assert len(json.loads(said)[0]["text"]) == 3
    # config.toml has the whole net: it begins the same one
    code, said = run("train", "--config", "run/config.toml", "--epochs", "1", "--out", "again")
    assert code == 0, said
    first, second = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("run", "again"))
    assert first["spec"] == second["spec"]
    code, said = run("train", "--config", "run/config.toml", "--layers", "2")
    assert code != 0 and "`layers` is a size of nets that `netc ls` shows, got it for tiny-gpt" in said


def test_sizes_may_stand_in_a_file(run, tmp_path):
    (tmp_path / "small.toml").write_text('net = "tiny-gpt"\nlayers = 1\nheads = 2\nwidth = 16\ncontext = 8\n')
    words = ("--data", "text:book.txt", "--target", "reference", "--batch", "32", "--epochs", "1", "--out", "run")
    code, said = run("train", "--config", "small.toml", *words)
    assert code == 0, said
    assert "dim = 16" in (tmp_path / "run" / "spec.toml").read_text()


@pytest.mark.parametrize(
    "command", [("show",), ("cost", "--peak", "100", "--bandwidth", "10"), ("emit-lean",), ("emit-mlir",)]
)
def test_commands_that_look_at_a_net_take_its_sizes(run, command):
    code, said = run(command[0], "tiny-gpt", *SMALL, *command[1:])
    assert code == 0, said
    assert run(command[0], "tiny-gpt", *command[1:])[1] != said


def test_a_net_without_sizes_says_so(run):
    code, said = run("show", "resnet18", "--layers", "6")
    assert code != 0
    assert "`layers` is for a net whose sizes may be chosen (tiny-gpt, gpt2" in said
