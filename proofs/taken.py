"""Of which kinds Lean took a proof: what scripts/proof_table.py wrote beside docs/measurements/proofs.md."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

FILE = "taken.json"


@cache
def taken() -> frozenset[str]:
    """Kinds of layers, and `loss:KIND` and `optimizer:WORD`."""
    return frozenset(json.loads((files("netc.proofs") / FILE).read_text(encoding="utf-8")))
