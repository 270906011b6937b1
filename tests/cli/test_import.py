"""`netc import` from end to end: a folder that eval, predict and train take, or every fault and no folder."""

import json

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner
from PIL import Image

from netc.cli.main import cli
from netc.netspec.errors import UserError
from netc.netspec.toml import to_toml
from netc.runtime.run import checkpoint
from netc.runtime.run.config import read_config
from tests.runtime.weights.test_imported import CLASSES, photographs
from tests.runtime.weights.test_read import NET, SMALL, drawn


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with a net, its weights, names of classes and an image folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "small.toml").write_text(to_toml(SMALL))
    (tmp_path / "w.safetensors").write_bytes(safetensors.numpy.save(drawn(NET)))
    (tmp_path / "names.txt").write_text("\ufeff" + "\n".join(CLASSES) + "\n", encoding="utf-8")
    data = photographs()
    for split, part in (("train", data.train), ("val", data.test)):
        for i, pixels in enumerate(part.images(np.arange(len(part)))):
            folder = tmp_path / "images" / split / CLASSES[part.labels[i]]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path


def netc(*arguments):
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


IMPORT = ("import", "small.toml", "w.safetensors", "--target", "reference")
EVAL = ("eval", "got", "--data", "imagefolder:images", "--json")


def test_import_eval_predict_and_train(place):
    said = netc(*IMPORT, "-o", "got", "--class-names", "names.txt", "--batch", "3")
    assert "left out 4 counters num_batches_tracked" in said
    assert (
        f"got: resnet18 with {NET.count:,} parameters, names of torchvision and timm, images normalised by mean "
        in said
    )
    assert "0.485, 0.456, 0.406 and std 0.229, 0.224, 0.225\nnext: netc predict got IMAGE" in said
    assert json.loads(netc(*EVAL))["count"] == 12
    image = str(next((place / "images" / "val" / "a").iterdir()))
    assert set(json.loads(netc("predict", "got", image, "--top", "5", "--json"))[0]["classes"]) == set(CLASSES)
    train = ("train", "small.toml", "--data", "imagefolder:images", "--target", "reference", "--epochs", "1")
    netc(*train, "--input", "8x8x3", "--batch", "8", "--out", "run", "--init", "got", "--quiet")
    assert read_config(place / "run").init == read_config(place / "run").init != ""
    with pytest.raises(
        UserError, match="got was imported, so there is nothing to resume; train the net with `init=got`"
    ):
        netc("train", "--resume", "got")
    with pytest.raises(UserError, match="got was imported and has no data of its own; name some by `data`"):
        netc("eval", "got")
    with pytest.raises(UserError, match="`new_head` belongs to `init`"):
        netc(*train, "--new-head")


def test_images_are_resized_as_the_weights_were_tested(place):
    netc(*IMPORT, "-o", "got", "--class-names", "names.txt")
    netc(*IMPORT, "-o", "cut", "--class-names", "names.txt", "--crop-pct", "0.5", "--interpolation", "bicubic")
    image = str(place / "wide.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 60, 3), dtype=np.uint8)).save(image)
    stretched, cut = (json.loads(netc("predict", run, image, "--json"))[0]["classes"] for run in ("got", "cut"))
    assert stretched != cut
    assert json.loads(netc("eval", "cut", *EVAL[2:])) != json.loads(netc(*EVAL))
    with pytest.raises(UserError, match="`crop_pct` wants a fraction from 0 to 1, got 7"):
        netc(*IMPORT, "-o", "not", "--crop-pct", "7")


def test_the_folder_has_a_name_of_its_own(place):
    netc(*IMPORT)
    netc(*IMPORT, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.5,1")
    first, second = (
        checkpoint.load(place / "runs" / n / "best").meta for n in ("resnet18-imported", "resnet18-imported-2")
    )
    assert first["classes"] == ["0", "1", "2", "3", "4"]
    assert second["normalise"] == {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 1.0]}


def test_names_of_several_classes_are_told(place):
    (place / "names.txt").write_text("a\ncrane\nb\ncrane\nc\n")
    assert "names of several classes: crane; eval on other data refuses" in netc(*IMPORT, "--class-names", "names.txt")
    for split in ("train", "val"):
        (place / "images" / split / "d").rename(place / "images" / split / "crane")
    with pytest.raises(UserError, match="wants classes that the net has once, got crane, which name several of its 5"):
        netc("eval", "runs/resnet18-imported", "--data", "imagefolder:images")
    image = str(next((place / "images/val/a").iterdir()))
    (answer,) = json.loads(netc("predict", "runs/resnet18-imported", image, "--top", "5", "--json"))
    assert len(answer["classes"]) == 4
    chances = list(answer["classes"].values())
    assert chances == sorted(chances, reverse=True)
    said = netc("predict", "runs/resnet18-imported", image, "--top", "5")
    assert f"crane {answer['classes']['crane']:.1%}" in said.partition("crane")[1] + said.partition("crane")[2]


def test_weights_without_names_are_compared_by_number(place):
    netc(*IMPORT, "-o", "got")
    assert (
        "classes were compared by their numbers, in the order of the data's names" in json.loads(netc(*EVAL))["notes"]
    )
    for split in ("train", "val"):
        (place / "images" / split / "a").rename(place / f"{split}-a")
    with pytest.raises(UserError, match="imagefolder:images wants 5 classes to be compared by their numbers, got 4"):
        netc(*EVAL)


BAD = {
    "cut short": (("w.safetensors",), "it was cut short or altered"),
    "other classes": (("w.safetensors", "--classes", "7"), r"wrong shape: fc.weight wants \[7, 6\], got \[5, 6\]"),
    "one of two": (("w.safetensors", "--mean", "0,0,0"), "--mean and --std belong together"),
    "no numbers": (("w.safetensors", "--mean", "a,b", "--std", "1,1"), "--mean wants a number for each channel"),
    "zero": (("w.safetensors", "--mean", "0,0,0", "--std", "0,1,1"), "positive stds"),
    "too few": (("w.safetensors", "--mean", "0", "--std", "1"), "`mean` and `std` want 3 numbers"),
    "names": (("w.safetensors", "--class-names", "small.toml"), "class names want one for each of 5 outputs"),
    "no text": (("w.safetensors", "--class-names", "w.safetensors"), "w.safetensors: wants UTF-8 text"),
    "target": (("w.safetensors", "--target", "abacus"), "abacus"),
    "no weights": (("names.txt",), r"wants a \.safetensors file, got"),
    "no file": (("none.safetensors",), "which does not exist; check the path"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_fault_is_a_sentence_and_nothing_is_written(fault, place):
    arguments, sentence = BAD[fault]
    if fault == "cut short":
        (place / "w.safetensors").write_bytes((place / "w.safetensors").read_bytes()[:-5])
    before = sorted(place.rglob("*"))
    with pytest.raises(UserError, match=sentence):
        netc("import", "small.toml", *arguments)
    assert sorted(place.rglob("*")) == before
