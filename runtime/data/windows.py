"""Sequences of token ids, cut into contexts with the next token as the target of each place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netc.runtime.data.errors import DataError

Ids = npt.NDArray[np.int32]
"""int32, indices into `Dataset.classes`, which for text are its characters."""


@dataclass(frozen=True, eq=False)
class TextSplit:
    """`tokens` int32 [n] as examples of `context` tokens; example i has tokens i T to i T + T and predicts each next.

    Examples do not overlap; what is left at the end is not used. With `cut` the tokens from that place on are a stretch
    of their own: no example spans it, and the first one behind it begins there. Raises `DataError` for a context
    without an example.
    """

    tokens: Ids
    context: int
    cut: int = 0

    def __post_init__(self) -> None:
        if self.context < 1 or len(self.tokens) <= self.context:
            raise DataError(
                f"contexts of {self.context} tokens want more than {self.context} in each part of the text, got "
                f"{len(self.tokens)}; give a longer text, or a net with a shorter input"
            )

    @property
    def labels(self) -> Ids:
        """Every token, int32 [n]."""
        return self.tokens

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
        """Return the contexts at `indices` [n] and the tokens that follow each place: both int32 [n, T]."""
        first = indices * self.context
        first = np.where(indices < self._before, first, first - self._before * self.context + self.cut)
        places = first[:, np.newaxis] + np.arange(self.context)
        return self.tokens[places], self.tokens[places + 1]
