"""Damaged files: whatever was changed in them, a file is read or refused with a message, and soon."""

from __future__ import annotations

import importlib.util
import random
import time
from pathlib import Path

import pytest

from netc.netspec.errors import UserError
from tests.calls import SLOW_MACHINE

SCRIPT = Path(__file__).parents[3] / "scripts" / "fuzz_lean.py"
spec = importlib.util.spec_from_file_location("fuzz_lean", SCRIPT)
assert spec is not None and spec.loader is not None
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)


def test_the_samples_are_read_whole() -> None:
    assert [fuzz.understood(sample) for sample in fuzz.SAMPLES] == [2, 2]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files(seed: int) -> None:
    draw = random.Random(f"lean {seed}")
    for _ in range(100):
        source = fuzz.mutated(draw.choice(fuzz.SAMPLES), draw)
        start = time.process_time()
        try:
            fuzz.understood(source)
        except UserError as error:
            assert str(error)
        assert time.process_time() - start < SLOW_MACHINE, source


def test_every_beginning_of_a_file() -> None:
    source = fuzz.SAMPLES[1]
    for end in range(0, len(source), 7):
        try:
            fuzz.understood(source[:end])
        except UserError as error:
            assert str(error)
