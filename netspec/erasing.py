"""Random erasing: a rectangle of each training image is blotted out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netc.netspec.types import TensorType, batched
from netc.netspec.vocabulary import option

LEAST_AREA, LARGEST_AREA = 0.02, 1 / 3  # of the image
LEAST_ASPECT = 0.3  # of height to width, and the largest is 1 / 0.3


@dataclass(frozen=True)
class Erasing:
    """Whether and how a rectangle of a training image is erased. Each image draws its own.

    With probability `random_erasing` a rectangle becomes 0, the mean of the normalised data, or with `erasing_pixels`
    noise of mean 0 and deviation 1. Its area is drawn uniformly between 0.02 and 1/3 of the image's, its aspect
    uniformly in the logarithm between 0.3 and 1/0.3, and its place uniformly. A rectangle that does not fit is drawn
    again, at most ten times. Source: Zhong et al. 2020, algorithm 1, with timm's numbers (modes const and pixel).
    """

    random_erasing: float = option(0.0, "Probability that a rectangle of an image is erased.", later=True)
    erasing_pixels: bool = option(False, "Fill with noise instead of the mean (random erasing).", later=True)

    def problems(self) -> list[str]:
        """One sentence for each value out of range, or that means nothing."""
        found = []
        if not 0 <= self.random_erasing <= 1:
            found.append(f"`random_erasing` wants a probability from 0 to 1, got {self.random_erasing}")
        if self.erasing_pixels and not self.random_erasing:
            found.append("`erasing_pixels` belongs to `random_erasing`, got none; leave it out, or give a probability")
        return found

    def misfits(self, x: TensorType) -> Iterator[str]:
        """Yield one sentence for each reason why such examples have no rectangles to erase."""
        if self.random_erasing and (x.rank != 3 or x.dtype != "f32"):
            what = f"token ids {batched(x.shape)}" if x.dtype != "f32" else batched(x.shape)
            yield f"`random_erasing` wants images [batch, height, width, channels], got {what}; leave it out"
