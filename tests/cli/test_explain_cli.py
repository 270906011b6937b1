"""`netc explain` and `netc attack` on an imported run."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from netc.cli.main import cli
from netc.netspec.errors import UserError
from tests.cli.test_import import IMPORT, netc, place  # noqa: F401


@pytest.fixture
def run(place):  # noqa: F811
    netc(*IMPORT, "-o", "got", "--class-names", "names.txt")
    return place


def test_pictures_are_written(run):
    folder = run / "images" / "val"
    first, second = sorted(folder.rglob("*.png"))[:2]
    said = netc("explain", "got", str(first), str(second), "--class", "b")
    assert f"{first}: b " in said and f"got/explained/{first.stem}.explained.png" in said
    picture = Image.open(run / "got" / "explained" / f"{first.stem}.explained.png")
    assert picture.size == (8, 8) and picture.mode == "RGB"
    netc("explain", "got", str(first), str(first), "--method", "gradient", "-o", "out")
    assert {p.name for p in (run / "out").iterdir()} == {f"{first.stem}{n}.explained.png" for n in ("", "-2")}


def test_a_file_that_is_no_image_is_reported(run):
    good = next((run / "images" / "val").rglob("*.png"))
    done = CliRunner().invoke(cli, ["explain", "got", "names.txt", str(good)], catch_exceptions=False)
    assert done.exit_code == 1 and "names.txt" in done.output and f"{good}: " in done.output


BAD = {
    "class": (("names.txt", "--class", "zebra"), "`of` wants one of a, b, c, d, e, or a number below 5, got 'zebra'"),
    "place": (("names.txt", "-o", "names.txt"), "--out wants a folder, got the file names.txt"),
}


@pytest.mark.parametrize("fault", BAD)
def test_faults_of_explain(fault, run):
    words, sentence = BAD[fault]
    with pytest.raises(UserError, match=sentence):
        netc("explain", "got", *words)


def test_accuracy_under_attack(run):
    found = json.loads(netc("attack", "got", "--data", "imagefolder:images", "--steps", "2", "--images", "8", "--json"))
    assert found["images"] == 8 and found["robust"] <= found["clean"] and found["lipschitz"] is None
    assert np.isclose(found["radius"], 8 / 255)
    said = netc("attack", "got", "--data", "imagefolder:images", "--steps", "1", "--radius", "0.5")
    assert "of 12 test images are right" in said
    with pytest.raises(UserError, match=r"`radius` wants a number such as 0\.03 or 8/255, got 'far'"):
        netc("attack", "got", "--data", "imagefolder:images", "--radius", "far")


def test_no_file_of_the_user_is_overwritten(run):
    image = next((run / "images" / "val").rglob("*.png"))
    own = run / "own"
    own.mkdir()
    inputs = [own / "3.png", own / "3.explained.png"]
    for path in inputs:
        path.write_bytes(image.read_bytes())
    netc("explain", "got", str(inputs[0]), "--out", "own")
    netc("explain", "got", *map(str, inputs), "--out", "own")
    netc("explain", "got", str(inputs[0]), "--out", "own")
    assert {path.read_bytes() for path in inputs} == {image.read_bytes()}
    written = {"3-2.explained.png", "3.explained.explained.png"}
    assert {path.name for path in own.iterdir()} == {path.name for path in inputs} | written


@pytest.mark.parametrize("step", ["0", "-0.1", "nan", "inf"])
def test_a_step_of_an_attack_is_a_number_above_0(run, step):
    with pytest.raises(UserError, match="`step_size` wants a number above 0"):
        netc("attack", "got", "--data", "imagefolder:images", "--step-size", step)
