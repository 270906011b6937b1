"""What the tests of the cache share."""

import os

import pytest

from netc.runtime.cache.store import Cache


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Nothing here pulls the plug; what must be flushed is seen by the tests of full disks."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def said():
    return []


@pytest.fixture
def cache(tmp_path, said):
    return Cache(tmp_path / "cache", on_wait=said.append, on_damage=said.append)
