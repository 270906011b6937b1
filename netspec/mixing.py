"""Mixing: each example of a batch is blended with another one, and so is its loss: Mixup, CutMix, or either."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netc.netspec.types import TensorType, batched
from netc.netspec.vocabulary import option

LEAST, LARGEST = 2.0**-7, 2.0**10  # the alphas whose quantiles codegen/beta.py computes


@dataclass(frozen=True)
class Mixing:
    """How the examples of a batch are mixed in training: once for all of them, example i with example B - 1 - i.

    Mixup (Zhang et al. 2018): x <- a x + (1 - a) x', a drawn from Beta(`mixup`, `mixup`). CutMix (Yun et al. 2019): a
    box of x' is put into x at a place drawn uniformly, its sides sqrt(1 - a) of the image's, a drawn from
    Beta(`cutmix`, `cutmix`); a is then 1 - the share of the image that the box covers. The loss is a L(z, t) + (1 - a)
    L(z, t'), which for cross-entropy is that of the soft labels a t + (1 - a) t', smoothed or not; what is correct
    counts in the same way. Where both are given, a batch is cut with probability `mixup_switch_prob`; with probability
    1 - `mixup_prob` it is left as it is. As timm's Mixup(mode="batch"). 0 is off. What is drawn comes from the step's
    key, the same on every backend.
    """

    mixup: float = option(0.0, "Mixup: blend pairs of examples in a proportion drawn from Beta(A, A).", later=True)
    cutmix: float = option(0.0, "CutMix: paste a box of another image, its area drawn from Beta(A, A).", later=True)
    mixup_prob: float = option(1.0, "Probability that a batch is mixed (mixup, cutmix).", later=True)
    mixup_switch_prob: float = option(0.5, "Probability of CutMix, not Mixup, where both are on.", later=True)

    @property
    def on(self) -> bool:
        """Whether anything is mixed."""
        return bool(self.mixup or self.cutmix)

    def problems(self) -> list[str]:
        """One sentence for each value out of range, or that means nothing."""
        found = []
        for name in ("mixup", "cutmix"):
            if (alpha := getattr(self, name)) and not LEAST <= alpha <= LARGEST:
                found.append(f"`{name}` wants 0 or a number from {LEAST:g} to {LARGEST:g}, got {alpha}")
        for name in ("mixup_prob", "mixup_switch_prob"):
            if not 0 <= getattr(self, name) <= 1:
                found.append(f"`{name}` wants a probability from 0 to 1, got {getattr(self, name)}")
        if self.mixup_prob != 1 and not self.on:
            found.append("`mixup_prob` belongs to `mixup` and `cutmix`, got neither; leave it out, or give one of them")
        if self.mixup_switch_prob != 0.5 and not (self.mixup and self.cutmix):
            found.append("`mixup_switch_prob` chooses between `mixup` and `cutmix`, got not both; leave it out")
        return found

    def misfits(self, x: TensorType, out: TensorType, batch: int) -> Iterator[str]:
        """Yield one sentence for each reason why `batch` examples x of a net with that output cannot be mixed."""
        if not self.on:
            return
        named = " and ".join(f"`{name}`" for name in ("mixup", "cutmix") if getattr(self, name))
        if x.dtype != "f32":
            yield f"{named} wants examples of numbers, got token ids {batched(x.shape)}; leave it out"
        elif self.cutmix and x.rank != 3:
            yield f"`cutmix` wants images [batch, height, width, channels], got {batched(x.shape)}; leave it out"
        if self.cutmix and out.rank != 1:
            yield f"`cutmix` wants one label for each image, got an output of {batched(out.shape)}; leave it out"
        if batch < 2:
            yield f"{named} wants batches of at least 2 examples, got {batch}; make it larger"
