"""docs/lean.md: its tables are those of the code."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[3]
spec = importlib.util.spec_from_file_location("make_lean_docs", ROOT / "scripts" / "make_lean_docs.py")
page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page)


def test_the_tables_are_current():
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.written(text) == text, "python scripts/make_lean_docs.py"
    assert all(f"| `{row.head}` |" in text for row in page.ROWS)
    assert all(f"`{name}`" in text for name in page.FIELDS)
