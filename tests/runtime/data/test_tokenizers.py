"""Tokenizers: what they make of a text comes back, whole and in parts; what is kept of them; what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from netc.runtime.data import subwords, text
from netc.runtime.data.byte_tokens import Bytes
from netc.runtime.data.catalog import load
from netc.runtime.data.characters import Characters
from netc.runtime.data.corpus import Files, Strings, between, cut_for_words, surveyed
from netc.runtime.data.errors import DataError
from netc.runtime.data.stretches import Stretches, bounds, joined
from netc.runtime.data.token_cache import kept_tokens
from netc.runtime.data.tokenizer_words import trained_size

WORDS = "The naïve café owner's 12 apples — 345 of them!\n\nDon't   eat\tall. 日本語 text, to be or not to be.\n" * 30


@pytest.fixture(scope="module")
def bpe():
    pytest.importorskip("tokenizers")
    return subwords.trained_bpe(Strings((WORDS,)).pieces(), 300)


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_a_text_comes_back_and_its_bytes_are_counted(kind, request):
    made = {"char": lambda: Characters(tuple(sorted(set(WORDS)))), "byte": Bytes}.get(
        kind, lambda: request.getfixturevalue("bpe")
    )()
    ids = made.encode(WORDS)
    assert ids.dtype == np.int32 and made.decode(ids.tolist()) == WORDS
    decode = made.decoder()
    assert "".join(decode(i) for i in ids.tolist()) == WORDS
    assert made.lengths[ids].sum() == len(WORDS.encode())
    assert made.size == len(made.names) == len(made.lengths) > ids.max()


@pytest.mark.parametrize(("part", "piece"), [(40, 7), (100, 1000), (1000, 50)])
def test_parts_change_no_token(bpe, monkeypatch, part, piece):
    monkeypatch.setattr(subwords, "PART", part)
    pieces = [(WORDS[i : i + piece], i + piece >= len(WORDS)) for i in range(0, len(WORDS), piece)]
    found = np.concatenate([*bpe.encoded(iter(pieces), ends=False)])
    np.testing.assert_array_equal(found, bpe.encode(WORDS))


def test_a_cut_lies_before_a_word_behind_a_line_or_where_it_must():
    assert cut_for_words("aa bb cc", 4) == ["aa", " bb", " cc"]
    assert cut_for_words("1 2\n3 4\n5", 5) == ["1 2\n", "3 4\n5"]
    assert cut_for_words("x" * 7, 3) == ["xxx", "xxx", "x"]


def test_the_end_of_a_text_lies_between_documents(bpe):
    ids = np.concatenate([*bpe.encoded(Strings(("one", "two", "")).pieces(), ends=True)])
    assert (ids == bpe.end).sum() == 3 and ids[-1] == ids[-2] == bpe.end
    assert bpe.decode(ids.tolist()) == "onetwo"


def test_gpt2s_files_are_the_same_tokenizer(bpe, tmp_path):
    model = json.loads(bpe.content)["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    for path in (tmp_path, tmp_path / "vocab.json"):
        found = subwords.read_tokenizer(path)
        assert (found.size, found.end) == (bpe.size, bpe.end)
        np.testing.assert_array_equal(found.encode(WORDS), bpe.encode(WORDS))


def test_pieces_count_their_marks_as_spaces():
    package = pytest.importorskip("tokenizers")
    pieces = [("<unk>", 0.0), ("▁to", -1.0), ("▁be", -1.5), ("é", -2.0)]
    inner = package.Tokenizer(package.models.Unigram(pieces, 0, False))
    inner.pre_tokenizer, inner.decoder = package.pre_tokenizers.Metaspace(), package.decoders.Metaspace()
    assert subwords.Subwords(inner.to_str(), "t").lengths.tolist() == [5, 3, 3, 2]
    inner.decoder = package.decoders.WordPiece()
    assert subwords.Subwords(inner.to_str(), "t").lengths is None


@pytest.mark.parametrize("word", ["char", "byte", "bpe:300"])
def test_a_long_text_lies_in_files_that_are_mapped(tmp_path, monkeypatch, word):
    if word.startswith("bpe"):
        pytest.importorskip("tokenizers")
    path = tmp_path / "book.txt"
    path.write_text(WORDS)
    name, cache = f"text:{path}", tmp_path / "cache"
    held = load(name, cache_dir=tmp_path / "none", tokenizer=word)
    monkeypatch.setattr(text, "IN_MEMORY", 100)
    kept = load(name, cache_dir=cache, tokenizer=word)
    assert isinstance(kept.train.tokens, np.memmap) and kept.digest == held.digest and kept.classes == held.classes
    whole = load(name, cache_dir=cache, tokenizer=word, whole=True)
    assert isinstance(whole.test.tokens, Stretches) and whole.digest == held.digest
    for role in ("train", "test"):
        np.testing.assert_array_equal(getattr(kept, role).labels, getattr(held, role).labels)
    assert whole.tokenizer.decode(whole.test.labels.tolist()) == WORDS
    entry = max(cache.rglob("0.bin"))
    entry.write_bytes(b"\0" + entry.read_bytes()[1:])
    np.testing.assert_array_equal(load(name, cache_dir=cache, tokenizer=word).train.labels, held.train.labels)


def test_a_trained_tokenizer_knows_the_training_part_alone(tmp_path):
    pytest.importorskip("tokenizers")
    for name, end in (("a", "zebra "), ("b", "llama ")):
        (tmp_path / name).write_text("to be or not " * 90 + end * 20)
    one, other = (load(f"text:{tmp_path / n}", cache_dir=tmp_path, tokenizer="bpe:280") for n in "ab")
    assert one.tokenizer.digest == other.tokenizer.digest and one.digest != other.digest


def test_a_folder_and_several_files(tmp_path):
    for name in ("b.txt", "a.txt", "other.md"):
        (tmp_path / name).write_text(name * 10)
    folder, listed = (load(f"text:{p}", cache_dir=tmp_path) for p in (tmp_path, f"{tmp_path}/a.txt,{tmp_path}/b.txt"))
    assert folder.tokenizer.decode([*folder.train.labels, *folder.test.labels]) == "a.txt" * 10 + "b.txt" * 10
    assert folder.digest == listed.digest
    with pytest.raises(DataError, match=r"wants .txt files in the folder"):
        load(f"text:{tmp_path / 'none'}/", cache_dir=tmp_path) if (tmp_path / "none").mkdir() is None else None


def test_a_text_with_too_few_pairs_is_told(tmp_path):
    pytest.importorskip("tokenizers")
    (tmp_path / "t").write_text("ab " * 300)
    found = load(f"text:{tmp_path / 't'}", cache_dir=tmp_path, tokenizer="bpe:512")
    assert found.tokenizer.size < 512
    assert found.notes == (
        f"bpe:512 found {found.tokenizer.size} tokens: no more pairs are frequent enough in the text",
    )


def test_bytes_that_are_no_text_are_refused_or_replaced(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(b"\xef\xbb\xbf" + b"ab\r\n" * 300_000 + b"\xff" + "é".encode() * 20)
    with pytest.raises(DataError, match="UTF-8 text, got byte 0xff at 1,200,003; convert it first, or add"):
        load(f"text:{path}", cache_dir=tmp_path)
    found = load(f"text:{path},invalid=replace", cache_dir=tmp_path)
    assert found.classes == ("\n", "a", "b", "é", "\N{REPLACEMENT CHARACTER}")
    assert found.notes == (
        "1 character is U+FFFD, which stands for invalid UTF-8",
        "the byte order mark is left out",
        "CR LF is read as LF, the end of a line",
    )
    with pytest.raises(DataError, match="`invalid` wants refuse or replace, got 'x'"):
        load(f"text:{path},invalid=x", cache_dir=tmp_path)


def test_a_survey_counts_and_a_part_is_what_lies_between():
    corpus = Strings(("abc", "", "dé"))
    found = surveyed(corpus)
    assert (found.characters, found.bytes, found.documents) == (5, 6, 3)
    assert found.digest != surveyed(Strings(("abcdé",))).digest
    assert [*between(corpus, 1, 4)] == [("bc", True), ("", True), ("d", False)]


def test_stretches_are_one_row(tmp_path):
    np.arange(5, dtype=np.uint16).tofile(tmp_path / "x")
    tokens = joined([np.memmap(tmp_path / "x", np.uint16), np.arange(5, 9, dtype=np.int32)])
    assert isinstance(tokens, Stretches) and len(tokens) == 9 and bounds(tokens) == (0, 8)
    for first, last in ((0, 9), (3, 7), (5, 5), (6, 9), (0, 5)):
        np.testing.assert_array_equal(tokens[first:last], np.arange(first, last))


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("bpe:12", "bpe:SIZE with a number of tokens from 257 to 1,048,576, got 'bpe:12'"),
        ("nowhere.json", r"merges.txt, got 'nowhere.json', which does not exist"),
    ],
)
def test_words_that_name_no_tokenizer(tmp_path, word, sentence):
    pytest.importorskip("tokenizers")
    (tmp_path / "t").write_text(WORDS)
    with pytest.raises(DataError, match=sentence):
        load(f"text:{tmp_path / 't'}", cache_dir=tmp_path, tokenizer=word)
    assert trained_size("bpe:300") == 300 and trained_size("char") == 0


def test_a_file_that_is_no_tokenizer(tmp_path):
    pytest.importorskip("tokenizers")
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(DataError, match=r"wants a tokenizer.json of the package tokenizers, got "):
        subwords.read_tokenizer(tmp_path)


def test_files_are_read_in_pieces(tmp_path):
    (tmp_path / "t").write_bytes(b"a" * ((1 << 20) - 1) + b"\r\nb\r")
    assert "".join(part for part, _ in Files((Path(tmp_path / "t"),)).pieces()) == "a" * ((1 << 20) - 1) + "\nb\r"


KEEPING = """
import sys, numpy as np
from pathlib import Path
from netc.runtime.data.token_cache import kept_tokens, key_of
for number in range(100):
    parts = [lambda: iter([np.arange(1000, dtype=np.int32)])]
    (tokens,) = kept_tokens(Path(sys.argv[1]), key_of("race", number), 1000, parts)
    assert tokens.tolist() == [*range(1000)]
"""


def test_processes_share_a_cache(tmp_path):
    words = [sys.executable, "-c", KEEPING, str(tmp_path)]
    processes = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, said
    assert not [*(tmp_path / "tokens").glob(".*")]


def test_a_damaged_entry_is_put_aside(tmp_path):
    parts = [lambda: iter([np.arange(9, dtype=np.int32)])]
    kept_tokens(tmp_path, "k", 1000, parts)
    file = tmp_path / "tokens" / "k" / "0.bin"
    file.write_bytes(b"no")
    assert kept_tokens(tmp_path, "k", 1000, parts)[0].tolist() == [*range(9)]
    assert not [*(tmp_path / "tokens").glob(".*")]
