"""A stopped training of each process goes on bit for bit: noise, times, masks and trees follow from the step alone."""

import pytest

import netc
from netc import layers as nn
from netc.runtime.run.config import checkpoint_of

IMAGES = netc.NetSpec("images", (8, 8, 3), (nn.TimeCondAdd(2, name="time"), nn.Conv2d(1, 1, name="head")))
TEXT = netc.NetSpec(
    "text",
    (9,),
    (nn.TokenPositionEmbed(1001, 4, name="embed"), nn.TakeTokens(8), nn.Dense(12, name="head")),
    dtype="i32",
)
SEQUENCES = netc.NetSpec("sequences", (10, 4), (nn.Dense(4, name="head"),))
LABELS = {"label_drop": 0.5}
PROCESSES = {
    "flow": (IMAGES, "digits", LABELS),
    "ddpm": (IMAGES, "digits", LABELS),
    "masked": (TEXT, "text:book.txt", {}),
    "branching": (SEQUENCES, "rings", {}),
}
WORDS = {"target": "reference", "batch": 16, "max_steps": 6, "ema": 0.9, "seed": 3}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, monkeypatch, process):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "book.txt").write_text("abcdefgh\n" * 200)
    net, data, more = PROCESSES[process]
    words = {**WORDS, **more, "process": process}
    whole = netc.train(net, data, out="whole", **words)
    part = netc.train(net, data, out="part", on_step=lambda done: done.step == 2, **words)
    assert part.stopped and part.steps == 3
    assert netc.resume("part").steps == whole.steps == 6
    assert (whole.folder / "trace.jsonl").read_bytes() == (part.folder / "trace.jsonl").read_bytes()
    last = [checkpoint_of(run.folder, "last").tensors for run in (whole, part)]
    assert last[0].keys() == last[1].keys() and all((last[0][n] == last[1][n]).all() for n in last[0])
