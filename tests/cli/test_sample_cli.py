"""`netc sample`: text from a run, ended, streamed and refused; and the program that writes, as text."""

import json

import pytest

import netc as library
from netc.netspec.errors import UserError
from netc.runtime.cache.store import Cache
from netc.runtime.data.characters import Characters
from netc.runtime.sample import Writer
from netc.sampling import _Text
from tests.cli.small_language import with_small_net


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return with_small_net(tmp_path_factory.mktemp("sample"), "abcdefgh\n" * 70)


@pytest.fixture
def run(netc, place):
    """`run(words..)` of `netc sample` on a run that learnt which letter follows which."""
    if not (place / "run").exists():
        words = "--data text:book.txt --target reference --epochs 40 --batch 16 --lr 0.05 --out run --quiet"
        assert netc("train", "small.toml", *words.split())[0] == 0
    return lambda *words: netc("sample", "run", *words)


def test_what_was_learnt_is_written(run):
    code, out, err = run("--prompt", "ab", "--tokens", "10", "--temperature", "0")
    assert (code, out) == (0, "abcdefgh\nabc\n"), err
    assert run("--tokens", "3", "--temperature", "0")[1] == "abc\n"  # a text begins after the end of a line
    streamed = run("--prompt", "ab", "--tokens", "10", "--temperature", "0", "--stream")
    assert streamed[:2] == (0, "abcdefgh\nabc\n")


def test_samples_and_stop_words(run):
    words = ("--prompt", "a", "--temperature", "0", "--tokens", "30")
    code, out, _ = run(*words, "--samples", "2", "--json", "--stop", "gh\n")
    assert code == 0 and json.loads(out) == [{"prompt": "a", "text": "bcdef"}] * 2
    assert run(*words, "--stop", "fgx", "--stop", "\n")[1] == "abcdefgh\n"  # "fg" was held back, and came
    assert run(*words[:4], "--tokens", "6", "--stop", "gxx")[1] == "abcdefg\n"  # and so was the end
    assert run(*words, "--samples", "2", "--stop", "d")[1] == f"abc\n{'-' * 20}\nabc\n"


@pytest.mark.parametrize("words", [(), ("--stream",), ("--json",), ("--samples", "2")])
def test_what_was_drawn_before_weights_became_nan_is_written(run, monkeypatch, words):
    assert run("--tokens", "1")[0] == 0
    whole = Writer.write

    def until(writer, prompt, count, *more):
        yield from whole(writer, prompt, 3, *more)
        raise UserError("sample wants logits that are numbers, got NaN")

    monkeypatch.setattr(Writer, "write", until)
    shown = {"--json": json.dumps([{"prompt": "ab", "text": "cde"}]), "--samples": f"abcde\n{'-' * 20}\nabcde"}
    code, out, err = run("--prompt", "ab", "--temperature", "0", "--stop", "efx", *words)  # the e was held back
    assert (code, out) == (2, shown.get("".join(words[:1]), "abcde") + "\n") and "got NaN" in err


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_nothing_is_written_where_nothing_was_drawn(run, monkeypatch, words):
    assert run("--tokens", "1")[0] == 0

    def refused(*_):
        raise UserError("sample wants logits that are numbers, got NaN")
        yield

    monkeypatch.setattr(Writer, "write", refused)
    assert run("--prompt", "ab", *words)[:2] == (2, "")


def test_the_seed_makes_the_text(run):
    words = ("--tokens", "40", "--temperature", "3")
    first = run(*words)
    assert first[0] == 0 and first == run(*words) and first != run(*words, "--seed", "1")


def test_mistakes(run, netc, place):
    assert "wants the 9 characters that the net was trained on, got also 'é'" in run("--prompt", "é")[2]
    assert "--top-p wants a probability above 0, at most 1, got 2" in run("--top-p", "2")[2]
    assert "--stop wants words, got an empty one" in run("--stop", "")[2]
    assert "--stream prints one text" in run("--stream", "--samples", "2")[2]
    code, out, err = run("--prompt", "\nabcdefgh", "--tokens", "1", "--temperature", "0")
    assert (code, out) == (0, "\nabcdefgh\n\n")
    assert "the prompt has 9 tokens, of which the net sees the last 8" in err
    for word, value in (("seed", -1), ("seed", 1 << 64), ("samples", 0), ("tokens", 0)):
        with pytest.raises(UserError, match=f"`{word}` wants"):
            library.load("run").sample("ab", **{word: value})
    with pytest.raises(UserError, match="did you mean `temperature`"):
        library.load("run").sample("ab", temperatur=1)


def test_a_run_of_images_writes_nothing(netc):
    assert netc("train", "mnist-linear", "--target", "reference", "--epochs", "1", "--out", "images", "--quiet")[0] == 0
    code, _, err = netc("sample", "images")
    assert code != 0 and "wants a run of a language model, which writes text, or of a generative one" in err
    assert "got mnist-linear" in err


def test_from_python(run):
    assert run("--tokens", "1")[0] == 0
    assert library.load("run").sample("ab", tokens=5, temperature=0, stop="f") == ("cde",)


def test_averaged_weights_write_by_default(netc, place):
    words = "--data text:book.txt --target reference --epochs 9 --batch 16 --lr 0.05 --ema 0.99 --out averaged --quiet"
    assert netc("train", "small.toml", *words.split())[0] == 0
    run = library.load("averaged")
    texts = {name: run.sample("a", tokens=60, weights=name, temperature=0.0) for name in (None, "ema", "plain")}
    assert texts[None] == texts["ema"] != texts["plain"]


def test_the_program_as_text(netc, place):
    code, out, _ = netc("emit-mlir", "small.toml", "--sampler", "--batch", "3", "-o", "made")
    assert code == 0 and "small.sampler.mlir" in out
    text = (place / "made" / "small.sampler.mlir").read_text()
    assert "@prefill" in text and "@decode" in text and "@train_step" not in text
    manifest = json.loads((place / "made" / "small.sampler.json").read_text())
    assert manifest["batch"] == 3 and manifest["functions"].keys() == {"prefill", "decode", "draw", "draw_among"}


@pytest.mark.parametrize("target", ["xla", "cpu"])
def test_the_text_is_that_of_sample(run, netc, place, target):
    """With the functions that write some tokens in one call, and packed weights, where a target has them."""
    code, out, err = netc("emit-mlir", "run/spec.toml", "--sampler", "--target", target)
    assert code == 0, err
    trained = library.load("run")
    writer = Writer.of_run(trained.config, trained.weights(), target, Cache())
    assert out == writer.prepared.source.text
    assert ("@write_among" in out) == (target == "xla")


@pytest.mark.parametrize("word", ["prompt", "stop"])
def test_bytes_that_are_no_text(run, word):
    code, _, err = run(f"--{word}", "a\udcff")
    assert code == 2 and f"--{word} wants text, got bytes that are not valid UTF-8" in err


def test_a_tokenizer_that_needs_a_text(run):
    code, _, err = run("--tokenizer", "char")
    assert code == 2 and "wants byte, a tokenizer.json, or a folder with one" in err and "got 'char'" in err


def test_a_token_beyond_the_tokenizer_is_no_text():
    text = _Text((), Characters(("a", "b")).decoder(), 2)
    assert [text.add(i) for i in (0, 2, 1, 100)] == ["a", "", "b", ""]
