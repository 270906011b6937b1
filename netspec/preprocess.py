"""Preprocess: how every image, of the training and of the test, is brought to what the net takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from netc.netspec.augment import numbers, shown
from netc.netspec.errors import UserError
from netc.netspec.vocabulary import option

INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest", "box", "hamming")
DAMAGED = ("refuse", "skip")
NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "none": ((0.0,), (1.0,)),
}
"""Word -> mean and standard deviation of pixel / 255 for each channel; one number is for all channels."""
OF_DATA = "dataset"


@dataclass(frozen=True)
class Preprocess:
    """How an image is brought to the net's input size H x W, and its pixels to numbers.

    `crop_pct` 0: it is stretched to H x W. Else it is resized, its sides in proportion, so that H / crop_pct x W /
    crop_pct fits in, and the middle is cut out, as torchvision and timm test; a training image that is cut at random
    (`rrc_scale`) is not. `interpolation` is Pillow's, which antialiases where an image shrinks. `normalise` names the
    mean and deviation that pixels are normalised by: those of the training images (`dataset`), or a row of
    NORMALISATIONS; `mean` and `std` state them, of pixel / 255, for each channel or for all.
    `on_damaged`: a damaged image is refused, or skipped, and counted: in training the next one of the epoch's order
    takes its place, in a test it does not count.
    """

    crop_pct: float = option(
        0.0, "For testing, resize to the size / this and crop the centre; 0 stretches.", later=True
    )
    interpolation: str = option("bilinear", "Interpolation for resizing images.", later=True)
    normalise: str = option(
        OF_DATA, f"Normalise by the mean and std of: {', '.join((OF_DATA, *NORMALISATIONS))}.", later=True
    )
    mean: tuple[float, ...] = option((), "Mean of pixel / 255, one number per channel.", later=True)
    std: tuple[float, ...] = option((), "Standard deviation of pixel / 255, one number per channel.", later=True)
    on_damaged: str = option("refuse", "What to do about a damaged image: refuse the data, or skip it.", later=True)

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, numbers(name, getattr(self, name)))
        if problems := [*self._problems()]:
            raise UserError("; ".join(problems))

    def _problems(self) -> Iterator[str]:
        if not 0 <= self.crop_pct <= 1:
            yield f"`crop_pct` wants a fraction from 0 to 1, got {self.crop_pct:g}; 0.875 is common, 0 stretches"
        for name, words in (
            ("interpolation", INTERPOLATIONS),
            ("normalise", (OF_DATA, *NORMALISATIONS)),
            ("on_damaged", DAMAGED),
        ):
            if getattr(self, name) not in words:
                yield f"`{name}` wants one of {', '.join(words)}, got {getattr(self, name)!r}"
        if bool(self.mean) != bool(self.std):
            yield f"`mean` and `std` go together, got {'mean' if self.mean else 'std'} alone; give both"
        elif self.mean and self.normalise != OF_DATA:
            yield f"`mean` and `std` state what `normalise` names, got also `normalise={self.normalise}`; leave one out"
        if not all(map(math.isfinite, self.mean)) or not all(0 < value < math.inf for value in self.std):
            yield f"`mean` and `std` want numbers, `std` above 0, got {shown(self.mean)} and {shown(self.std)}"

    @property
    def skips(self) -> bool:
        """Whether damaged images are skipped."""
        return self.on_damaged == "skip"

    def statistics(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation of each channel, where they are stated; raises UserError for another number."""
        mean, std = (self.mean, self.std) if self.mean else NORMALISATIONS.get(self.normalise, ((), ()))
        if not mean:
            return None
        if channels == 1 and not self.mean and len(mean) == 3:  # a word's colours, of a grey image
            mean, std = (sum(mean) / 3,), (sum(std) / 3,)
        if {len(mean), len(std)} - {1, channels}:
            raise UserError(
                f"`mean` and `std` want {channels} numbers, one for each channel, or one, got {shown(mean)} and "
                f"{shown(std)}"
            )
        return tuple((mean * channels)[:channels]), tuple((std * channels)[:channels])


def resizing(preprocess: Preprocess) -> dict[str, float | str]:
    """How images are brought to the net's size, for other programs: plain JSON."""
    return {"crop_pct": preprocess.crop_pct, "interpolation": preprocess.interpolation}


PLAIN = Preprocess()
"""Images are stretched, bilinearly, and normalised by the data's own statistics."""
