"""Policies of automatic augmentation: the words of `auto_augment`, with the numbers that each takes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, ClassVar

from netc.netspec.errors import UserError
from netc.netspec.vocabulary import Vocabulary

NONE = "none"  # the word for no policy
LEVELS = 10.0  # magnitudes go from 0 to this
UNIFORM = 100.0  # a deviation above this means a magnitude drawn uniformly


@dataclass(frozen=True)
class Policy:
    """A policy; `keys` are the numbers that a text may give: rand-m9 is RandAugment of magnitude 9."""

    word: ClassVar[str]
    keys: ClassVar[tuple[str, ...]] = ()

    def problems(self) -> list[str]:
        """A sentence for each number out of range."""
        return []

    def __str__(self) -> str:
        plain = {f.name: f.default for f in fields(self)}
        parts = [f"{key}{digits(getattr(self, key))}" for key in self.keys if getattr(self, key) != plain[key]]
        return "-".join([self.word, *parts])


def digits(number: float) -> str:
    """The shortest decimal without an exponent that is read as this number; `inf` for infinity."""
    if isinstance(number, int) or not math.isfinite(number):
        return str(number)
    text = format(Decimal(repr(number)), "f")
    return text.removesuffix(".0")


POLICIES: Vocabulary[type[Policy]] = Vocabulary("auto_augment")


@dataclass(frozen=True)
class Rand(Policy):
    """RandAugment (Cubuk et al. 2019) as timm has it: `n` operations, each done with probability `p`.

    `m` is the magnitude, on a scale of 10, `mstd` the deviation of the normal distribution that it is drawn from (above
    100 it is uniform from 0 to m); what is drawn is cut at 0 and `mmax`. `inc`: all operations do more at a higher
    magnitude. `color`: only brightness, contrast, saturation, automatic contrast, and nothing.
    """

    word = "rand"
    keys = ("m", "n", "p", "mstd", "mmax", "inc", "color")
    m: float = 10.0
    n: int = 2
    p: float = 0.5
    mstd: float = 0.0
    mmax: float = LEVELS
    inc: int = 0
    color: int = 0

    def problems(self) -> list[str]:
        """A sentence for each number out of range."""
        found = [f"n wants 1 or more operations, got {self.n}"] if self.n < 1 else []
        found += [f"p wants a probability from 0 to 1, got {self.p:g}"] if not 0 <= self.p <= 1 else []
        switches = (("inc", self.inc), ("color", self.color))
        found += [f"{key} wants 0 or 1, got {value}" for key, value in switches if value not in (0, 1)]
        return found + (
            [] if 0 < self.mmax <= 30 else [f"mmax wants a magnitude above 0, at most 30, got {self.mmax:g}"]
        )


@dataclass(frozen=True)
class ImageNet(Policy):
    """AutoAugment's policy for ImageNet (Cubuk et al. 2018)."""

    word = "imagenet"


@dataclass(frozen=True)
class Cifar10(Policy):
    """AutoAugment's policy for CIFAR-10."""

    word = "cifar10"


@dataclass(frozen=True)
class Svhn(Policy):
    """AutoAugment's policy for SVHN."""

    word = "svhn"


@dataclass(frozen=True)
class Trivial(Policy):
    """TrivialAugment in its wide version (Müller and Hutter 2021): one operation of a uniform magnitude."""

    word = "trivial"


@dataclass(frozen=True)
class ThreeAugment(Policy):
    """3-Augment of DeiT III (Touvron et al. 2022): one of solarizing, grey and blur."""

    word = "3a"


@dataclass(frozen=True)
class AugMix(Policy):
    """AugMix (Hendrycks et al. 2019): `w` chains of `d` operations (0: one to three), mixed with the image.

    `m` is the severity, 1 to 10.
    """

    word = "augmix"
    keys = ("m", "w", "d")
    m: int = 3
    w: int = 3
    d: int = 0

    def problems(self) -> list[str]:
        """A sentence for each number out of range."""
        found = [] if 1 <= self.m <= LEVELS else [f"m wants a severity from 1 to 10, got {self.m}"]
        found += [] if 1 <= self.w <= 10 else [f"w wants 1 to 10 chains, got {self.w}"]
        return found + ([] if 0 <= self.d <= 10 else [f"d wants a depth from 0 (drawn) to 10, got {self.d}"])


for _row in (Rand, ImageNet, Cifar10, Svhn, Trivial, AugMix, ThreeAugment):
    POLICIES.add(_row.word, _row)

POLICIES.hint("rand", "randaugment", "randaug")


def parse_policy(text: Any) -> Policy | None:
    """The policy that a text says, `rand-m9-mstd0.5-inc1`; None for an empty one, and for `none`. Raises UserError."""
    if not isinstance(text, str):
        raise UserError(f"`auto_augment` wants a policy's name, got {text!r}; 'rand-m9-mstd0.5-inc1' is one")
    if text in ("", NONE):
        return None
    word, *sections = text.split("-")
    row = POLICIES.find(word, "`auto_augment`")
    given = dict(_section(text, section, row) for section in sections)
    made = row(**given)
    if problems := made.problems():
        raise UserError(f"`auto_augment` {text}: {'; '.join(problems)}")
    return made


def _section(text: str, section: str, row: type[Policy]) -> tuple[str, float | int]:
    found = re.fullmatch(r"([a-z]+?)(\d+(?:\.\d+)?|inf)?", section)
    key, number = found.groups() if found else (section, None)
    if key not in row.keys or (number is None and key != "color"):
        wanted = ", ".join(f"{known}NUMBER" for known in row.keys) or "nothing after it"
        raise UserError(f"`auto_augment` {text}: {row.word} wants {wanted}, got {section!r}; rand-m9-n2 is an example")
    whole = isinstance(next(f.default for f in fields(row) if f.name == key), int)
    value = float(number or 1)
    if whole and not value.is_integer():
        raise UserError(f"`auto_augment` {text}: {key} wants a whole number, got {number}")
    return key, int(value) if whole else value
