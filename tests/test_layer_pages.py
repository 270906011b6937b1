"""docs/layers: every kind of layer, loss and optimizer has its place on a page, with the oracle's current cases."""

import importlib.util
import re
from pathlib import Path

from netc.netspec.layers import KINDS
from netc.proofs_oracle.oracle import checks

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("make_layer_docs", ROOT / "scripts" / "make_layer_docs.py")
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)


def test_every_kind_is_on_exactly_one_page():
    named = [kind for path in pages.PAGES.glob("*.md") for kind in pages.kinds_of(path.read_text(encoding="utf-8"))]
    judged = {check.kind for check in checks()} - {"trainStep"}
    assert sorted(named) == sorted(judged)
    assert set(KINDS) <= judged


def test_results_are_those_of_the_oracle_now():
    by_kind = {}
    for check in checks():
        by_kind.setdefault(check.kind, []).append(check.label)
    for path in pages.PAGES.glob("*.md"):
        for block in pages.BLOCK.finditer(path.read_text(encoding="utf-8")):
            wanted = [label for kind in block["kinds"].split() for label in by_kind[kind]]
            assert pages.cases_in(block["table"]) == wanted, f"{path.name}: python scripts/make_layer_docs.py"


def test_every_kind_says_its_equation():
    texts = [pages.BLOCK.sub("", path.read_text(encoding="utf-8")) for path in pages.PAGES.glob("*.md")]
    words = set(re.findall(r"\w+", " ".join(texts)))
    for kind, cls in KINDS.items():
        assert "=" in cls.__doc__ or ":" in cls.__doc__, kind
        assert kind in words, kind
