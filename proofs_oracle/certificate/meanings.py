"""What each operation does over a DualField: ours by the op table, others by the tables of this folder."""

from __future__ import annotations

from netc.codegen.ops import OPS
from netc.codegen.ops.table import Meaning
from netc.proofs_oracle.certificate import functions
from netc.proofs_oracle.certificate.foreign import FOREIGN
from netc.proofs_oracle.certificate.indexing import INDEXED
from netc.proofs_oracle.certificate.ordering import ORDERED

MEANINGS: dict[str, Meaning] = {**FOREIGN, **INDEXED, **ORDERED, **functions.MEANINGS}


def meaning_of(kind: str) -> Meaning:
    """The meaning of an operation, ours or foreign."""
    return MEANINGS[kind] if kind in MEANINGS else OPS[kind].meaning
