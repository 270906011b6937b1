"""`netc predict` of a net of a class for each pixel: masks as PNG, which `masks:` reads again; and their report."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netc
from netc import layers as nn
from netc.cli.main import _run
from netc.runtime.data.mask_file import read_mask
from netc.runtime.palette import coloured, hexadecimal, palette

RNG = np.random.default_rng(5)
NET = netc.NetSpec("pixels", (8, 8, 3), (nn.Conv2d(3, 1, 1, "valid"),))
WORDS = {"target": "reference", "batch": 4, "epochs": 12, "lr": 0.1, "seed": 1}
NAMES = ("ground", "road", "roof")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    for folder in ("d/images", "d/masks"):
        Path(folder).mkdir(parents=True)
    Path("d/classes.txt").write_text("\n".join(NAMES) + "\n")
    for i in range(10):
        ids = RNG.integers(0, 3, (2, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)  # 16 x 24
        shades = np.array(((10, 10, 10), (120, 240, 120), (240, 30, 30)), np.uint8)
        Image.fromarray(shades[ids]).save(f"d/images/{i}.png")
        Image.fromarray(ids).save(f"d/masks/{i}.png")


def test_masks_are_written_said_and_read_again(capsys):
    run = netc.train(NET, "masks:d", out="run", **WORDS)
    assert run.accuracy > 0.9
    Path("out").mkdir()
    Image.new("L", (3, 3)).save("out/1.mask.png")  # somebody's own
    Path("bad.png").write_bytes(b"none")
    capsys.readouterr()
    assert _run(["predict", "run", "d/images/0.png", "d/images/1.png", "bad.png", "-o", "out"]) == 1
    said, err = capsys.readouterr()
    assert "bad.png" in err and said.splitlines()[0].startswith("d/images/0.png: out/0.mask.png: ")
    assert said.splitlines()[1].startswith("d/images/1.png: out/1-2.mask.png: ")
    assert "ids and colours in the masks: 0 ground #000000, 1 road " in said and f"2 roof {hexadecimal(2)}" in said
    for name, mask in (("0", "0.mask"), ("1", "1-2.mask")):
        found, truth = (read_mask(Path(path))[0] for path in (f"out/{mask}.png", f"d/masks/{name}.png"))
        assert found.shape == truth.shape == (16, 24) and (found == truth).mean() > 0.85
    with Image.open("out/0.mask.png") as picture:
        assert picture.mode == "P" and picture.info["Software"] == "netc predict"
    assert _run(["predict", "run", "d/images/0.png", "-o", "out", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["mask"] == "out/0.mask.png"  # its own is replaced
    assert sum(each["share"] for each in answer["classes"]) == pytest.approx(1)
    assert {each["class"] for each in answer["classes"]} <= set(NAMES)
    assert _run(["predict", "run", "d/images/0.png"]) == 0 and Path("run/predicted/0.mask.png").exists()


def test_the_report_shows_the_worst_masks():
    pytest.importorskip("jinja2")
    netc.train(NET, "masks:d", out="run", **{**WORDS, "epochs": 1})
    assert _run(["report", "run", "-o", "page.html"]) == 0
    page = Path("page.html").read_text()
    assert page.count("data:image/png") == 2  # the two test images, none of which is wholly right yet
    assert "the image, the true mask, and what was said" in page and "of its pixels wrong" in page


def test_a_folder_for_masks_belongs_to_nets_that_make_some(capsys):
    netc.train("mnist-linear", out="c", target="reference", max_steps=1)
    assert _run(["predict", "c", "d/images/0.png", "-o", "x"]) == 2
    assert "--out is for nets with a class for each pixel, got mnist-linear" in capsys.readouterr().err


def test_colours_differ_and_stay():
    assert len(set(palette())) == 256 and palette()[0] == (0, 0, 0) and palette()[255] == (255, 255, 255)
    assert coloured(np.array([[0, 255]], np.uint8)).tolist() == [[[0, 0, 0], [255, 255, 255]]]
