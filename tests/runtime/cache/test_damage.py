"""Entries that are damaged: each is noticed, said, and built again."""

import hashlib
import json
import math
from pathlib import Path

import pytest

from netc.runtime.cache import store as module
from netc.runtime.cache.entry import sealed
from netc.runtime.cache.store import Cache
from tests.runtime.cache.test_store import KEY, Build, files


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def rewritten(**change):
    def write(path):
        body = json.loads(path.read_bytes())
        del body["manifest_sha256"]
        path.write_bytes(json.dumps(body | change).encode() if _is_odd(change) else sealed(body | change))

    return write


def _is_odd(change):
    """Whether no JSON of ours can hold it."""
    return any(isinstance(value, float) and not math.isfinite(value) for value in change.values())


@pytest.mark.parametrize("method", ["get_or_build", "lookup"])
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (("artefact", flip), "its artefact wants SHA-256"),
        (("artefact", cut), "its artefact wants 5000 bytes, got 4999"),
        (("artefact", Path.unlink), "one of its files cannot be read"),
        (("manifest.json", Path.unlink), "one of its files cannot be read"),
        (("manifest.json", cut), "not written by netc"),
        (("manifest.json", flip), "manifest"),
        (("manifest.json", lambda path: path.write_bytes(b"")), "not written by netc"),
        (("manifest.json", lambda path: path.write_bytes(b"\xff\0")), "not written by netc"),
        (("manifest.json", lambda path: path.write_bytes(b"[" * 100_000)), "not written by netc"),
        (("manifest.json", lambda path: path.write_bytes(b"[]")), "not written by netc"),
        (("manifest.json", lambda path: path.write_bytes(b"{}")), "not written by netc"),
        (("manifest.json", rewritten(format=2)), "not written by netc"),
        (("manifest.json", rewritten(key=None)), "not written by netc"),
        (("manifest.json", rewritten(created="yesterday")), "not written by netc"),
        (("manifest.json", rewritten(created="2026-01-01T00:00:00")), "not written by netc"),
        (("manifest.json", rewritten(created=3)), "not written by netc"),
        (("manifest.json", rewritten(seconds=float("nan"))), "not written by netc"),
        (("manifest.json", rewritten(bytes=float("inf"))), "not written by netc"),
        (("manifest.json", rewritten(sha256="0" * 64)), "its artefact wants SHA-256 000000000000"),
        (
            (
                "manifest.json",
                rewritten(key={"text_sha256": "", "compiler": "", "target": "", "flags": [], "label": ""}),
            ),
            "its manifest is for another key",
        ),
        (
            (
                "manifest.json",
                rewritten(key={"text_sha256": "", "compiler": 1, "target": "", "flags": [], "label": ""}),
            ),
            "not written by netc",
        ),
    ],
)
def test_a_damaged_entry_is_noticed_and_rebuilt(cache, said, method, harm, sentence):
    name, damage = harm
    build = Build()
    entry = cache.get_or_build(KEY, build)
    damage(entry.path.with_name(name))
    if method == "lookup":
        assert cache.lookup(KEY) is None
        assert len(said) == 1 and sentence in said[0]
        if "SHA-256" not in sentence:  # an artefact is read by `lookup` alone
            assert sentence in cache.miss_reason(KEY)
            assert cache.entries() == ()
        return
    again = cache.get_or_build(KEY, build)
    assert build.calls == 2 and not again.hit
    assert len(said) == 1 and sentence in said[0] and "'mlp batch 32' for 'cpu'" in said[0]
    assert cache.get_or_build(KEY, build).hit
    assert len(files(cache)) == 2


def test_an_entry_that_is_a_file_is_replaced(cache, said):
    (cache.root / "v1" / "entries").mkdir(parents=True)
    (cache.root / "v1" / "entries" / KEY.digest).write_bytes(b"what")
    assert not cache.get_or_build(KEY, Build()).hit
    assert len(said) == 1
    assert len(files(cache)) == 2


def test_a_failing_rebuild_keeps_nothing_half(cache):
    entry = cache.get_or_build(KEY, Build())
    flip(entry.path)
    with pytest.raises(ValueError, match="no"):
        cache.get_or_build(KEY, lambda path: (_ for _ in ()).throw(ValueError("no")))
    assert cache.lookup(KEY) is None
    assert not cache.get_or_build(KEY, Build()).hit


def test_damage_is_logged_by_default(tmp_path, caplog):
    cache = Cache(tmp_path)
    flip(cache.get_or_build(KEY, Build()).path)
    cache.get_or_build(KEY, Build())
    assert [record.name for record in caplog.records] == [module.__name__]
    assert "is damaged" in caplog.text


def test_an_artefact_of_another_program_under_a_fitting_manifest_is_rebuilt(cache, said):
    build = Build(b"compiled of one.mlir")
    entry = cache.get_or_build(KEY, build, "one.mlir")
    assert cache.get_or_build(KEY, build, "one.mlir").hit
    foreign = b"compiled of two.mlir"
    entry.path.write_bytes(foreign)
    manifest = entry.path.with_name("manifest.json")
    fitting = {"bytes": len(foreign), "sha256": hashlib.sha256(foreign).hexdigest()}
    rewritten(**fitting)(manifest)
    assert cache.lookup(KEY) is not None  # nobody asked what it is
    again = cache.get_or_build(KEY, build, "one.mlir")
    assert not again.hit and again.path.read_bytes() == build.content
    assert len(said) == 1 and "was compiled from another program, or for another target" in said[0]


def unsealed(path):
    body = json.loads(path.read_bytes())
    del body["manifest_sha256"]
    path.write_text(json.dumps(body))


def test_an_entry_of_an_earlier_netc_is_built_again_without_a_word(cache, said):
    build = Build()
    unsealed(cache.get_or_build(KEY, build).path.with_name("manifest.json"))
    assert cache.miss_reason(KEY) == "an earlier netc wrote it"
    assert not cache.get_or_build(KEY, build).hit and build.calls == 2
    assert cache.get_or_build(KEY, build).hit and said == []


def test_entries_of_an_earlier_netc_go_where_they_are_met(cache, said):
    path = cache.get_or_build(KEY, Build()).path
    unsealed(path.with_name("manifest.json"))
    assert cache.entries() == () and said == []
