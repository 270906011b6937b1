"""Text as data: characters as tokens, contexts and their next tokens, the two splits, and what is refused."""

import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netc.netspec.augment import Augment
from netc.netspec.feeding import Feeding
from netc.runtime.data.batches import Normalise, eval_batches, statistics, steps_per_epoch, train_batches
from netc.runtime.data.catalog import fetch, load
from netc.runtime.data.division import divided
from netc.runtime.data.errors import DataError
from netc.runtime.data.resize import resized
from netc.runtime.data.text import Reading, load_text, windowed
from netc.runtime.data.windows import TextSplit

WORDS = "the quick brown fox jumps over the lazy dog; é ∀\n" * 4


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(WORDS, encoding="utf-8")
    return path


def shown(data, tokens):
    return "".join(data.classes[t] for t in tokens)


def test_a_text_is_its_characters(book):
    data = load(f"text:{book}", cache_dir=book.parent)
    assert data.classes == tuple(sorted(set(WORDS)))
    assert shown(data, data.train.labels) + shown(data, data.test.labels) == WORDS
    assert len(data.test.labels) == len(WORDS) // 10
    assert data.digest == hashlib.sha256(book.read_bytes()).hexdigest()
    assert data.native == (len(WORDS),)
    assert data.train.labels.dtype == np.int32


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        ("\ufeff" + WORDS, ("the byte order mark is left out",)),
        (WORDS.replace("\n", "\r\n"), ("CR LF is read as LF, the end of a line",)),
    ],
)
def test_a_text_of_another_system_is_the_same_text(book, tmp_path, content, notes):
    (tmp_path / "other.txt").write_bytes(content.encode())
    other, own = load_text(tmp_path / "other.txt", "other"), load_text(book, "book")
    assert (other.classes, other.digest) == (own.classes, own.digest)
    assert (other.notes, own.notes) == (notes, ())
    np.testing.assert_array_equal(other.test.labels, own.test.labels)
    assert "\r" in load_text_of("a\rb" * 20, tmp_path).classes  # a lone one ends no line anywhere


def load_text_of(content, tmp_path):
    (tmp_path / "t").write_bytes(content.encode())
    return load_text(tmp_path / "t", "t")


def test_a_text_takes_little_more_memory_than_its_tokens(tmp_path):
    (tmp_path / "long.txt").write_bytes(bytes(range(32, 127)) * 50_000)
    tracemalloc.start()
    load_text(tmp_path / "long.txt", "long")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (16 << 20) + 12 * 95 * 50_000  # 16 MB for tables; 4 bytes of UTF-32 and 4 of tokens a character


def test_the_whole_text_is_for_evaluation(book):
    whole, divided = load_text(book, "book", reading=Reading(whole=True)), load_text(book, "book")
    assert shown(whole, whole.test.labels) == WORDS
    assert whole.digest == divided.digest


def test_an_example_predicts_each_next_token(book):
    data = windowed(load_text(book, "book"), 8)
    assert data.train.shape == data.test.shape == (8,)
    assert len(data.train) == (len(data.train.labels) - 1) // 8
    x, y = data.train.windows(np.array([0, 2, len(data.train) - 1]))
    assert x.shape == y.shape == (3, 8)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    assert shown(data, x[0]) == WORDS[:8]
    assert shown(data, y[1]) == WORDS[17:25]


def test_an_epoch_meets_each_context_once_and_can_be_continued(book):
    split = windowed(load_text(book, "book"), 8).train
    normalise = statistics(split, 1)
    assert normalise == Normalise((), ())

    def epoch(start=0):
        return list(train_batches(split, batch=3, seed=1, epoch=0, normalise=normalise, augment=Augment(), start=start))

    batches = epoch()
    assert len(batches) == steps_per_epoch(len(split), 3)
    assert all(b.x.dtype == b.y.dtype == np.int32 and b.x.shape == b.y.shape == (3, 8) for b in batches)
    starts = {tuple(row) for b in batches for row in b.x}
    assert len(starts) >= 3 * len(batches) - 2  # a sentence that returns may give an equal context
    for whole, late in zip(batches[2:], epoch(2), strict=True):
        np.testing.assert_array_equal(whole.x, late.x)


def test_the_last_test_batch_is_padded():
    split = TextSplit(np.arange(29, dtype=np.int32), 4)
    batches = list(eval_batches(split, batch=5, normalise=Normalise((), ())))
    assert [b.weight.tolist() for b in batches] == [[1.0] * 5, [1.0, 1.0, 0.0, 0.0, 0.0]]
    assert batches[1].x.shape == batches[1].y.shape == (5, 4)
    assert batches[1].y[1].tolist() == [25, 26, 27, 28]
    assert not batches[1].x[2:].any()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"short", "at least 20 characters, got 5"), (b"", "got 0"), (b"\xff" * 40, "UTF-8 text, got byte 0xff at 0")],
)
def test_a_file_that_is_no_long_text_is_refused(tmp_path, content, sentence):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        load(f"text:{tmp_path / 't'}", cache_dir=tmp_path)


def test_a_file_without_an_end_is_not_read_to_it(monkeypatch):
    monkeypatch.setattr("netc.runtime.data.corpus.LARGEST_TEXT", 1 << 20)
    with pytest.raises(DataError, match=r"/dev/zero cannot be read .no regular file."):
        load_text(Path("/dev/zero"), "zero")


def test_what_does_not_fit_is_refused(tmp_path, book):
    with pytest.raises(DataError, match="cannot be read"):
        load(f"text:{tmp_path / 'none'}", cache_dir=tmp_path)
    with pytest.raises(DataError, match="wants a file or folder after the colon"):
        load("text:", cache_dir=tmp_path)
    with pytest.raises(DataError, match="your own file or folder"):
        fetch("text:x", tmp_path)
    with pytest.raises(DataError, match="a context of 64 wants more tokens than that in each part of the text, got"):
        windowed(load_text(book, "book"), 64)
    with pytest.raises(DataError, match="holds images, and the net takes token ids"):
        windowed(load("digits", cache_dir=tmp_path), 8)
    with pytest.raises(DataError, match="is text, and the net takes images"):
        resized(load_text(book, "book"), (8, 8, 1))


def test_no_window_spans_what_a_fold_took_out(book):
    tokens = np.arange(100, dtype=np.int32)
    text = load_text(book, "book")
    pool = replace(
        text, train=TextSplit(tokens, 4), test=TextSplit(tokens[:10], 4), classes=tuple(map(chr, tokens + 200))
    )
    found = divided(pool, Feeding(fold="2/3")).train
    assert len(found) == (33 - 1) // 4 + (34 - 1) // 4
    x, y = found.windows(np.arange(len(found)))
    assert (np.diff(x, axis=1) == 1).all() and (y == x + 1).all()
    assert x[8, 0] == 66 and x.max() <= 98 and len(np.unique(x)) == x.size


def test_the_files_of_a_folder_are_said(tmp_path):
    for name in ("b.TXT", "a.txt", ".hidden.txt", "c.md", ".git/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name[0] * 20)
    found = load_text(tmp_path, "folder")
    assert found.classes == ("a", "b")
    assert found.notes == (f"read 2 .txt files of {tmp_path}, and left out 1 other",)
