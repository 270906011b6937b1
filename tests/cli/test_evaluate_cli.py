"""`netc eval` on other data: classes by their names, whatever their numbers there; what is missing or new is said."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import netc as library
from netc.cli.main import _run
from netc.netspec.augment import Augment
from netc.netspec.errors import UserError
from netc.runtime.data.dataset import ArraySplit, Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.named import by_name

SPEC = """name = "tiny"
input = [4, 4, 3]
[[layers]]
kind = "flatten"
[[layers]]
kind = "dense"
features = 3
"""
COLOURS = {"apple": 0, "banana": 1, "cherry": 2}


def paint(folder, channel, count=10):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(channel)
    for number in range(count):
        pixels = np.zeros((6, 5, 3), np.uint8)
        pixels[..., channel] = rng.integers(150, 255, (6, 5))
        Image.fromarray(pixels).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with `run`, trained on three fruits until it knows them."""
    place = tmp_path_factory.mktemp("fruits")
    (place / "tiny.toml").write_text(SPEC)
    for label, channel in COLOURS.items():
        paint(place / "three" / label, channel)
    words = ("train", "tiny.toml", "--data", "imagefolder:three", "--epochs", "8", "--batch", "4", "--lr", "0.01")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert _run([*words, "--target", "reference", "--out", "run", "--quiet"]) == 0
    return place


@pytest.fixture
def place(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "x")
    return tmp_path / "x"


def test_a_folder_without_a_class(netc, place):
    shutil.rmtree(place / "three/apple")
    (place / "three").rename(place / "subset")
    code, out, err = netc("eval", "run", "--data", "imagefolder:subset")
    assert code == 0, err
    assert "imagefolder:subset has no test images of apple: 1 of the net's 3 classes" in out
    assert "100.00% of 20 test images of imagefolder:subset" in out  # whole: nothing divides it
    code, out, err = netc("eval", "run", "--data", "imagefolder:subset", "--json")
    assert code == 0 and json.loads(out)["missing"] == ["apple"]


def test_a_folder_of_one_class_and_of_few_images(netc, place):
    paint(place / "one" / "cherry", 2, count=2)
    code, out, err = netc("eval", "run", "--data", "imagefolder:one")
    assert code == 0 and "100.00% of 2 test images" in out and "no test images of apple, banana: 2 of" in out, err


def test_a_class_that_the_net_does_not_know(netc, place):
    for label, channel in {"Banana": 1, "apple": 0, "cherry": 2, "mango": 0}.items():
        paint(place / "more" / label, channel)
    code, _, err = netc("eval", "run", "--data", "imagefolder:more")
    assert code == 2
    assert "the net does not know: Banana, mango (is it banana for Banana?); it knows apple, banana, cherry" in err
    code, out, err = netc("eval", "run", "--data", "imagefolder:more", "--skip-unknown")
    assert code == 0 and "100.00% of 20 test images" in out, err
    assert "left out: 20 images of classes that the net does not know: Banana, mango" in out
    code, _, err = netc("eval", "run", "--data", "imagefolder:more", "--by-number")
    assert code == 2 and "wants 3 classes to be compared by their numbers, got 4" in err
    code, _, err = netc("eval", "run", "--data", "digits", "--skip-unknown")
    assert code == 2 and "digits has test images of classes that the net does not know: 0, 1, 2" in err
    assert "or give --by-number to compare them by number" in err


def test_a_new_class_before_the_others_moves_no_number(netc, place):
    """Only its training images are new, so that there is nothing to leave out of the test."""
    for label, channel in COLOURS.items():
        paint(place / "parts/train" / label, channel)
        paint(place / "parts/val" / label, channel)
    paint(place / "parts/train/aardvark", 0)
    code, out, err = netc("eval", "run", "--data", "imagefolder:parts")
    assert code == 0 and "100.00% of 30 test images" in out, err


def test_by_number_on_request(netc, place):
    for label, channel in {"x": 0, "y": 1, "z": 2}.items():
        paint(place / "other" / label, channel)
    code, out, err = netc("eval", "run", "--data", "imagefolder:other", "--by-number")
    assert code == 0 and "100.00% of 30" in out and "classes were compared by their numbers" in out, err
    code, _, err = netc("eval", "run", "--by-number")
    assert code == 2 and "--skip-unknown and --by-number belong to --data" in err


def test_its_own_data_from_another_place_is_divided_as_in_training(netc, place):
    shutil.copytree(place / "three", place / "moved")
    code, out, err = netc("eval", "run", "--data", "imagefolder:moved")
    assert code == 0 and "of 6 test images" in out, err
    Image.new("RGB", (5, 6), "red").save(place / "three/apple/new.png")
    code, _, err = netc("eval", "run")
    assert code == 2 and "its digest differs" in err and "--data imagefolder:three" in err
    code, out, err = netc("eval", "run", "--data", "imagefolder:three")
    assert code == 0 and "of 31 test images" in out, err


def test_names_in_another_unicode_form_are_the_same_names():
    part = ArraySplit(np.zeros((2, 1, 1, 1), np.uint8), np.array([0, 1], np.int32))
    data = Dataset("d", part, part, ("cafe\u0301", "tea"), "", "", "", Augment(), (1, 1, 1))
    assert by_name(data, ("tea", "caf\u00e9")).test.labels.tolist() == [1, 0]
    with pytest.raises(DataError, match="wants classes that the net has once, got tea, which name several of its 3"):
        by_name(data, ("tea", "caf\u00e9", "tea"))


def test_all_damaged_images_are_told_before_the_first_step(netc, place):
    """Cut short: their headers are whole, so that only decoding them shows it."""
    for name in ("apple/1.png", "apple/4.png", "cherry/9.png"):
        path = place / "three" / name
        path.write_bytes(path.read_bytes()[:-40])
    words = ("--data", "imagefolder:three", "--target", "reference", "--out", "new")
    code, _, err = netc("train", "tiny.toml", *words)
    assert code == 2
    head, *lines = err.splitlines()
    assert head == "netc: imagefolder:three has 3 problems:"
    found = {line.partition(": wants a whole image")[0].rpartition("/three/")[2] for line in lines}
    assert found == {"apple/1.png", "apple/4.png", "cherry/9.png"}
    assert not (place / "new/run.json").exists()


def test_a_damaged_image_is_refused_or_skipped(netc, place):
    (place / "three").rename(place / "other")
    (place / "other/apple/0.png").write_bytes(b"no image")
    words = ("eval", "run", "--data", "imagefolder:other")
    code, _, err = netc(*words)
    assert code == 2 and "other/apple/0.png: wants a whole image" in err and "without it: --on-damaged skip" in err
    code, out, err = netc(*words, "--on-damaged", "skip")
    assert code == 0 and "29 test images" in out, out + err
    with pytest.raises(UserError, match="`on_damaged` wants one of refuse, skip, got 'mend'"):
        library.load("run").evaluate("imagefolder:other", on_damaged="mend")


@pytest.mark.parametrize("words", [("eval", "run"), ("predict", "run", "three/apple/0.png")])
def test_a_device_that_is_not_here_is_said_before_anything_is_compiled(netc, place, words, monkeypatch):
    def none(driver):
        raise UserError(f"wants a device for the driver {driver!r}, got none")

    monkeypatch.setattr("netc.runtime.backends.iree.device_of", none)
    monkeypatch.setattr("netc.runtime.prepare.compile_cached", pytest.fail)
    code, _, err = netc(*words, "--target", "cuda:sm_80")
    assert code == 2 and "wants a device for the driver 'cuda', got none" in err


def test_a_run_is_not_written_among_the_classes_of_its_data(netc, place, monkeypatch):
    """Its folders would be classes of the next run."""
    words = ("--epochs", "1", "--batch", "4", "--target", "reference", "--quiet")
    for out in ("three", "three/run", "three/apple/run"):
        code, _, err = netc("train", "tiny.toml", "--data", "imagefolder:three", "--out", out, *words)
        assert code == 2 and f"--out wants a folder outside of the images in {place / 'three'}, got {out};" in err, err
    assert {p.name for p in (place / "three").iterdir()} == {*COLOURS}
    monkeypatch.chdir(place / "three")
    code = _run(["train", "../tiny.toml", "--data", "imagefolder:.", *words])  # whose default is runs/ here
    assert code == 2 and not (place / "three/runs").exists()
    monkeypatch.chdir(place)
    shutil.copytree(place / "three", place / "both/train")
    shutil.copytree(place / "three", place / "both/val")
    code, _, err = netc("train", "tiny.toml", "--data", "imagefolder:both", "--out", "both/val/run", *words)
    assert code == 2 and f"outside of the images in {place / 'both/val'}" in err, err
    assert netc("train", "tiny.toml", "--data", "imagefolder:both", "--out", "both/run", *words)[0] == 0
