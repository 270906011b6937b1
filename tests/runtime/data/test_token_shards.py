"""Files of token ids: written and read, with modded-nanoGPT's header and without; damaged ones are refused."""

import hashlib
import json

import numpy as np
import pytest

from netc.netspec.augment import Augment
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import Chain, TiedHead, TokenPositionEmbed
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.spec import NetSpec
from netc.runtime.data.batches import Normalise, train_batches
from netc.runtime.data.catalog import load
from netc.runtime.data.dataset import Dataset, highest_of
from netc.runtime.data.errors import DataError
from netc.runtime.data.named import by_name
from netc.runtime.data.stretches import Stretches
from netc.runtime.data.text import windowed
from netc.runtime.data.windows import TextSplit
from netc.runtime.fit import refuse_misfits
from netc.runtime.run.config import RunConfig
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
        (headed(0, 0), "a.bin wants a header with at least 1 id, got 0"),
        (headed(-2, 0), "a.bin wants a header with at least 1 id, got -2"),
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
        (",vocabulary=1048577", "wants a number of ids up to 1,048,576"),
    ):
        with pytest.raises(DataError, match=sentence):
            load(f"tokens:{tmp_path}{options}", cache_dir=tmp_path)
    assert len(load(f"tokens:{tmp_path},vocabulary=99", cache_dir=tmp_path).classes) == 99
    tokenized([str(book)], tmp_path / "out")
    with pytest.raises(DataError, match=r"`vocabulary` is for ids without a tokenizer, got one of \d+ tokens"):
        load(f"tokens:{tmp_path / 'out'},vocabulary=99", cache_dir=tmp_path)
    file = tmp_path / "out" / "val_000000.bin"
    file.write_bytes(bytes(len(file.read_bytes())))
    with pytest.raises(DataError, match=r"val_000000.bin is not the file that meta.json was written for"):
        shards(tmp_path / "out")
    (tmp_path / "out" / "meta.json").write_text(json.dumps([]))
    with pytest.raises(DataError, match=r"meta.json wants what `netc data tokenize` writes"):
        shards(tmp_path / "out")
    with pytest.raises(UserError, match="tokenize wants text, got digits"):
        tokenized(["digits"], tmp_path / "no")


def test_one_file_is_read_as_its_folder_says(tmp_path):
    meta = {"kind": "file", "vocabulary": 70_000, "dtype": "uint32", "sha256": {"train_0.bin": ""}}
    ids = np.arange(69_000, 69_100)
    ids.astype("<u4").tofile(tmp_path / "train_0.bin")
    meta["sha256"]["train_0.bin"] = hashlib.sha256((tmp_path / "train_0.bin").read_bytes()).hexdigest()
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    found = shards(tmp_path / "train_0.bin")
    np.testing.assert_array_equal(np.concatenate([found.train.labels, found.test.labels]), ids)
    assert len(found.classes) == 70_000
    np.arange(50, dtype=np.uint16).tofile(tmp_path / "other.bin")  # which meta.json does not list
    np.testing.assert_array_equal(shards(tmp_path / "other.bin").train.labels, np.arange(45))
    with pytest.raises(DataError, match=r"wants the 1 files that its meta.json lists, got also other.bin"):
        shards(tmp_path)


@pytest.mark.parametrize("held", ["fineweb-val-000.bin", "validation.bin", "VAL000001.bin", "x.testing.bin"])
def test_files_for_the_test_are_known_by_a_word(tmp_path, held):
    np.arange(100, dtype=np.uint16).tofile(tmp_path / "latest-train.bin")
    np.arange(200, 240, dtype=np.uint16).tofile(tmp_path / held)
    found = shards(tmp_path)
    np.testing.assert_array_equal(found.train.labels, np.arange(100))
    np.testing.assert_array_equal(found.test.labels, np.arange(200, 240))
    assert found.notes == (f"held out for the test by their names: {held}",)
    whole = load(f"tokens:{tmp_path}", cache_dir=tmp_path, whole=True)
    np.testing.assert_array_equal(whole.test.labels, np.arange(200, 240))
    (tmp_path / "latest-train.bin").unlink()
    with pytest.raises(DataError, match="wants training files in addition to those for the test"):
        shards(tmp_path)
    alone = load(f"tokens:{tmp_path}", cache_dir=tmp_path, whole=True)
    np.testing.assert_array_equal(alone.test.labels, np.arange(200, 240))


def test_a_missing_file_and_another_tokenizer_are_noticed(book, tmp_path):
    out = tmp_path / "out"
    tokenized([str(book)], out, shard=1024)
    (out / "train_000000.bin").rename(tmp_path / "away")
    with pytest.raises(DataError, match=r"files that its meta.json lists, got none of the name train_000000.bin"):
        shards(out)
    (tmp_path / "away").rename(out / "train_000000.bin")
    meta = json.loads((out / "meta.json").read_text())
    assert meta["tokenizer_sha256"] == shards(out).tokenizer.digest
    meta["characters"] = meta["characters"][::-1]
    (out / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match="wants the tokenizer that made its ids"):
        shards(out)


def test_an_interrupted_tokenization_leaves_nothing(book, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("netc.tokenizing.write_meta", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tokenized([str(book)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"`out` wants a folder, got the file .*book.txt"):
        tokenized(["digits"], book)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("kind", 3), ("dtype", ["uint16"]), ("vocabulary", 1 << 21), ("vocabulary", True), ("characters", ["a", "b"]),
        ("characters", "aa"), ("characters", "abc"), ("sha256", ["x"]), ("sha256", {"x": 3}), ("tokenizer_sha256", 3),
    ],
)  # fmt: skip
def test_a_damaged_meta_is_refused(tmp_path, word, value):
    np.zeros(99, np.uint16).tofile(tmp_path / "x.bin")
    meta = {"kind": "char", "vocabulary": 2, "dtype": "uint16", "characters": "ab"}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    assert shards(tmp_path).classes == ("a", "b")
    (tmp_path / "meta.json").write_text(json.dumps({**meta, word: value}))
    with pytest.raises(DataError, match=f"meta.json wants what `netc data tokenize` writes, got another {word}"):
        shards(tmp_path)


class Large(Stretches):
    """Tokens of which nobody may read many at a time."""

    def __getitem__(self, wanted):
        first, last, _ = wanted.indices(len(self))
        assert last - first < 100, "all tokens were copied"
        return super().__getitem__(wanted)


def test_the_type_of_tokens_is_known_without_a_copy():
    embed = TokenPositionEmbed(65, 8, positions=False)
    net = check(NetSpec("t", (8,), (TiedHead(embed, Chain(())),), dtype="i32"))
    recipe = Recipe()
    config = RunConfig(net, recipe, TrainConfig(1, 4, 0.01), "tokens:x", 1, "reference", Augment())
    split = TextSplit(Large([np.tile(np.arange(65, dtype=np.uint16), 99)]), 8, 0, 65)
    data = Dataset("tokens:x", split, split, tuple(map(str, range(65))), "", "", "", Augment(), (5000,))
    refuse_misfits(config, data)
    assert highest_of(data) == 0


def test_tokens_of_the_same_classes_stay_where_they_are(monkeypatch):
    monkeypatch.setattr("netc.runtime.data.stretches.AT_ONCE", 50)
    split = TextSplit(Large([np.arange(3, dtype=np.uint16).repeat(60)]), 8, 0, 4)
    data = Dataset("tokens:x", split, split, tuple("abcd"), "", "", "", Augment(), (180,))
    found = by_name(data, tuple("abcd"))
    assert found.test is split and found.missing == ("d",)
