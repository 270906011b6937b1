"""What a cache over its limit removes, and what it leaves alone."""

import fcntl
import os
import time
from dataclasses import replace

import pytest

from netc.netspec.errors import UserError
from netc.runtime.cache.hold import HELD
from netc.runtime.cache.limit import limit
from netc.runtime.cache.store import Cache
from tests.runtime.cache.test_store import KEY, Build


def used(cache, key, at):
    """Set when an entry was last used."""
    os.utime(cache.root / "v1" / "entries" / key.digest / "artefact", (at, at))


def three(cache):
    """Three entries of 1,000 bytes, the first one used last; as if another process had made them."""
    keys = [replace(KEY, target=str(i), label=str(i)) for i in range(3)]
    for key in keys:
        cache.get_or_build(key, Build(b"x" * 1000))
    HELD.clear()
    for at, key in enumerate((keys[1], keys[2], keys[0])):
        used(cache, key, 1_000_000 + at)
    return keys


def test_a_hit_is_a_use(cache):
    keys = three(cache)
    cache.lookup(keys[1])
    now = cache.last_used(next(e for e in cache.entries() if e.key == keys[1])).timestamp()
    assert abs(now - time.time()) < 60


def test_a_build_over_the_limit_evicts_what_was_not_used_for_longest(cache, said):
    keys = three(cache)
    small = Cache(cache.root, limit=3_000)
    small.get_or_build(KEY, Build(b"x" * 1000))
    assert {entry.key for entry in cache.entries()} == {keys[0], keys[2], KEY}
    HELD.clear()
    huge = replace(KEY, target="huge")
    small.get_or_build(huge, Build(b"x" * 9_000))  # larger than the limit by itself: the only one that stays
    assert {entry.key for entry in cache.entries()} == {huge}
    assert not said


def test_what_another_process_has_taken_is_not_evicted(cache, tmp_path):
    keys = three(cache)
    held = (cache.root / "v1" / "entries" / keys[1].digest / "artefact").open("rb")
    fcntl.flock(held, fcntl.LOCK_SH)
    assert cache.prune(0) > 2_000
    assert [entry.key for entry in cache.entries()] == [keys[1]]
    held.close()
    assert cache.prune(0) > 1_000
    assert cache.entries() == ()


def test_what_this_process_took_is_held(cache):
    cache.get_or_build(KEY, Build())
    cache.prune(0)
    assert len(cache.entries()) == 1
    HELD.clear()
    cache.prune(0)
    assert cache.entries() == ()


def test_an_entry_that_is_being_removed_is_built_again(cache, monkeypatch):
    entry = cache.get_or_build(KEY, Build())
    HELD.clear()
    with entry.path.open("rb") as removing:
        fcntl.flock(removing, fcntl.LOCK_EX)
        assert cache.lookup(KEY) is None
    assert cache.lookup(KEY) is not None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500MB", 500_000_000),
        ("2 GB", 2_000_000_000),
        ("1.5kb", 1500),
        ("1KiB", 1024),
        ("7", 7),
        ("none", None),
        ("", 10**10),
    ],
)
def test_the_limit_of_the_environment(monkeypatch, text, count):
    monkeypatch.setenv("NETC_CACHE_LIMIT", text)
    assert limit() == count


@pytest.mark.parametrize("text", ["much", "-1", "2 apples", "1e9", "9" * 40])
def test_a_limit_that_is_none_is_said_before_the_build(cache, monkeypatch, text):
    monkeypatch.setenv("NETC_CACHE_LIMIT", text)
    build = Build()
    with pytest.raises(UserError, match="NETC_CACHE_LIMIT wants a size such as 500MB or 2GB"):
        cache.get_or_build(KEY, build)
    assert not build.calls
