"""Files of token ids: written and read, with modded-nanoGPT's header and without; damaged ones are refused."""

import json

import numpy as np
import pytest

from netc.netspec.errors import UserError
from netc.runtime.data.batches import Normalise, train_batches
from netc.runtime.data.catalog import load
from netc.runtime.data.errors import DataError
from netc.runtime.data.text import windowed
from netc.tokenizing import tokenized

TEXT = "to be, or not to be: that is the question.\n" * 40


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "book.txt"
    path.write_text(TEXT)
    return path


def shards(folder):
    return load(f"tokens:{folder}", cache_dir=folder)


@pytest.mark.parametrize(("word", "header"), [("char", False), ("byte", True), ("bpe:300", True)])
def test_what_was_written_is_read(book, tmp_path, word, header):
    if word.startswith("bpe"):
        pytest.importorskip("tokenizers")
    done = tokenized([str(book)], tmp_path / "out", word, shard=1024, header=header)
    text = load(f"text:{book}", cache_dir=tmp_path / "cache", tokenizer=word)
    found = shards(tmp_path / "out")
    assert (done.train, done.test) == (len(text.train.labels), len(text.test.labels))
    assert done.vocabulary == len(text.classes)
    for role in ("train", "test"):
        np.testing.assert_array_equal(getattr(found, role).labels, getattr(text, role).labels)
    assert found.tokenizer.digest == text.tokenizer.digest and found.classes == text.classes
    assert len([*(tmp_path / "out").glob("*.bin")]) == done.files == -(-done.train // 1024) + 1
    with pytest.raises(UserError, match=r"`out` wants a folder without .bin files"):
        tokenized([str(book)], tmp_path / "out", word)


def test_an_epoch_is_the_same_from_any_place(tmp_path):
    np.arange(3000, dtype=np.uint16).tofile(tmp_path / "train_0.bin")
    np.arange(3000, 5000, dtype=np.uint16).tofile(tmp_path / "train_1.bin")
    np.arange(100, dtype=np.uint16).tofile(tmp_path / "val_0.bin")
    data = windowed(shards(tmp_path), 16, 5000)
    assert data.classes == () and len(data.train) == 4999 // 16 and len(data.test) == 99 // 16

    def epoch(start=0):
        nothing = Normalise((), ())
        return [b.x for b in train_batches(
            data.train, batch=4, seed=3, epoch=1, normalise=nothing, augment=data.augment, start=start
        )]  # fmt: skip

    batches = epoch()
    assert sorted(int(row[0]) for b in batches for row in b) == sorted({int(row[0]) for b in batches for row in b})
    assert all((np.diff(b) == 1).all() for b in batches)  # a context may lie in two files
    for whole, late in zip(batches[7:], epoch(7), strict=True):
        np.testing.assert_array_equal(whole, late)


def headed(count, ids, version=1):
    first = np.zeros(256, np.int32)
    first[:3] = 20240520, version, count
    return first.tobytes() + np.arange(ids, dtype=np.uint16).tobytes()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (headed(50, 40), "wants 1,124 bytes, as its header says 50 ids, got 1,104; it is cut short"),
        (headed(40, 40, 3), "wants version 1 of the header, got 3"),
        (b"abc", "wants ids of 2 bytes, got a file of 3 bytes; it is cut short"),
        (b"", "got a file of 0 bytes"),
    ],
)
def test_damaged_files(tmp_path, content, sentence):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        shards(tmp_path)


def test_other_mistakes(book, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"wants .bin files of tokens in .*empty, got none"):
        shards(tmp_path / "empty")
    np.full(99, 70, np.uint16).tofile(tmp_path / "x.bin")
    with pytest.raises(DataError, match=r"ids from 0 to 49, which the net knows, got 70 to 70; .*`,vocabulary=N`"):
        windowed(shards(tmp_path), 8, 50).train.windows(np.arange(2))
    for options, sentence in (
        (",dtype=int8", "`dtype` wants uint16 or uint32"),
        (",vocabulary=x", "wants a number"),
    ):
        with pytest.raises(DataError, match=sentence):
            load(f"tokens:{tmp_path}{options}", cache_dir=tmp_path)
    assert len(load(f"tokens:{tmp_path},vocabulary=99", cache_dir=tmp_path).classes) == 99
    tokenized([str(book)], tmp_path / "out")
    file = tmp_path / "out" / "val_000000.bin"
    file.write_bytes(bytes(len(file.read_bytes())))
    with pytest.raises(DataError, match=r"val_000000.bin is not the file that meta.json was written for"):
        shards(tmp_path / "out")
    (tmp_path / "out" / "meta.json").write_text(json.dumps([]))
    with pytest.raises(DataError, match=r"meta.json wants what `netc data tokenize` writes"):
        shards(tmp_path / "out")
    with pytest.raises(UserError, match="tokenize wants text, got digits"):
        tokenized(["digits"], tmp_path / "no")
