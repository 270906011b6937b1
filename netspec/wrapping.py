"""Wrapping: what stands around an optimizer's step, whichever optimizer it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netc.netspec.types import LARGEST_NUMBER, SMALLEST_NUMBER
from netc.netspec.vocabulary import option


@dataclass(frozen=True)
class Wrapping:
    """Lookahead and sharpness-aware minimisation; 0 is off.

    `lookahead` k: slow weights s are kept beside the weights w, which the optimizer moves. After every k-th step s <- s
    + `lookahead_share` (w - s) and w <- s (Zhang et al. 2019, as optax.lookahead; the optimizer's moments stay).
    `sam` rho: the gradient g' that is used is that at w + rho g / |g|, where g is the gradient at w, on the same
    examples and with the same masks (Foret et al. 2021). Loss, statistics and grad_norm are those at w.
    """

    lookahead: int = option(0, "Update the slow weights every N steps; 0 is off.", later=True)
    lookahead_share: float = option(0.5, "Fraction of the way that the slow weights move.", later=True)
    sam: float = option(0.0, "SAM's rho, such as 0.05: twice the time a step; 0 is off.", later=True)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each value out of range, and for an option that says nothing."""
        if type(self.lookahead) is not int or self.lookahead == 1 or not 0 <= self.lookahead < 1 << 31:
            yield f"`lookahead` wants a number of steps of at least 2, or 0 for none, got {self.lookahead!r}"
        if not 0 < self.lookahead_share <= 1:
            yield f"`lookahead_share` wants a number above 0 and at most 1, got {self.lookahead_share}"
        if self.lookahead_share != 0.5 and not self.lookahead:
            yield "`lookahead_share` belongs to `lookahead`, got no `lookahead`; give `lookahead=6`, or leave it out"
        if self.sam and not SMALLEST_NUMBER <= self.sam <= LARGEST_NUMBER:
            yield f"`sam` wants a positive number, or 0 for none, got {self.sam}"
