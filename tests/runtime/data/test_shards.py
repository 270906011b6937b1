"""Images in tar shards and in Parquet: the same ones as in a folder, drawn in any order, damage named."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import Augment
from netc.netspec.feeding import Feeding
from netc.runtime.data import catalog
from netc.runtime.data.batches import statistics, train_batches
from netc.runtime.data.errors import DataError
from netc.runtime.data.resize import resized
from netc.runtime.data.tar_index import members

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (20, 6, 5, 3), np.uint8)
LABELS = np.arange(20) % 3


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(name, **words):
    return catalog.load(name, cache_dir=Path(), **words)


def png(pixels):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def shard(path, entries, **options):
    with tarfile.open(path, "w", **options) as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def entries(numbers, form="cls"):
    for i in numbers:
        yield f"{i:04d}.png", png(PIXELS[i])
        if form == "json":
            yield f"{i:04d}.json", json.dumps({"label": int(LABELS[i]), "caption": "x"}).encode()
        else:
            yield f"{i:04d}.{form}", str(LABELS[i]).encode()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_of_python_s_tarfile(form):
    names = ["a.png", "d/" + "é" * 60 + ".png", "x" * 90 + "/" + "y" * 150 + ".jpg", "./b.cls", "z/" * 100 + "q.json"]
    names = names if form != tarfile.USTAR_FORMAT else [n for n in names if len(n.encode()) < 100]
    shard("a.tar", [(name, bytes([i]) * (i * 300)) for i, name in enumerate(names)], format=form)
    with tarfile.open("a.tar") as archive:
        wanted = [(m.name, m.offset_data, m.size) for m in archive if m.isreg()]
    with Path("a.tar").open("rb") as file:
        assert [(m.name, m.offset, m.size) for m in members(Path("a.tar"), file)] == wanted


@pytest.mark.parametrize("form", ["cls", "json", "label"])
def test_shards_hold_what_a_folder_holds(form):
    shard("s-000.tar", entries(range(11), form))
    shard("s-001.tar", entries(range(11, 20), form))
    for i in range(20):
        Path(f"f/{LABELS[i]}").mkdir(parents=True, exist_ok=True)
        Path(f"f/{LABELS[i]}/{i:04d}.png").write_bytes(png(PIXELS[i]))
    data = load("tar:s-{000..001}.tar")
    every = np.arange(20) % 5 == 4
    assert data.classes == ("0", "1", "2") == load("imagefolder:f").classes and data.native == (6, 5, 3)
    assert np.array_equal(data.train.images(np.arange(16)), PIXELS[~every])
    assert np.array_equal(data.test.images(np.arange(4)[::-1]), PIXELS[every][::-1])
    assert data.train.labels.tolist() == LABELS[~every].tolist()
    assert load("tar:.").digest == data.digest
    small = resized(data, (4, 4, 3))
    wanted = np.asarray(Image.fromarray(PIXELS[4]).resize((4, 4), Image.Resampling.BILINEAR))
    assert np.array_equal(small.test.images(np.array([0]))[0], wanted)
    whole = load("tar:.", whole=True)
    assert np.array_equal(whole.test.images(np.arange(20)), PIXELS) and whole.digest == data.digest


def test_parts_and_folders_and_numbers():
    shard("train-0.tar", [(f"cat/{i}.PNG", png(PIXELS[i])) for i in range(4)] + [("dog/9.png", png(PIXELS[9]))])
    shard("val-0.tar", [("dog/1.png", png(PIXELS[1])), ("README.txt", b"no"), (".hidden", b"")][:1])
    data = load("tar:.")
    assert data.classes == ("cat", "dog") and (len(data.train), len(data.test)) == (5, 1)
    shard("one.tar", [e for i in range(5) for e in ((f"{i}.png", png(PIXELS[i])), (f"{i}.age", b"1.5"))])
    found = load("tar:one.tar,label=age", floats=True)
    assert found.train.labels.tolist() == [[1.5]] * 4 and found.columns.targets == ("target",)


@pytest.mark.parametrize(("made", "sentence"), [
    (lambda: None, "wants a tar file, got one.tar: no such file; check the path"),
    (lambda: Path("one.tar").symlink_to("/dev/zero"), "wants a tar file, got one.tar: no file but a device or a pipe"),
    (lambda: Path("one.tar").write_bytes(b""), "one.tar: wants a whole tar, got an empty file"),
    (lambda: Path("one.tar").write_bytes(b"no tar" * 200), "one.tar: wants a whole tar, got no header at byte 0"),
    (lambda: Path("one.tar").write_bytes(b"\x1f\x8b" + bytes(600)), "wants an uncompressed tar.* gunzip it"),
    (lambda: shard("one.tar", [("0.png", png(PIXELS[0]))]), "one.tar/0: wants a .cls, or a label in .json, or a f"),
    (lambda: shard("one.tar", [("0.cls", b"1"), ("0.txt", b"")]), "one.tar/0: wants one image, got 0 among cls, txt"),
    (lambda: shard("one.tar", [("a/0.png", b"no"), ("b/1.png", b"")]), "has 2 problems:\none.tar/a/0.png: wants"),
    (lambda: shard("one.tar", [("a/0.png", png(PIXELS[0]))]), "wants images of the test part, got none; add some"),
])  # fmt: skip
def test_wrong_shards(made, sentence):
    made()
    with pytest.raises(DataError, match=sentence):
        load("tar:one.tar")


def test_a_shard_that_is_cut_short_is_named_before_anything_is_trained():
    shard("s-000.tar", entries(range(11)))
    shard("s-001.tar", entries(range(11, 20)))
    Path("s-001.tar").write_bytes(Path("s-001.tar").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"s-001.tar: wants a whole tar, got 3,000 bytes .*: it was cut short"):
        load("tar:.")

    found = load("tar:.", skip_damaged=True)
    assert len(found.train) + len(found.test) == 12 and found.notes[-1].startswith("skipped 1 damaged image: s-001.tar")


def test_a_shard_that_is_damaged_in_the_middle_of_an_epoch_is_named():
    shard("s.tar", entries(range(20)))
    data = load("tar:s.tar")
    Path("s.tar").write_bytes(Path("s.tar").read_bytes()[:2000])
    with pytest.raises(DataError, match=r"s.tar/00\d\d.png: wants a whole image"):
        data.train.images(np.arange(16))


def parquet(path, numbers, size=4, names=("a", "b", "c"), form="struct"):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    held = [png(PIXELS[i]) for i in numbers]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = (
        pa.array([{"bytes": b, "path": None} for b in held], kind) if form == "struct" else pa.array(held, pa.binary())
    )
    table = pa.table({"img": images, "label": pa.array([int(LABELS[i]) for i in numbers], pa.int64())})
    if names:
        features = {"img": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=size)


@pytest.mark.parametrize("form", ["struct", "bytes"])
def test_parquet_as_a_hub_keeps_it(form):
    Path("d/data").mkdir(parents=True)
    parquet("d/data/train-00000-of-00002.parquet", range(9), form=form)
    parquet("d/data/train-00001-of-00002.parquet", range(9, 15), form=form)
    parquet("d/data/test-00000-of-00001.parquet", range(15, 20), form=form)
    data = load("parquet:d")
    assert data.classes == ("a", "b", "c") and data.native == (6, 5, 3)
    assert np.array_equal(data.train.images(np.array([14, 0, 7])), PIXELS[[14, 0, 7]])
    assert np.array_equal(data.test.images(np.arange(5)), PIXELS[15:])
    assert data.train.labels.tolist() == LABELS[:15].tolist()
    parquet("d/data/test-00000-of-00001.parquet", range(15, 20), names=("a", "b"))
    with pytest.raises(DataError, match="wants labels from 0 to 1, for the file's 2 classes, got 2; fix them"):
        load("parquet:d/data/test-00000-of-00001.parquet")


def test_parquet_is_streamed_window_by_window_and_begins_anywhere(monkeypatch):
    parquet("one.parquet", range(20), size=3)
    monkeypatch.setattr("netc.runtime.data.encoded_images.keep", lambda split: split)
    monkeypatch.setattr("netc.runtime.data.parquet_file.HELD", 0)
    data = load("parquet:one.parquet")
    split, reads = data.train, []
    assert split.blocks.tolist() == [0, 3, 5, 8, 10, 12, 15, 16] or split.blocks[-1] == 16
    group = type(split.reader)._group
    monkeypatch.setattr(type(split.reader), "_group", lambda self, f, g: reads.append((f, g)) or group(self, f, g))
    options = {
        "batch": 4, "seed": 1, "epoch": 2, "normalise": statistics(split, 3), "augment": Augment(),
        "feeding": Feeding(shuffle_buffer=6), "workers": 1,  # the reads are in the order of the batches
    }  # fmt: skip
    reads.clear()
    whole = list(train_batches(split, **options))
    late = list(train_batches(split, start=2, **options))
    for a, b in zip(whole[2:], late, strict=True):
        assert np.array_equal(a.x, b.x) and np.array_equal(a.y, b.y)
    assert sorted(np.concatenate([b.y for b in whole]).tolist()) == sorted(split.labels.tolist())
    other = list(train_batches(split, **{**options, "epoch": 3}))
    assert not all(np.array_equal(a.x, b.x) for a, b in zip(whole, other, strict=True))
    # by windows: of the stretches that one batch reads few are read by batches far from it
    first = [set(reads[i * 4 : i * 4 + 4]) for i in range(4)]
    assert not first[0] & first[3]


def test_tables_in_parquet_are_those_in_csv():
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    x = RNG.standard_normal((20, 2)).astype(np.float32)
    table = pa.table(
        {"u": x[:, 0], "v": x[:, 1].astype(np.float64), "kind": ["p" if i % 2 else "q" for i in range(20)]}
    )
    pq.write_table(table, "t.parquet")
    lines = [f"{u!r},{v!r},{'p' if i % 2 else 'q'}" for i, (u, v) in enumerate(x.astype(float).tolist())]
    Path("t.csv").write_text("\n".join(["u,v,kind", *lines]))
    assert load("parquet:t.parquet").digest == load("csv:t.csv").digest
    assert load("parquet:t.parquet").columns == load("csv:t.csv").columns
    numbers = [load(f"{form}:t.{form},drop=kind", floats=True) for form in ("parquet", "csv")]
    assert numbers[0].digest == numbers[1].digest and numbers[0].columns.targets == ("v",)
    for column, sentence in (
        (pa.array([1.0, None] * 10), "t.parquet, row 1, column u: wants a number, got a missing one; fill it in"),
        (pa.array(["x"] * 20), "t.parquet, column u: wants numbers, got string; leave it out by"),
    ):
        pq.write_table(table.set_column(0, "u", column), "t.parquet")
        with pytest.raises(DataError, match=sentence):
            load("parquet:t.parquet")


def test_wrong_parquet():
    pytest.importorskip("pyarrow")
    Path("d").mkdir()
    Path("bad.parquet").write_bytes(b"PAR1no")
    parquet("s.parquet", range(5), names=())
    for name, sentence in (
        ("missing.parquet", "missing.parquet: wants a Parquet file, got no such file; check the path"),
        ("bad.parquet", "bad.parquet: wants an intact Parquet file, got "),
        ("d", "wants .parquet files in d or its folder data, got none; check the path"),
        ("s.parquet,label=lab", "wants one of its columns, img, label, or a number up to 1, got 'lab'"),
    ):
        with pytest.raises(DataError, match=sentence):
            load(f"parquet:{name}")


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    import sys

    from netc.netspec.errors import UserError

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"parquet: wants pyarrow, got none that can be imported .*\[parquet\]"):
        load("parquet:one.parquet")


def test_a_table_is_the_same_in_any_batches_and_row_groups(monkeypatch):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = RNG.standard_normal((50, 2))
    words = np.array(["a", "b", "c"])[RNG.integers(0, 3, 50)]
    table = pa.table({"x": values[:, 0], "y": values[:, 1], "label": words})
    pq.write_table(table, "whole.parquet")
    pq.write_table(table, "parts.parquet", row_group_size=9)
    whole = load("parquet:whole.parquet")
    monkeypatch.setattr("netc.runtime.data.parquet_file.BATCH", 4)
    parts = load("parquet:parts.parquet")
    for a, b in ((whole.train, parts.train), (whole.test, parts.test)):
        assert (a.x == b.x).all() and (a.y == b.y).all()
    assert whole.digest == parts.digest and whole.classes == parts.classes == ("a", "b", "c")
    holes = [None if i in (13, 40) else float(v) for i, v in enumerate(values[:, 0])]
    pq.write_table(table.set_column(0, "x", pa.array(holes)), "holes.parquet", row_group_size=9)
    with pytest.raises(DataError, match=r"(?s)holes\.parquet, row 13, column x: wants a number, got a missing.*row 40"):
        load("parquet:holes.parquet")
    labels = [None if i == 31 else str(word) for i, word in enumerate(words)]
    pq.write_table(table.set_column(2, "label", pa.array(labels)), "open.parquet", row_group_size=9)
    with pytest.raises(DataError, match=r"open\.parquet, row 31, column label: wants a class, got a missing one"):
        load("parquet:open.parquet")
