"""A language model from the command line: trained on a text file, continued, evaluated; and what is refused."""

import json

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from tests.cli.small_language import with_small_net


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with_small_net(tmp_path, "abcdefghij" * 60)

    def call(*words):
        result = CliRunner().invoke(cli, words)
        return result.exit_code, result.output + str(result.exception or "")

    return call


def test_a_text_is_learnt_and_evaluated(run, tmp_path):
    training = ("train", "small.toml", "--data", "text:book.txt", "--target", "reference", "--epochs", "30")
    code, said = run(*training, "--batch", "16", "--lr", "0.05", "--out", "run")
    assert code == 0, said
    assert "10 classes" in said  # the vocabulary is the text's
    assert "67 training and 7 test contexts" in said
    code, said = run("eval", "run", "--json")
    assert code == 0, said
    assert json.loads(said)["accuracy"] > 0.9  # each letter says which is next


def test_another_text_is_read_by_its_characters(run, tmp_path):
    """The other text lacks the first letters, so that by their numbers all characters would be others."""
    training = ("train", "small.toml", "--data", "text:book.txt", "--target", "reference", "--epochs", "30")
    assert run(*training, "--batch", "16", "--lr", "0.05", "--out", "run")[0] == 0
    (tmp_path / "other.txt").write_bytes(b"\xef\xbb\xbf" + b"cdefghijcdefghij" * 4)
    code, said = run("eval", "run", "--data", "text:other.txt")
    assert code == 0, said
    assert "2 of the 10 characters that the net knows do not occur in text:other.txt" in said
    assert float(said.split("(best): ")[1].split("%")[0]) > 80  # all but each c, which follows j here
    (tmp_path / "new.txt").write_text("cdefghij?" * 4)
    code, said = run("eval", "run", "--data", "text:new.txt")
    assert code != 0 and "text:new.txt has characters that the net does not know: '?'; leave them out with" in said
    code, said = run("eval", "run", "--data", "text:new.txt", "--skip-unknown", "--json")
    assert code == 0 and json.loads(said)["left_out"] == 4 and json.loads(said)["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "small.toml"), "digits holds images, and the net takes token ids; give `data=text:FILE`"),
        (("train", "mnist-mlp", "--data", "text:book.txt"), "is text, and the net takes images"),
        (("train", "small.toml", "--data", "text:book.txt", "--flip"), "`flip` belongs to images"),
        (("train", "small.toml", "--data", "text:none.txt"), "cannot be read"),
    ],
)
def test_what_does_not_fit_is_a_sentence(run, words, sentence):
    code, said = run(*words, "--target", "reference", "--out", "run")
    assert code != 0
    assert sentence in " ".join(said.split())
