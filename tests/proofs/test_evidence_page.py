"""The page of evidence and the README say what Lean took of each kind; `evidence_table.py --again` writes them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from netc.proofs.taken import taken

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("jax")
    found = importlib.util.spec_from_file_location("evidence_table", ROOT / "scripts" / "evidence_table.py")
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def test_the_page_and_the_readme_agree_with_what_lean_took(script):
    text = script.PAGE.read_text(encoding="utf-8")
    rows = {m[1]: (m[2], m[3]) for m in script.ROW.finditer(text)}
    assert set(rows) == set(script.kinds()) >= taken()
    assert script.page(rows).splitlines()[3:] == text.splitlines()[3:], "python scripts/evidence_table.py --again"
    assert not [name for name, (said, _) in rows.items() if said == script.NOT_RUN]
    assert script.said(rows) in script.README.read_text(encoding="utf-8"), "python scripts/evidence_table.py --again"
