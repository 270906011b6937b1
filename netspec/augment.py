"""Augment: what a training image goes through before it is normalised. Each field is an option of `netc train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netc.netspec.errors import UserError
from netc.netspec.policies import parse_policy
from netc.netspec.vocabulary import option

RATIO = (3 / 4, 4 / 3)
JITTERS = ("brightness", "contrast", "saturation", "hue")


@dataclass(frozen=True)
class Augment:
    """What a training image goes through; runtime/data/augment.py has a row for each field. False, 0 or "" is off.

    `rrc_scale` (LOW, HIGH): a window of so many parts of the image's area, with a side ratio (width / height) of
    `rrc_ratio`, is cut out of the image as stored and resized (Szegedy et al. 2015). `crop`: the image is padded by so
    many black pixels on each side and a window of the old size is cut out at a place drawn uniformly. `flip`: left and
    right are exchanged with probability one half; `vflip`: top and bottom. `auto_augment`: a policy of
    netspec/policies.py. `color_jitter`: how far brightness, contrast and saturation go from 1 at most, and the hue from
    0, in turns (at most 1/2); one number is for the first three. `grayscale` and `blur` are probabilities; the blur is
    Gaussian, its radius drawn from 0.1 to 2 pixels. `train_size`: training images are brought to this height, their
    width in proportion, and those of the test to the net's input, which is another then (Touvron et al. 2019).

    Numbers may be given as a text: "0.08,1". Raises UserError for values out of range.
    """

    crop: int = option(0, "Random crop with this many pixels of padding.")
    flip: bool = option(False, "Random horizontal flip.")
    vflip: bool = option(False, "Random vertical flip.", later=True)
    rrc_scale: tuple[float, ...] = option(
        (), "Random resized crop of LOW[,HIGH] of the image's area: 0.08,1.", later=True
    )
    rrc_ratio: tuple[float, ...] = option(RATIO, "Random resized crop: width / height, LOW,HIGH.", later=True)
    auto_augment: str = option(
        "", "Policy: rand-m9-mstd0.5-inc1, imagenet, cifar10, svhn, trivial, augmix or 3a.", later=True
    )
    color_jitter: tuple[float, ...] = option(
        (), "Colour jitter: one number, or BRIGHTNESS,CONTRAST,SATURATION[,HUE].", later=True
    )
    grayscale: float = option(0.0, "Probability of turning an image grey.", later=True)
    blur: float = option(0.0, "Probability of a Gaussian blur.", later=True)
    train_size: int = option(
        0, "Train on images of this height, with proportional width; test at the net's input size.", later=True
    )

    def __post_init__(self) -> None:
        for name in ("rrc_scale", "rrc_ratio", "color_jitter"):
            given = numbers(name, getattr(self, name))
            off = RATIO if name == "rrc_ratio" else ()
            object.__setattr__(self, name, off if given == (0.0,) else given)  # 0 is off
        if problems := [*self._problems()]:
            raise UserError("; ".join(problems))
        object.__setattr__(self, "auto_augment", str(parse_policy(self.auto_augment) or ""))

    def _problems(self) -> Any:
        if self.crop < 0:
            yield f"`crop` wants 0 or more pixels of padding, got {self.crop}; 0 turns it off"
        low, high = self.rrc_area
        if self.rrc_scale and not (len(self.rrc_scale) <= 2 and 0 < low <= high <= 1):
            yield (
                f"`rrc_scale` wants LOW[,HIGH], parts of the area with 0 < LOW <= HIGH <= 1, got "
                f"{shown(self.rrc_scale)}; 0.08,1 is common"
            )
        if len(self.rrc_ratio) != 2 or not 0 < self.rrc_ratio[0] <= self.rrc_ratio[1] < float("inf"):
            yield f"`rrc_ratio` wants LOW,HIGH with 0 < LOW <= HIGH, got {shown(self.rrc_ratio)}; 0.75,1.3333 is common"
        if self.rrc_ratio != RATIO and not self.rrc_scale:
            yield "`rrc_ratio` belongs to `rrc_scale`, got no `rrc_scale`; give it too: 0.08,1"
        if self.crop and self.rrc_scale:
            yield "`crop` and `rrc_scale` both cut a window, got both; leave one out"
        if type(self.train_size) is not int or self.train_size < 0:
            yield f"`train_size` wants 0 or more pixels, got {self.train_size!r}; 0 is the net's input"
        yield from self._color_problems()

    def _color_problems(self) -> Any:
        jitter = self.color_jitter
        if jitter and (len(jitter) not in (1, 3, 4) or not all(0 <= n < float("inf") for n in jitter)):
            yield (
                f"`color_jitter` wants one number of at least 0, or three or four for {', '.join(JITTERS)}, got "
                f"{shown(jitter)}; 0.4 is common"
            )
        elif len(jitter) == 4 and jitter[3] > 0.5:
            yield f"`color_jitter` wants a hue of at most 0.5 turns, got {jitter[3]:g}; 0.1 is common"
        for name in ("grayscale", "blur"):
            if not 0 <= (chance := getattr(self, name)) <= 1:
                yield f"`{name}` wants a probability from 0 to 1, got {chance:g}; 0.1 is common"

    @property
    def rrc_area(self) -> tuple[float, float]:
        """The least and the largest part of the area of a random resized crop."""
        low, *high = self.rrc_scale or (1.0,)
        return low, high[0] if high else 1.0

    @property
    def jitter(self) -> tuple[float, float, float, float]:
        """How far brightness, contrast, saturation and hue go."""
        given = self.color_jitter or (0.0,)
        three = given * 3 if len(given) == 1 else given[:3]
        return (three[0], three[1], three[2], given[3] if len(given) == 4 else 0.0)


def numbers(name: str, given: Any) -> tuple[float, ...]:
    """Numbers from a text, `0.08,1`, from one number or from several. Raises UserError."""
    parts: Sequence[Any] = given.split(",") if isinstance(given, str) else given
    if isinstance(given, int | float) or not hasattr(parts, "__iter__"):
        parts = (given,)
    try:
        return tuple(float(part) for part in parts if not isinstance(part, str) or part.strip())
    except (TypeError, ValueError) as error:
        raise UserError(f"`{name}` wants numbers with commas between them, got {given!r}; write 0.08,1") from error


def shown(values: Sequence[float]) -> str:
    """`0.08,1`."""
    return ",".join(f"{value:g}" for value in values) or "nothing"
