"""Every error about a value that a file says begins with the file and the line."""

from dataclasses import fields
from pathlib import Path

import pytest

from netc.cli.main import _run
from netc.netspec.errors import UserError
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.schedules import SCHEDULES
from netc.requests import planned, request_training
from netc.sweeps import read_sweep
from netc.train_request import request_types, request_words

HEAD = 'net = "mnist-mlp"\ndata = "digits"\n\n'
OWNERS = {option: f'optimizer = "{word}"\n' for word, row in OPTIMIZERS.items() for option in row.options}
OWNERS |= {f.name: f'decay = "{word}"\n' for word, cls in SCHEDULES.items() for f in fields(cls)}
WRONG = {int: ("-7", "2.5"), float: ("-7.5", "inf"), bool: ("3",)}
NEVER = {"out"}  # a folder may have any name


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))


def refused(text, **words):
    Path("mine.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        planned(request_training(config="mine.toml", **words))
    return str(caught.value)


def test_a_value_of_every_word_is_refused_with_its_line():
    head = HEAD.replace('data = "digits"\n', "\n")
    for word in sorted(request_words() - NEVER):
        for value in WRONG.get(request_types().get(word), ('"~bad~"', "-7")):
            text = f"{head}{OWNERS.get(word, '')}{word} = {value}\n"
            line = text.count("\n")
            assert refused(text).startswith(f"mine.toml:{line}: "), (word, value, refused(text))


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("lr = 3\n", {"lr": -1}, "`lr` wants a positive number"),  # the command line's, which needs no place
        ("rrc_scale = 0.5\n", {"crop": 2}, "mine.toml:4: `crop` and rrc_scale both cut a window"),
        ('loss = "focal"\n[loss_option]\n\ngamma = -3\n', {}, "mine.toml:7: focal: gamma wants numbers"),
        ("max_steps = -1\nwarmup_steps = 3\n", {}, "mine.toml:4: max_steps wants an integer of at least 0, got -1\n"),
        ('recipe = "foo"\n', {}, "mine.toml:4: recipe wants one of"),
        ("batch = 10000\n", {}, "mine.toml:4: batch=10000 is more than the 1,438 training examples"),
    ],
)
def test_what_is_said(text, words, said):
    assert refused(HEAD + text, **words).startswith(said)


def test_data_that_is_not_there_and_damaged_weights_have_the_line_that_names_them():
    assert refused('net = "mnist-mlp"\ndata = "imagefolder:none"\n').startswith("mine.toml:2: imagefolder:none: ")
    assert refused(HEAD + 'init = "none.safetensors"\n').startswith("mine.toml:4: ")


def test_the_command_line_says_it_as_the_file_spells_it(capsys):
    Path("mine.toml").write_text(HEAD + "crop_pct = 7\n")
    assert _run(["train", "--config", "mine.toml"]) == 2
    assert capsys.readouterr().err.startswith("netc: mine.toml:4: crop_pct wants a fraction from 0 to 1, got 7")


def test_a_sweep_says_the_line_of_what_all_trials_have():
    Path("sweep.toml").write_text(HEAD + "crop_pct = 7\n[grid]\nlr = [0.1, 0.2]\n")
    sweep = read_sweep(Path("sweep.toml"))
    with pytest.raises(UserError, match=r"^sweep.toml:4: crop_pct wants"):
        sweep.request(next(sweep.trials()), Path("out"))
