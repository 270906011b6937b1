"""A bad file in the middle of an epoch loses nothing: the run is saved and named, or goes on without it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import netc
from netc import layers as nn
from netc.runtime.data import batches, kept
from netc.runtime.data.errors import DataError
from netc.traces.read import read_timing

NET = netc.NetSpec("small", (8, 8, 3), (nn.GlobalAvgPool(), nn.Dense(2)))
WORDS = {"epochs": 2, "batch": 4, "lr": 0.1, "target": "reference", "checkpoint_every": 1}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photographs of which too many are there to look at each of them before the first step."""
    monkeypatch.setattr(kept, "KEEP_BYTES", 0)
    monkeypatch.setattr(batches, "STATISTICS_IMAGES", 2)
    rng = np.random.default_rng(1)
    for part, count in (("train", 12), ("val", 3)):
        for label in ("a", "b"):
            for number in range(count):
                path = tmp_path / "photos" / part / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def damage(path):
    path.write_bytes(path.read_bytes()[:200])


def test_a_run_that_refuses_is_saved_and_goes_on_once_the_file_is_whole(folder, tmp_path):
    data, bad = f"imagefolder:{folder}", folder / "train" / "a" / "5.png"
    wanted = netc.train(NET, data, out=tmp_path / "whole", **WORDS)
    content = bad.read_bytes()
    damage(bad)
    notes = []
    with pytest.raises(DataError, match=r"a/5\.png: wants a whole image"):
        netc.train(NET, data, out=tmp_path / "run", on_note=notes.append, **WORDS)
    assert any("is saved; " in note for note in notes)
    skipping = netc.resume(tmp_path / "run", on_damaged="skip", epochs=1)
    assert skipping.steps == 6
    assert '"on_damaged": "skip"' in (tmp_path / "run" / "run.json").read_text()
    bad.write_bytes(content)  # the run's digest is of the damaged file
    with pytest.raises(Exception, match="was trained on other data"):
        netc.resume(tmp_path / "run")
    assert wanted.steps == 12


def test_a_run_that_skips_goes_on_and_resumes_bit_for_bit(folder, tmp_path):
    data = f"imagefolder:{folder}"
    for name in ("train/a/5.png", "train/b/7.png", "val/a/1.png"):
        damage(folder / name)
    notes, words = [], {**WORDS, "on_damaged": "skip"}
    whole = netc.train(NET, data, out=tmp_path / "whole", workers=3, on_note=notes.append, **words)
    assert sum("damaged image" in note for note in notes) >= 1
    assert all(sum(name in note for note in notes) == 1 for name in ("a/5.png", "b/7.png", "val/a/1.png"))
    netc.train(NET, data, out=tmp_path / "run", on_step=lambda done: done.step == 8, **words)
    resumed = netc.resume(tmp_path / "run", workers=1)
    assert (tmp_path / "run" / "trace.jsonl").read_bytes() == (tmp_path / "whole" / "trace.jsonl").read_bytes()
    assert resumed.steps == whole.steps == 12
    assert any("22 of 24 training images" in note for note in notes)
    assert any("5 of 6 test images are left" in note for note in notes)
    score = netc.load(tmp_path / "whole").evaluate()
    assert score.count == 5  # of the six test images
    assert "skipped 1 damaged image: " in score.notes[0]


def test_the_time_that_steps_wait_is_known(folder, tmp_path):
    netc.train(NET, f"imagefolder:{folder}", out=tmp_path / "run", **WORDS)
    records = read_timing(tmp_path / "run" / "timing.jsonl")
    assert len(records) == 12
    assert sum(record.waited for record in records) > 0
