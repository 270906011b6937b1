"""What is done to training images by itself is said, and a folder's are not flipped: its classes may be directions."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import Augment
from netc.runtime.data import catalog
from tests.conftest import ROOT

SPEC = 'name = "tiny"\ninput = [8, 8, 3]\n[[layers]]\nkind = "flatten"\n[[layers]]\nkind = "dense"\nfeatures = 2\n'
TRAIN = ("train", "tiny.toml", "--target", "reference", "--batch", "8")


@pytest.fixture
def place(tmp_path):
    """Arrows: a bright block at the left or at the right, which a flip exchanges."""
    (tmp_path / "tiny.toml").write_text(SPEC)
    rng = np.random.default_rng(0)
    for label, column in (("left", 0), ("right", 6)):
        (tmp_path / "arrows" / label).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 40, (8, 8, 3), np.uint8)
            pixels[2:6, column : column + 2] = 255
            Image.fromarray(pixels).save(tmp_path / "arrows" / label / f"{number}.png")
    return tmp_path


def test_left_and_right_are_learnt_without_an_option(netc, place):
    code, out, err = netc(*TRAIN, "--data", "imagefolder:arrows", "--epochs", "6", "--lr", "0.01", "--out", "run")
    assert code == 0, err
    assert "training images are" not in out
    assert "reached 100.00% test accuracy" in out
    assert json.loads((place / "run/run.json").read_text())["augment"] == {"crop": 0, "flip": False}


def test_what_is_on_is_said_and_how_to_turn_it_off(netc, place):
    words = (*TRAIN, "--data", "imagefolder:arrows", "--epochs", "1", "--flip", "--crop", "2")
    code, out, _ = netc(*words, "--out", "flipped")
    assert code == 0
    assert (
        "training images are randomly cropped after 2 pixels of padding (--crop 0 turns this off), flipped left "
        "to right half of the time (--no-flip turns this off)"
    ) in out
    assert "training images are" in netc("train", "--resume", "flipped")[1]  # a run keeps what run.json says


def test_photographs_are_cut_and_changed_as_the_docs_say(netc, place):
    words = (
        "--rrc-scale",
        "0.08,1",
        "--flip",
        "--crop-pct",
        "0.875",
        "--interpolation",
        "bicubic",
        "--normalise",
        "imagenet",
    )
    more = ("--auto-augment", "rand-m9-mstd0.5-inc1", "--color-jitter", "0.4", "--grayscale", "0.1", "--blur", "0.1")
    run = (*TRAIN, "--data", "imagefolder:arrows", "--epochs", "1")
    code, out, err = netc(*run, *words, *more, "--vflip", "--workers", "2", "--out", "run")
    assert code == 0, err
    assert "cut out at random, 0.08,1 of the area (--rrc-scale 0 turns this off)" in out
    assert "changed by the policy rand-m9-mstd0.5-inc1 (--auto-augment none turns this off)" in out
    assert "images are resized to the net's size over 0.875, and the middle is cut out (--crop-pct 0 stretches)" in out
    assert "normalised by the mean and std of imagenet" in out
    held = json.loads((place / "run/run.json").read_text())
    assert held["preprocess"] == {"crop_pct": 0.875, "interpolation": "bicubic", "normalise": "imagenet"}
    assert held["augment"]["rrc_scale"] == [0.08, 1.0]
    code, out, err = netc("train", "--config", "run/config.toml", "--workers", "1", "--out", "again")
    assert code == 0, err
    assert (place / "again/trace.jsonl").read_bytes() == (place / "run/trace.jsonl").read_bytes()
    code, _, err = netc(*run, "--rrc-scale", "0.1", "--crop", "2", "--out", "not")
    assert code != 0
    assert "--crop and --rrc-scale both cut a window, got both; leave one out" in err


def test_a_data_set_that_bears_flips_says_so_itself(netc, place, monkeypatch):
    """digits stands in for cifar10, which cannot be had here."""
    changed = dataclasses.replace(catalog.DATASETS["digits"], augment=catalog.DATASETS["cifar10"].augment)
    monkeypatch.setitem(catalog.DATASETS._rows, "digits", changed)
    words = ("--data", "digits", "--epochs", "1", "--batch", "512")
    assert "flipped left to right" in netc(*TRAIN, *words, "--out", "a")[1]
    assert "cropped" in netc(*TRAIN, *words, "--no-flip", "--out", "b")[1]
    assert "training images are" not in netc(*TRAIN, *words, "--no-flip", "--crop", "0", "--out", "c")[1]


def test_only_these_data_sets_are_flipped():
    assert [e.name for e in catalog.DATASETS.values() if e.augment.flip] == ["fashion-mnist", "cifar10"]
    assert catalog.DATASETS["mnist"].augment == Augment(crop=2)


def test_the_documented_table_is_the_catalogues():
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    table = page.partition("| data | crop after padding | flip, left to right |\n|---|---|---|\n")[2].partition("\n\n")[
        0
    ]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    shown = {name.strip("` "): (crop, flip) for names, crop, flip in rows for name in names.split(",")}
    for entry in catalog.DATASETS.values():
        crop = f"{entry.augment.crop} pixels" if entry.augment.crop else "no"
        assert shown[entry.name] == (crop, "yes" if entry.augment.flip else "no")
