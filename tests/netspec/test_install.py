"""The command that installs an extra, by how netc was installed."""

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path

import pytest

from netc.netspec.install import install_extra

ROOT = Path(__file__).parents[2]


def installed(monkeypatch, origin):
    class Distribution:
        def read_text(self, name):
            return origin if name == "direct_url.json" else None

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Distribution())


WHEEL = json.dumps({"url": "https://x/netc.whl", "archive_info": {}})
COPIED = json.dumps({"url": "file:///x", "dir_info": {}})  # `pip install .`


@pytest.mark.parametrize("origin", [None, WHEEL, COPIED])
def test_a_wheel_gets_the_extra_of_its_own_name(monkeypatch, origin):
    installed(monkeypatch, origin)
    assert install_extra("oracle") == "pip install 'netc[oracle]'"


def test_a_checkout_gets_its_own_line(monkeypatch):
    installed(monkeypatch, json.dumps({"url": "file:///home/me/my%20netc", "dir_info": {"editable": True}}))
    assert install_extra("plot") == "pip install -e '/home/me/my netc[plot]'"


def test_netc_that_was_not_installed_gets_its_name(monkeypatch):
    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", none)
    assert install_extra("oracle") == "pip install 'netc[oracle]'"


def test_every_hint_names_an_extra_that_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    rooms = ("netspec", "codegen", "runtime", "proofs_oracle", "traces", "netc")
    texts = {p: p.read_text() for room in rooms for p in (ROOT / room).rglob("*.py")}
    named = {word for text in texts.values() for word in re.findall(r"install_extra\([^a-z](\w+)", text)}
    assert named and named <= extras.keys()
    assert not [str(p) for p, text in texts.items() if "-e '.[" in text]
