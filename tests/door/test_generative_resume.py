"""A stopped training of a flow goes on bit for bit: noise, times and dropped labels follow from the step alone."""

import netc
from netc import layers as nn
from netc.runtime.run.config import checkpoint_of

NET = netc.NetSpec("flow", (8, 8, 3), (nn.TimeCondAdd(2, name="time"), nn.Conv2d(1, 1, name="head")))
WORDS = {
    "process": "flow",
    "target": "reference",
    "batch": 64,
    "max_steps": 6,
    "ema": 0.9,
    "label_drop": 0.5,
    "seed": 3,
}


def test_a_stopped_flow_goes_on_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    whole = netc.train(NET, "digits", out="whole", **WORDS)
    part = netc.train(NET, "digits", out="part", on_step=lambda done: done.step == 2, **WORDS)
    assert part.stopped and part.steps == 3
    assert netc.resume("part").steps == whole.steps == 6
    assert (whole.folder / "trace.jsonl").read_bytes() == (part.folder / "trace.jsonl").read_bytes()
    last = [checkpoint_of(run.folder, "last").tensors for run in (whole, part)]
    assert last[0].keys() == last[1].keys() and all((last[0][n] == last[1][n]).all() for n in last[0])
