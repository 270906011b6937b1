"""Characters as tokens: from a text to the ids that a net was trained on, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from netc.runtime.data.errors import DataError
from netc.runtime.data.windows import Ids

SHOWN = 8  # unknown characters in a message


@dataclass(frozen=True)
class Characters:
    """The characters that a net knows, in the order of their ids."""

    known: tuple[str, ...]

    def encode(self, text: str) -> Ids:
        """The ids of a text, int32 [n]. A line that ends in CR LF ends in LF, as in training.

        Raises DataError that names the characters which the net does not know.
        """
        text = text.replace("\r\n", "\n")
        numbers = {c: i for i, c in enumerate(self.known)}
        if unknown := sorted(set(text) - numbers.keys()):
            more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
            raise DataError(
                f"`prompt` wants the {len(self.known)} characters that the net was trained on, got also "
                f"{', '.join(map(repr, unknown[:SHOWN]))}{more}; leave them out"
            )
        return np.array([numbers[c] for c in text], np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        return "".join(self.known[i] for i in ids)


def held_back(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of a text may be the beginning of a stop word."""
    return max(
        (n for stop in stops for n in range(1, min(len(stop), len(text) + 1)) if text.endswith(stop[:n])), default=0
    )
