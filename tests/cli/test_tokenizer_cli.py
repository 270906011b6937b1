"""A text by another tokenizer: trained, evaluated in bits, gone on with, written from; mistakes."""

import json
import math

import pytest

from tests.cli.small_language import with_small_net

WORDS = "--target reference --epochs 1 --batch 16 --lr 0.02 --quiet"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return with_small_net(tmp_path_factory.mktemp("tokens"), "ab café; to be or not\n" * 70)


def learnt(netc, name, *words):
    code, _, err = netc("train", "small.toml", *WORDS.split(), "--out", name, *words)
    assert code == 0, err


def test_bytes_and_their_bits(netc, place):
    learnt(netc, "bytes", "--data", "text:book.txt", "--tokenizer", "byte")
    code, out, err = netc("eval", "bytes", "--by-position")
    assert code == 0 and " tokens (" in out and "bits per token, " in out and "position" in out, err
    score = json.loads(netc("eval", "bytes", "--metrics", "bits,bits-per-byte", "--json")[1])
    assert score["bits"]["per_token"] == pytest.approx(score["loss"] / math.log(2))
    assert score["bits"]["per_byte"] == pytest.approx(score["bits"]["per_token"])  # a token is a byte
    assert score["metrics"]["bits-per-byte"] == pytest.approx(score["bits"]["per_byte"], rel=1e-5)
    other = json.loads(netc("eval", "bytes", "--data", "text:book.txt", "--json")[1])
    assert other["bits"].keys() == score["bits"].keys()
    code, out, _ = netc("sample", "bytes", "--prompt", "é", "--tokens", "4")
    assert code == 0 and out.startswith("é")


def test_characters_have_bytes_too(netc, place):
    learnt(netc, "chars", "--data", "text:book.txt")
    score = json.loads(netc("eval", "chars", "--json")[1])
    assert score["bits"]["per_byte"] < score["bits"]["per_token"]  # an é is two bytes
    (place / "other.txt").write_text("not ab é to be\n" * 30)
    other = json.loads(netc("eval", "chars", "--data", "text:other.txt", "--metrics", "bits-per-byte", "--json")[1])
    assert other["metrics"]["bits-per-byte"] == pytest.approx(other["bits"]["per_byte"], rel=1e-5)


def test_a_trained_tokenizer_is_kept_and_has_to_be_the_same(netc, place):
    pytest.importorskip("tokenizers")
    learnt(netc, "bpe", "--data", "text:book.txt", "--tokenizer", "bpe:280")
    kept = place / "bpe" / "tokenizer.json"
    assert kept.exists() and netc("eval", "bpe", "--data", "text:book.txt")[0] == 0
    code, out, err = netc("sample", "bpe", "--prompt", "to be", "--tokens", "3", "--tokenizer", "bpe/tokenizer.json")
    assert code == 0 and out.startswith("to be"), err
    code, _, err = netc("sample", "bpe", "--prompt", "a", "--tokenizer", "byte")
    assert code != 0 and "leave --tokenizer out" in err
    code, _, err = netc("train", "--resume", "bpe", "--epochs", "2", "--quiet")
    assert code == 0, err
    whole = json.loads(kept.read_text())
    whole["model"]["merges"] = whole["model"]["merges"][:-1]
    kept.write_text(json.dumps(whole))
    code, _, err = netc("sample", "bpe", "--prompt", "a")
    assert code != 0 and "is not the tokenizer that the run was trained with" in err


def test_files_of_tokens(netc, place):
    code, out, err = netc("data", "tokenize", "book.txt", "-o", "made")
    assert code == 0 and "tokens to train on and" in out, err
    learnt(netc, "ids", "--data", "tokens:made")
    assert netc("sample", "ids", "--prompt", "to be", "--tokens", "3")[0] == 0
    (place / "made" / "meta.json").unlink()
    learnt(netc, "bare", "--data", "tokens:made,vocabulary=40")
    code, out, err = netc("eval", "bare")
    assert code == 0 and "bits per token" in out and "bits per byte" not in out, err
    code, _, err = netc("sample", "bare", "--prompt", "to be")
    assert code != 0 and "wants a tokenizer, got none: it was trained on ids" in err


def test_mistakes(netc, place):
    for words, sentence in (
        (("--tokenizer", "bpe:12", "--data", "text:book.txt"), "from 257 to 1,048,576, got 'bpe:12'"),
        (("--tokenizer", "byte", "--data", "digits"), "--tokenizer belongs to text, and digits is not text"),
    ):
        code, _, err = netc("train", "small.toml", *words)
        assert code != 0 and sentence in err, err
