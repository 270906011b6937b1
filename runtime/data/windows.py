"""Sequences of token ids, cut into contexts with the next token as the target of each place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netc.runtime.data.errors import DataError
from netc.runtime.data.stretches import Ids, Tokens


@dataclass(frozen=True, eq=False)
class TextSplit:
    """`tokens` [n] as examples of `context` tokens; example i has tokens i T to i T + T and predicts each next.

    Examples do not overlap; what is left at the end is not used. With `cut` the tokens from that place on are a stretch
    of their own: no example spans it, and the first one behind it begins there. `vocabulary`: how many ids there may
    be, where nobody has looked at all of them, else 0. Raises `DataError` for a context without an example.
    """

    tokens: Tokens
    context: int
    cut: int = 0
    vocabulary: int = 0

    def __post_init__(self) -> None:
        if self.context < 1 or len(self.tokens) <= self.context:
            raise DataError(
                f"a context of {self.context} wants more tokens than that in each part of the text, got "
                f"{len(self.tokens)}; give a longer text, or a net with a shorter input"
            )

    @property
    def labels(self) -> Ids:
        """Every token, int32 [n], in memory."""
        return np.asarray(self.tokens[:], np.int32)

    @property
    def shape(self) -> tuple[int, ...]:
        """One example's (T,)."""
        return (self.context,)

    def __len__(self) -> int:
        return self._before + max(0, len(self.tokens) - self.cut - 1) // self.context

    @property
    def _before(self) -> int:
        """Examples before the cut."""
        return max(0, self.cut - 1) // self.context

    def windows(self, indices: npt.NDArray[np.int64]) -> tuple[Ids, Ids]:
        """Return the contexts at `indices` [n] and the tokens that follow each place: both int32 [n, T].

        Raises `DataError` for an id outside the vocabulary, where there is one.
        """
        first = indices * self.context
        first = np.where(indices < self._before, first, first - self._before * self.context + self.cut)
        found = np.empty((len(indices), self.context + 1), np.int32)
        for row, place in zip(found, first.tolist(), strict=True):
            row[:] = self.tokens[place : place + self.context + 1]
        if self.vocabulary and found.size and not 0 <= int(found.min()) <= int(found.max()) < self.vocabulary:
            raise DataError(
                f"the tokens want ids from 0 to {self.vocabulary - 1}, which the net knows, got {found.min()} to "
                f"{found.max()}; say how many there are by `,vocabulary=N` after the name of the data"
            )
        return found[:, :-1].copy(), found[:, 1:].copy()
