"""What the tests of runs share: the digits in small, a cache, a folder for a run, and a run that never stopped."""

import os

import pytest

from netc.runtime.cache.store import Cache
from netc.runtime.train import train
from tests.runtime.test_train import config, digits


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Nothing here pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def whole(data, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(config(), data, folder, cache)
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"
