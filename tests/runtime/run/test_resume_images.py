"""Resuming a run on images that were damaged or changed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import Augment
from netc.netspec.check import check
from netc.runtime import train as loop
from netc.runtime.data.errors import DataError
from netc.runtime.data.folder import load_folder
from netc.runtime.data.resize import resized
from netc.runtime.run import checkpoint
from netc.runtime.train import train
from netc.traces.errors import TraceError
from netc.traces.read import read
from tests.runtime.run.test_resume import PICTURES, press, resumed, stopped
from tests.runtime.test_train import PER_EPOCH, config


def pictures(root):
    """Two classes, 16 images each to train on and 3 to test on."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 16), ("val", 3)):
        for label in "ab":
            (root / part / label).mkdir(parents=True)
            for i in range(count):
                pixels = draws.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / label / f"{i}.png")


def of_pictures(root):
    return resized(load_folder(root, "imagefolder:x"), (8, 8, 3))


def picture_config():
    return config(net=check(PICTURES), augment=Augment(), training=replace(config().training, batch=8))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def root(tmp_path):
    pictures(tmp_path / "pictures")
    return tmp_path / "pictures"


def test_a_damaged_test_image_is_found_before_the_first_step(root, folder, cache):
    cut(root / "val" / "b" / "2.png")
    with pytest.raises(DataError, match=r"val/b/2\.png: wants a whole image"):
        train(picture_config(), of_pictures(root), folder, cache)
    assert not folder.exists()


@pytest.mark.parametrize("mend", ["remove", "repair"])
def test_a_test_image_that_is_damaged_later_costs_no_epoch(mend, root, folder, cache, monkeypatch):
    """The evaluation fails with a sentence; the image is mended or removed; the run goes on, and says what changed."""
    train(picture_config(), of_pictures(root), folder.parent / "whole", cache)
    data = of_pictures(root)

    def failing(*arguments, **words):
        raise DataError("val/b/2.png: wants a whole image, got OSError: truncated; repair or remove the file")

    with monkeypatch.context() as patch, pytest.raises(DataError, match="repair or remove the file"):
        patch.setattr(loop, "sums", failing)
        train(picture_config(), data, folder, cache)
    assert checkpoint.load(folder / "last").meta["step"] == PER_EPOCH
    if mend == "remove":
        (root / "val" / "b" / "2.png").unlink()
    else:
        Image.new("RGB", (16, 16)).save(root / "val" / "b" / "2.png")
    said, outcome = resumed(of_pictures(root), folder, cache)
    assert "the test part of the data changed; the training part is the same: the trace says so from step 4 on" in said
    ours, theirs = read(folder / "trace.jsonl"), read(folder.parent / "whole" / "trace.jsonl")
    assert ours.steps == theirs.steps and outcome.steps == len(theirs.steps)
    assert ours.headers[-1].data_sha256 == of_pictures(root).digest != theirs.header.data_sha256
    assert {e.count for e in ours.evals} == {5 if mend == "remove" else 6}


def test_other_training_images_are_refused(root, folder, cache):
    stopped(6, of_pictures(root), folder, cache, press, picture_config())
    Image.new("RGB", (16, 16)).save(root / "train" / "b" / "2.png")
    with pytest.raises(TraceError, match=r"data_sha256 "):
        resumed(of_pictures(root), folder, cache)
    assert json.loads((folder / "run.json").read_text())["train_sha256"] != of_pictures(root).train_digest
