"""`netc predict` on files and folders: an answer for each that can be read, a sentence for each that cannot."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from netc.runtime.run import config as run_config

SPEC = 'name = "tiny"\ninput = [4, 4, 3]\n[[layers]]\nkind = "flatten"\n[[layers]]\nkind = "dense"\nfeatures = 2\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    from netc.cli.main import _run

    place = tmp_path_factory.mktemp("predict")
    (place / "tiny.toml").write_text(SPEC)
    for label, channel in (("red", 0), ("blue", 2)):
        (place / "d" / label).mkdir(parents=True)
        for number in range(10):
            pixels = np.zeros((5, 6, 3), np.uint8)
            pixels[..., channel] = 150 + 10 * number
            Image.fromarray(pixels).save(place / "d" / label / f"{number}.png")
    (place / "d/red/Thumbs.db").write_bytes(b"\xd0")
    (place / "empty.png").write_bytes(b"")
    (place / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (place / "none").mkdir()
    (place / "none/notes.txt").write_text("no image")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        words = ("train", "tiny.toml", "--data", "imagefolder:d", "--epochs", "10", "--batch", "4", "--lr", "0.02")
        assert _run([*words, "--target", "reference", "--out", "run", "--quiet"]) == 0
    return place


def test_one_that_cannot_be_read_does_not_stop_the_others(netc, place):
    code, out, err = netc("predict", "run", "d/red/0.png", "empty.png", "gone.png", "cut.jpg", "d/blue/3.png")
    assert code == 1
    assert [line.split(" ")[:2] for line in out.splitlines()] == [["d/red/0.png:", "red"], ["d/blue/3.png:", "blue"]]
    empty, gone, cut = err.splitlines()
    assert empty.startswith("netc: empty.png: wants a whole image") and "got an empty file" in empty
    assert gone == "netc: gone.png: wants an image file, got no such file; check the path"
    assert cut.startswith("netc: cut.jpg: wants a whole image") and "object" not in cut


def test_the_checkpoint_is_read_once(netc, place, monkeypatch):
    read, load = [], run_config.load
    monkeypatch.setattr(run_config, "load", lambda path: read.append(path) or load(path))
    assert netc("predict", "run", "d/red/0.png")[0] == 0
    assert len(read) == 1


def test_a_folder_is_its_images_and_those_below(netc, place):
    code, out, err = netc("predict", "run", "d", "--top", "1")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 20  # five batches
    assert all(line.startswith(f"d/{line.rpartition(': ')[2].split(' ')[0]}/") for line in lines)
    assert err == "netc: d: passed over 1 entry without images: 1 Thumbs.db\n"
    code, _, err = netc("predict", "run", "none")
    assert code == 1 and err.endswith("netc: none: wants an image file, got a folder without images; check the path\n")


def test_json_has_an_entry_for_each(netc, place):
    code, out, _ = netc("predict", "run", "gone.png", "d/blue", "--json", "--top", "1")
    answers = json.loads(out)
    assert code == 1 and len(answers) == 11
    assert answers[0] == {
        "image": "gone.png",
        "error": "gone.png: wants an image file, got no such file; check the path",
    }
    assert answers[1]["image"] == "d/blue/0.png" and list(answers[1]["classes"]) == ["blue"]


def test_what_is_no_file_is_not_waited_for(netc, place):
    os.mkfifo(place / "pipe.png")
    code, _, err = netc("predict", "run", "pipe.png", "/dev/zero")
    assert code == 1 and err.count("wants an image file, got no regular file") == 2


def test_nothing_is_compiled_for_nothing(netc, place, monkeypatch):
    monkeypatch.setattr("netc.runtime.evaluate.prepare", None)
    assert netc("predict", "run", "gone.png")[0] == 1


def test_one_program_predicts_any_number_of_images(netc, place):
    wanted = netc("predict", "run", "d", "--top", "1")
    assert netc("predict", "run", "d", "--top", "1", "--batch", "dynamic") == wanted
    assert netc("predict", "run", "d", "--top", "1", "--batch", "3..7") == wanted
    assert netc("predict", "run", "d", "--top", "1", "--batch", "2") == wanted
