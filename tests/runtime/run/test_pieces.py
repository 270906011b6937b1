"""A state that several processes write in pieces: one checkpoint that is whole or not there."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from netc.netspec.types import TensorType
from netc.runtime.backends.protocol import Piece
from netc.runtime.data.part import Part
from netc.runtime.run import checkpoint
from netc.runtime.run.checkpoint import MANIFEST, CheckpointError, load
from netc.runtime.run.checkpoint_manifest import described, rendered
from netc.runtime.run.config import Saving
from netc.runtime.run.pieces import Written
from netc.runtime.run.saver import Counter, NonFiniteError, Saver

KERNEL, BIAS = np.arange(24, dtype=np.float32).reshape(4, 6), np.array(3, np.int32)
TENSORS = [described("kernel", "float32", (4, 6)), described("bias", "int32", ())]
OWN = (
    {"kernel": [Piece((0, 0), KERNEL[:2, :3]), Piece((0, 3), KERNEL[:2, 3:])], "bias": [Piece((), BIAS)]},
    {"kernel": [Piece((2, 0), KERNEL[2:])], "bias": []},
)


def written(folder, own=OWN):
    """The checkpoint `last` of what these processes have."""
    new = checkpoint.begin(folder, "last")
    said = [checkpoint.write_pieces(new, index, len(own), pieces) for index, pieces in enumerate(own)]
    said = [Written.from_json(each.to_json()) for each in said]
    return checkpoint.bind(new, "last", said, TENSORS, {"step": 5})


def test_pieces_are_put_together(tmp_path):
    written(tmp_path)
    path = written(tmp_path)  # in the place of the first
    found = load(path)
    assert list(found.tensors) == ["kernel", "bias"] and found.meta == {"step": 5}
    np.testing.assert_array_equal(found.tensors["kernel"], KERNEL)
    assert found.tensors["bias"] == BIAS and found.tensors["bias"].shape == ()
    digest = checkpoint.digest_of(path)
    checkpoint.restate(tmp_path, "last", {"step": 6})
    assert load(path).meta == {"step": 6} and checkpoint.digest_of(path) == digest
    assert [inner.name for inner in tmp_path.iterdir()] == ["last"]


def test_a_process_that_dies_before_all_are_bound_costs_nothing(tmp_path):
    path = written(tmp_path)
    new = checkpoint.begin(tmp_path, "last")
    checkpoint.write_pieces(new, 1, 2, OWN[1])
    assert load(path).meta == {"step": 5}
    checkpoint.tidy(tmp_path)
    assert [inner.name for inner in tmp_path.iterdir()] == ["last"]


@pytest.mark.parametrize("name", ["state-00000-of-00002.safetensors", "state-00001-of-00002.safetensors", MANIFEST])
def test_a_file_that_was_altered_or_lost_is_refused(tmp_path, name):
    path = written(tmp_path)
    content = bytearray((path / name).read_bytes())
    content[-3] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} wants .* it was cut short or altered"):
        load(path)
    (path / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} wants"):
        load(path)


def test_pieces_that_are_not_all_of_a_tensor_are_refused(tmp_path):
    path = written(tmp_path, (OWN[0], {"kernel": [], "bias": []}))
    with pytest.raises(CheckpointError, match="wants all 24 numbers of 'kernel', got pieces of 12"):
        load(path)
    manifest = checkpoint.parsed((path / MANIFEST).read_bytes(), path)
    manifest["tensors"][0]["pieces"][0]["shape"] = [2, 4]
    (path / MANIFEST).write_bytes(rendered(manifest))
    with pytest.raises(CheckpointError, match=r"'kernel@0,0' as float32\[2, 4\], got float32\[2, 3\]"):
        load(path)


@pytest.mark.parametrize(
    ("second", "what"),
    [((0, 0), "wants each number of 'kernel' once, got 'kernel@0,0' over another piece"),
     ((3, 0), r"wants 'kernel@3,0' within \[4, 6\], got a piece of \[2, 6\]")],
)  # fmt: skip
def test_pieces_of_as_many_numbers_in_the_wrong_place_are_refused(tmp_path, second, what):
    path = written(tmp_path, (OWN[0], {"kernel": [Piece(second, KERNEL[2:])]}))
    with pytest.raises(CheckpointError, match=what):
        load(path)


def test_a_piece_of_a_file_that_the_manifest_lacks_is_refused(tmp_path):
    path = written(tmp_path)
    manifest = checkpoint.parsed((path / MANIFEST).read_bytes(), path)
    manifest["tensors"][0]["pieces"][0]["file"] = "state-00002-of-00003.safetensors"
    (path / MANIFEST).write_bytes(rendered(manifest))
    with pytest.raises(CheckpointError, match=r"'kernel@0,0' as float32\[2, 3\], got nothing"):
        load(path)


class Leader:
    """The first of two processes, of which the other has half of a kernel, `broken` if it says so."""

    leads, part = True, Part(0, 2)

    def __init__(self, folder):
        self.folder, self.shared_names, self.made, self.broken = folder, [], [], ""

    def shared(self, name, make):
        self.shared_names.append(name)
        self.made.append(made := make())
        return made

    def gathered(self, name, own):
        theirs = checkpoint.write_pieces(next(self.folder.glob(".*.new-*")), 1, 2, {"kernel": OWN[1]["kernel"]})
        return [own, Written(theirs.file, theirs.seal, theirs.pieces, self.broken).to_json()]


@pytest.fixture
def saver(tmp_path):
    kernel = SimpleNamespace(name="kernel", type=TensorType((4, 6)))
    program = SimpleNamespace(sharding="a mesh", state=[kernel])
    session = SimpleNamespace(program=program, pieces=lambda: {"kernel": OWN[0]["kernel"]})
    return Saver(tmp_path, session, Saving(minutes=1.0), {}, Leader(tmp_path))


def test_all_processes_save_together_and_all_find_what_is_broken(saver, tmp_path):
    saver.last(Counter(4))
    np.testing.assert_array_equal(load(tmp_path / "last").tensors["kernel"], KERNEL)
    assert saver.together.shared_names == ["checkpoint 1", "checkpoint 1 bound"]
    saver.together.broken = "kernel"
    with pytest.raises(NonFiniteError, match="kernel after step 7 is nan"):
        saver.last(Counter(8))
    assert load(tmp_path / "last").meta["step"] == 4
    assert [inner.name for inner in tmp_path.iterdir()] == ["last"]


def test_the_others_are_told_an_absolute_folder(saver, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saver.folder = Path()
    saver.last(Counter(4))
    assert Path(saver.together.made[0]).parent == tmp_path


def test_the_leaders_clock_says_when_and_is_looked_at_rarely(saver, monkeypatch):
    """A step takes 0.1 s, and `last` is due after 60."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    saver._since = 0.0
    found = []
    for step in range(1, 2000):
        now[0] += 0.1
        if saver.due(step - 1, step):
            found.append(step)
            saver.saved, saver._since = step, now[0]
    assert len(found) == 3 and all(600 <= b - a <= 602 for a, b in zip([0, *found], found, strict=False))
    assert len(saver.together.shared_names) < 60
