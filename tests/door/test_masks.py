"""Images with masks at the front door: a folder trains, resumes, is evaluated, and its faults are told at once."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netc
from netc import layers as nn
from netc.cli.main import _run
from netc.netspec.errors import UserError

RNG = np.random.default_rng(0)
NET = netc.NetSpec("pixels", (16, 16, 3), (nn.Conv2d(4, 3, 1, "same"), nn.Conv2d(5, 1, 1, "valid")))
TOML = (
    'name="pixels"\ninput=[16,16,3]\n[[layers]]\nkind="conv2d"\nfeatures=4\nkernel=3\npadding="same"\n'
    '[[layers]]\nkind="conv2d"\nfeatures=5\nkernel=1\n'
)
WORDS = {"target": "reference", "batch": 3, "lr": 0.03}


def mask(ids, path, *, palette=False):
    image = Image.fromarray(ids.astype(np.uint8))
    if palette:
        image = image.convert("P")
        image.putpalette([17 * i % 256 for i in range(768)])
        image.putdata(ids.ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def pair(folder, name, ids, *, palette=False):
    """A photo that is bright where the class is 1, and coloured where it is 2."""
    shades = np.array(((0, 0, 0), (150, 150, 150), (150, 0, 0)))
    pixels = RNG.integers(0, 60, (*ids.shape, 3)) + shades[np.minimum(ids, 2)]
    path = Path(f"{folder}/images/{name}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    mask(ids, Path(f"{folder}/masks/{name}.png"), palette=palette)


def scene(height=16, width=16):
    ids = np.zeros((height, width), int)
    top, left = RNG.integers(0, 8, 2)
    ids[top : top + 7, left : left + 6] = 1
    ids[-4:, :5] = 2
    return ids


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    Path("net.toml").write_text(TOML)
    for i in range(10):
        pair("d", f"{i:02d}", scene(16 + i % 2 * 8), palette=i % 3 == 0)


def train(*words, out="run"):
    return _run(["train", "net.toml", "--target", "reference", "--quiet", "--out", out, *words])


def test_a_folder_with_masks_trains_resumes_and_is_evaluated(capsys):
    words = {**WORDS, "epochs": 6, "flip": True, "vflip": True, "color_jitter": 0.2, "class_weights": "balanced"}
    run = netc.train(NET, "masks:d", out="run", workers=1, **words)
    assert run.config.net.out.shape == (16, 16, 3) and run.accuracy > 0.8 and run.best > 0.85
    netc.train(NET, "masks:d", out="part", workers=3, on_step=lambda done: done.step == 4, **words)
    assert netc.resume("part").steps == run.steps
    assert Path("part/trace.jsonl").read_bytes() == Path("run/trace.jsonl").read_bytes()
    assert _run(["train", "--config", "run/config.toml", "--out", "again", "--quiet"]) == 0
    assert Path("again/trace.jsonl").read_bytes() == Path("run/trace.jsonl").read_bytes()
    capsys.readouterr()
    assert _run(["eval", "run", "--metrics", "iou,dice", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["count"] == 2 and found["metrics"]["iou"]["mean"] > 0.5
    assert [row["class"] for row in found["metrics"]["iou"]["classes"]] == ["0", "1", "2"]


def test_masks_train_from_arrays_as_from_files():
    x, y = netc.datasets.load("masks:d").arrays("train")
    x_test, y_test = netc.datasets.load("masks:d").arrays("test")
    words = {**WORDS, "epochs": 2, "flip": True, "class_weights": "balanced"}
    net = netc.NetSpec("pixels", (24, 16, 3), (nn.Conv2d(4, 3, 1, "same"), nn.Conv2d(3, 1, 1, "valid")))
    for i in range(8):  # of one size, so that both are resized alike
        pair("e/train", str(i), scene(24))
        pair("e/val", str(i), scene(24))
    files = netc.train(net, "masks:e", out="files", **words)
    held = netc.datasets.load("masks:e")
    arrays = netc.train(net, netc.Dataset.from_arrays(*held.arrays("train"), *held.arrays("test")), out="run", **words)
    losses = [
        [r["loss"] for r in map(json.loads, Path(p, "trace.jsonl").read_text().splitlines()) if r["kind"] != "header"]
        for p in ("files", "run")
    ]
    assert losses[0] == losses[1] and files.accuracy == arrays.accuracy
    y[:, 0] = 255
    np.savez("m.npz", x=x, y=y, x_test=x_test, y_test=y_test)
    with pytest.raises(netc.UserError, match=r"arrays:m.npz has [0-9]+ pixels of 255, which is no class"):
        netc.train(net, "arrays:m.npz", out="no", **words)
    void = netc.train(net, "arrays:m.npz", out="void", check_labels=True, **words)
    assert void.evaluate("arrays:m.npz").accuracy == void.best
    for wrong, sentence in (
        (y[:, 1:], r"`y` wants a class for each image or for each pixel, int32 \[N\] or \[8, 16, 16\], got"),
        (y + 300, "`y` wants class ids from 0 to 254 for each pixel, and 255 for no class, got 300"),
    ):
        with pytest.raises(netc.DataError, match=sentence):
            netc.Dataset.from_arrays(x, wrong, x, wrong)
    with pytest.raises(netc.DataError, match="got 0 to 2; give a net with more outputs"):
        netc.train(net, netc.Dataset.from_arrays(x, y % 255 % 3, x, y % 255 % 3), out="no", classes=2, **words)


def test_the_jax_script_trains_on_masks(capsys, monkeypatch):
    netc.train(NET, "masks:d", out="run", epochs=2, **WORDS)
    assert _run(["emit-jax", "run", "-o", "twin.py"]) == 0
    monkeypatch.setattr(sys, "argv", ["twin.py", "--out", "twin.jsonl"])
    runpy.run_path("twin.py", run_name="__main__")
    ours, theirs = (
        [json.loads(line) for line in Path(p).read_text().splitlines()] for p in ("run/trace.jsonl", "twin.jsonl")
    )
    one, two = ([r["loss"] for r in lines if r["kind"] == "step"] for lines in (ours, theirs))
    assert len(one) == 4 and one == pytest.approx(two, rel=1e-5)  # float32 sums in another order
    capsys.readouterr()
    netc.train(NET, "masks:d", out="flipped", epochs=1, flip=True, **WORDS)
    assert _run(["emit-jax", "flipped", "-o", "t.py"]) == 2
    assert "emit-jax wants images with masks as they are, got --flip; leave it out" in capsys.readouterr().err


def test_predict_writes_a_mask_and_python_gives_all_numbers(capsys):
    run = netc.train(NET, "masks:d", out="run", epochs=1, **WORDS)
    assert _run(["predict", "run", "d/images/00.png"]) == 0 and Path("run/predicted/00.mask.png").is_file()
    with pytest.raises(UserError, match="predict wants a net of one class for each image, got pixels with"):
        [*run.classify(["d/images/00.png"])]
    x = np.asarray(Image.open("d/images/00.png"))[np.newaxis]
    assert run.predict(x).shape == (1, 16, 16, 3)


def test_classes_are_compared_by_name(capsys):
    Path("d/classes.txt").write_text("ground\nbox\ncorner\n")
    run = netc.train(NET, "masks:d", out="run", epochs=4, **WORDS)
    assert run.config.net.out.shape == (16, 16, 3)
    for i in range(6):  # the same names in another order, and an undivided folder
        ids = scene()
        pair("o", str(i), np.choose(ids, (2, 0, 1)))
        pixels = np.asarray(Image.open(f"o/images/{i}.png"))
        pair("p", str(i), ids)
        Image.fromarray(pixels).save(f"p/images/{i}.png")
    Path("o/classes.txt").write_text("box\ncorner\nground\n")
    Path("p/classes.txt").write_text("ground\nbox\ncorner\n")
    one, two = run.evaluate("masks:o"), run.evaluate("masks:p")
    assert (one.loss, one.accuracy, one.count) == (two.loss, two.accuracy, 6)
    Path("o/classes.txt").write_text("box\ncrate\nground\n")
    assert _run(["eval", "run", "--data", "masks:o"]) == 2
    said = capsys.readouterr().err
    assert "masks:o has test images of classes that the net does not know: crate" in said
    for i in range(2):
        mask(np.full((16, 16), 2 * i), Path(f"o/masks/{i}.png"))
    left = run.evaluate("masks:o", skip_unknown=True)
    assert left.left_out == 4 and left.count == 2
    mask(np.full((16, 16), 255), Path("o/masks/1.png"))
    with pytest.raises(netc.DataError, match="masks:o has 256 pixels of 255, which is no class, and the run"):
        run.evaluate("masks:o", skip_unknown=True)


def test_void_is_left_out_with_check_labels_and_refused_without(capsys):
    for i in range(10):
        path = Path(f"d/masks/{i:02d}.png")
        ids = np.asarray(Image.open(path)).copy()
        ids[0] = 255
        mask(ids, path)
    assert train("--data", "masks:d", out="no") == 2
    said = capsys.readouterr().err
    assert "masks:d has 160 pixels of 255, which is no class; give --check-labels to leave them out" in said
    assert not Path("no").exists()
    run = netc.train(NET, "masks:d", out="run", epochs=4, check_labels=True, crop=2, **WORDS)
    assert run.config.net.out.shape == (16, 16, 3) and run.accuracy > 0.7
    assert run.evaluate(metrics="iou").metrics["iou"]["mean"] > 0.3


def test_everything_wrong_is_told_before_anything_is_compiled(capsys):
    Path("d/classes.txt").write_text("ground\nbox\n")
    mask(scene(9), Path("d/masks/01.png"))
    Path("d/masks/02.png").unlink()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save("d/masks/04.png")
    Path("d/masks/06.png").write_bytes(b"\x89PNG\r\n\x1a\n12")
    Image.fromarray(np.zeros((16, 16), np.uint8)).save("d/masks/08.png", "JPEG")
    assert train("--data", "masks:d", out="no") == 2
    said = capsys.readouterr().err
    for sentence in (
        "masks/01.png: wants the size of its image, 16 x 24, got 16 x 9; bring it there by nearest neighbours",
        "images/02.png: wants a mask",
        "masks/04.png: wants a mask of class ids, PNG in grey or with a palette, got RGB; convert its colours to ids",
        "masks/06.png: wants a whole image",
        "masks/08.png: wants a mask as PNG, got JPEG, which may change ids",
        "masks/00.png: wants ids from 0 to 1, for the 2 lines of classes.txt, or 255 for no class, got 2; add names",
    ):
        assert sentence in said
    assert not Path("no").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--auto-augment", "trivial"), "--auto-augment turns and shifts images but not their masks, and masks:d has"),
        (("--crop", "2"), "--crop pads masks by pixels of 255, which is no class; give --check-labels to leave them"),
        (("--loss", "mse"), "masks:d has class ids, and meanSquaredError wants floats"),
        (("--cutmix", "1"), "--cutmix wants one label for each image"),
        (("--val", "0.2", "--stratify"), "--stratify wants one class for each example, got those of masks:d"),
        (("--sampler", "balanced"), "wants one class for each example, got those of masks:d"),
    ],
)
def test_words_that_do_not_fit_masks_are_refused(words, sentence, capsys):
    assert train("--data", "masks:d", *words, out="no") == 2
    assert sentence in capsys.readouterr().err and not Path("no").exists()


def test_a_net_of_another_output_is_refused(capsys):
    Path("net.toml").write_text(TOML + '[[layers]]\nkind="globalAvgPool"\n')
    assert train("--data", "masks:d", out="no") == 2
    assert "wants a net with an output of [batch, 16, 16, classes], as large as its input" in capsys.readouterr().err


def test_held_out_parts_and_folders_for_them():
    run = netc.train(NET, "masks:d", out="val", val=0.3, epochs=1, **WORDS)
    assert run.evaluate().count == 3
    for i in range(4):
        pair("two/train", str(i), scene())
        pair("two/val", f"v{i % 2}", scene())
    assert netc.train(NET, "masks:two", out="two-run", epochs=1, **WORDS).evaluate().count == 2
