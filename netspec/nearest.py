"""The words near to one that nobody knows, as messages say them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean stem or stage1?`, or `otherwise` where no known word is near."""
    near = difflib.get_close_matches(word, [*known], n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else otherwise
