"""Checkpoints that are damaged, forged, cut short by a crash, or read while they are replaced."""

import errno
import hashlib
import json
import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from netc.netspec.errors import NetcError, UserError
from netc.runtime.run import checkpoint as module
from netc.runtime.run.checkpoint import MANIFEST, STATE, CheckpointError, exists, load, save
from netc.runtime.run.checkpoint_manifest import rendered
from tests.runtime.run.test_checkpoint import META, TENSORS, marked, names


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "run", "last", TENSORS, META)


@pytest.mark.parametrize("left", [0, 1, 8, 100, -1])
@pytest.mark.parametrize("name", [STATE, MANIFEST])
def test_a_truncated_file(path, name, left):
    (path / name).write_bytes((path / name).read_bytes()[:left])
    with pytest.raises(CheckpointError, match=rf"{name} wants .*, got .*; it was cut short or altered: use anoth"):
        load(path)


def test_a_longer_file(path):
    for name in (STATE, MANIFEST):
        content = (path / name).read_bytes()
        (path / name).write_bytes(content + b" ")
        with pytest.raises(CheckpointError, match="altered"):
            load(path)
        (path / name).write_bytes(content)
    load(path)


@pytest.mark.parametrize("name", [STATE, MANIFEST])
def test_a_flipped_bit_is_always_noticed(path, name):
    """Random bits: more of the manifest, where a flip may leave good JSON (all were tried once)."""
    content = (path / name).read_bytes()
    bits = range(8 * len(content))
    for bit in random.Random(0).sample(bits, 50 if name == STATE else 500):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (path / name).write_bytes(flipped)
        with pytest.raises(CheckpointError):
            load(path)
    (path / name).write_bytes(content)
    load(path)


def forged(path, **change):
    """Rewrite the manifest with a right digest of its own, as another program might."""
    manifest = json.loads((path / MANIFEST).read_text()) | change
    del manifest["manifest_sha256"]
    (path / MANIFEST).write_bytes(rendered(manifest))


def test_another_format(path):
    forged(path, format=3)
    with pytest.raises(CheckpointError, match=r"manifest.json wants format 1 or 2, got 3; load it with the netc that"):
        load(path)


@pytest.mark.parametrize("content", [b"[]", b"3", b"{}", b"null", b"[" * 100_000, b"\xff", b'{"format": NaN}'])
def test_a_manifest_of_other_json(path, content):
    (path / MANIFEST).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"manifest.json wants"):
        load(path)


def test_a_manifest_with_a_bare_nan(path):
    (path / MANIFEST).write_bytes((path / MANIFEST).read_bytes().replace(b"0.999", b"NaN"))
    with pytest.raises(CheckpointError, match=r"wants a manifest that agrees with its own SHA-256"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float64"}, r"wants tensor 'z/kernel' as float64\[3, 4\], got float32\[3, 4\]"),
        ({"shape": [4, 3]}, r"wants tensor 'z/kernel' as float32\[4, 3\], got float32\[3, 4\]"),
        ({"name": "kernel"}, "wants the tensors of the manifest, got a difference in 'kernel', 'z/kernel'"),
    ],
)
def test_tensors_that_are_not_those_of_the_manifest(path, change, message):
    first, *rest = json.loads((path / MANIFEST).read_text())["tensors"]
    forged(path, tensors=[first | change, *rest])
    with pytest.raises(CheckpointError, match=message):
        load(path)


def test_a_state_that_is_no_safetensors(path):
    (path / STATE).write_bytes(b"garbage " * 4)
    manifest = json.loads((path / MANIFEST).read_text())
    digest = hashlib.sha256(b"garbage " * 4).hexdigest()
    forged(path, files={STATE: {**manifest["files"][STATE], "bytes": 32, "sha256": digest}})
    with pytest.raises(CheckpointError, match="wants a safetensors file"):
        load(path)


class Crash(BaseException):
    """The process stops here: nothing after it runs, not even the tidying."""


# Every call by which `save` changes the disk; a crash may come before each.
CALLS = [(Path, "mkdir"), (Path, "open"), (os, "fsync"), (Path, "rename"), (module.shutil, "rmtree")]


def crash_at(monkeypatch, nth):
    """Let the calls of CALLS pass `nth` times in all, then crash for good."""
    done = []

    def wrapped(real):
        def call(*arguments, **options):
            done.append(real)
            if len(done) > nth:
                raise Crash
            return real(*arguments, **options)

        return call

    for owner, name in CALLS:
        monkeypatch.setattr(owner, name, wrapped(getattr(owner, name)))


def test_a_crash_at_any_point_loses_no_checkpoint(tmp_path, monkeypatch):
    """The one before is loaded, or the new one, never a half; and the next save works and tidies up."""
    seen = []
    for nth in range(100):
        folder = tmp_path / str(nth)
        path = save(folder, "x", marked(1), {"n": 1})
        with monkeypatch.context() as patch:
            crash_at(patch, nth)
            try:
                save(folder, "x", marked(2), {"n": 2})
            except Crash:
                crashed = True
            else:
                crashed = False
        assert exists(path)
        loaded = load(path)
        assert np.array_equal(loaded.tensors["x"], marked(loaded.meta["n"])["x"])
        seen.append((loaded.meta["n"], path.exists()))
        save(folder, "x", marked(3), {"n": 3})
        assert load(path).meta == {"n": 3}
        assert names(folder) == ["x"]
        if not crashed:
            break
    assert not crashed
    # All three stages were met: before the renames, between them, and after.
    assert set(seen) == {(1, True), (1, False), (2, True)}


def test_a_crash_between_the_renames(path):
    path.rename(path.parent / ".last.old")
    assert exists(path) and not path.exists()
    assert load(path).meta["step"] == 7
    assert not path.exists()  # reading changes nothing
    save(path.parent, "last", marked(1), {})
    assert names(path.parent) == ["last"]


@pytest.mark.parametrize("where", [(os, "fsync"), (Path, "rename"), (Path, "open"), (Path, "mkdir")])
def test_a_full_disk_keeps_the_one_before(path, monkeypatch, where):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*where, full)
        with pytest.raises(NetcError, match=r"wants room on its disk, got: No space left on device") as caught:
            save(path.parent, "last", marked(1), {})
    assert not isinstance(caught.value, UserError)
    assert load(path).meta["step"] == 7
    assert names(path.parent) == ["last"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="wants a folder that it can write to"):
        save(tmp_path / "file", "x", {}, {})


def test_readers_never_see_a_half(tmp_path):
    """One thread saves, two load: each load is one whole save, and never older than one seen before."""
    path = save(tmp_path, "x", marked(0), {"n": 0})
    over, faults = threading.Event(), []

    def reader():
        last = 0
        while not over.is_set():
            try:
                loaded = load(path)
            except UserError as error:
                faults.append(error)
                return
            number = loaded.meta["n"]
            if number < last or not np.array_equal(loaded.tensors["x"], marked(number)["x"]):
                faults.append((last, number))
            last = number

    readers = [threading.Thread(target=reader) for _ in range(2)]
    for thread in readers:
        thread.start()
    for number in range(1, 60):
        save(tmp_path, "x", marked(number), {"n": number})
    over.set()
    for thread in readers:
        thread.join()
    assert not faults


def test_a_reader_of_the_old_one_turns_to_the_new(path, monkeypatch):
    """A save that was between its renames when the reader came ends, and empties what is being read."""
    old, new, real = path.parent / ".last.old", save(path.parent, "new", {}, {"n": 2}), module._load
    path.rename(old)

    def late(handle, found):
        if found == old:
            new.rename(path)
            (old / STATE).unlink()
        return real(handle, found)

    monkeypatch.setattr(module, "_load", late)
    assert load(path).meta == {"n": 2}


def test_the_file_is_plain_safetensors(path):
    """Whoever has no netc can read the tensors."""
    assert safetensors.numpy.load_file(path / STATE).keys() == TENSORS.keys()
