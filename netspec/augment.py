"""Augment: what a training image goes through before it is normalised. Each field is an option of `netc train`."""

from __future__ import annotations

from dataclasses import dataclass

from netc.netspec.errors import UserError
from netc.netspec.vocabulary import option


@dataclass(frozen=True)
class Augment:
    """What a training image goes through; runtime/data/augment.py has a row for each field. False or 0 is off.

    `crop`: the image is padded by so many black pixels on each side and a window of the old size is cut out
    at a place drawn uniformly. `flip`: left and right are exchanged with probability one half.
    """

    crop: int = option(0, "Random crop with this many pixels of padding.")
    flip: bool = option(False, "Random horizontal flip.")

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise UserError(f"the crop's padding wants 0 or more pixels, got {self.crop}; 0 turns it off")
