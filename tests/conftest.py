"""What all tests share: goldens, the StableHLO parser, and a hypothesis that gives the same examples each time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT))  # helpers are imported as tests.<room>.<file>

# The same examples on every machine: a red test is red again. No deadline: the machine may be busy.
settings.register_profile(
    "netc", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("netc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; then read the diff")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: the text is that of tests/golden/<name>."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; run pytest --update-golden and read what it writes"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs; pytest --update-golden, then read the diff"

    return compare


@pytest.fixture
def golden_digest(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden_digest(name, digest)`: the digest is the one that tests/golden/digests.json has under that name."""

    def compare(name: str, digest: str) -> None:
        path = GOLDEN / "digests.json"
        if request.config.getoption("--update-golden"):
            held = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**held, name: digest}, indent=1, sort_keys=True) + "\n")
        held = json.loads(path.read_text())
        assert held.get(name) == digest, f"the text of {name} is another; if that is meant: pytest --update-golden -n 0"

    return compare
