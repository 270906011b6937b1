"""A few edits of certified texts, as scripts/certificate_mutations.py makes 2,000: none is certified falsely."""

from __future__ import annotations

import importlib
from pathlib import Path

import jax
import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def mutations(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("certificate_mutations")


@pytest.mark.parametrize(
    ("name", "edits"), [("min pool", 8), ("add at indices", 8), ("cross entropy", 8), ("netc dense", 3)]
)
def test_no_edit_is_certified_falsely(mutations, name, edits):
    tally = mutations.study(edits, 5, name)[name]
    assert tally.edits == edits
    assert not tally.false
    assert sum(tally.outcomes.values()) == edits


def test_a_false_certificate_would_be_noticed(mutations, monkeypatch):
    monkeypatch.setattr(mutations, "TOLERANCE", -1.0)
    tally = mutations.study(8, 5, "add at indices")["add at indices"]
    assert tally.false


def test_every_kind_of_edit_is_made(mutations):
    with jax.enable_x64(True):
        subject = mutations.subject_of("max pool")
    edits = mutations.edits_of(subject.text)
    assert {e.sort for e in edits} == {"operand", "attribute", "operation"}
    named = {e.name for e in edits if e.sort == "attribute"}
    assert {"comparison_direction", "compare_type", "padding", "window_strides", "window_dilations", "value"} <= named
