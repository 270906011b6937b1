"""What becomes of damaged images: they are refused, or, in a `SkippingSplit`, passed over and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from netc.netspec.counting import counted
from netc.runtime.data.augment import Images
from netc.runtime.data.dataset import Dataset, of_images
from netc.runtime.data.errors import DataError, refuse
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.split import Indices, OverSplit, Split

T = TypeVar("T")

SHOWN = 5  # sentences in a note
IN_A_ROW = 1000  # damaged images, after which the data is refused all the same


@dataclass(frozen=True, eq=False)
class SkippingSplit(OverSplit):
    """`base`, whose damaged images are to be passed over; `skipped` has a sentence for each that was met, and
    whether it was told."""

    skipped: dict[str, bool] = field(default_factory=dict)

    def part(self, indices: Indices) -> SkippingSplit:
        """Return the split of the images at `indices` [n] alone; what is skipped is noted in one place."""
        return SkippingSplit(self.base.part(indices), self.skipped)


def untold(data: Dataset) -> str:
    """What is to be said of the damaged images that were met since the last call; "" of none."""
    notes, left = list[str](), list[str]()
    for name, split in (("training", data.train), ("test", data.test)):
        skipped = skipped_of(split) or {}
        if new := [sentence for sentence, told in skipped.copy().items() if not told]:
            notes += new
            skipped.update(dict.fromkeys(new, True))
            left.append(f"{len(split) - len(skipped):,} of {len(split):,} {name} images")
    return f"{skipped_note(notes)}; {' and '.join(left)} are left" if notes else ""


def skipped_note(sentences: Sequence[str]) -> str:
    """What is said of the damaged images that were met."""
    some = f"{counted(len(sentences), 'damaged image')}"
    more = f"; and {len(sentences) - SHOWN:,} more" if len(sentences) > SHOWN else ""
    return f"skipped {some}: {'; '.join(s.partition('; ')[0] for s in sentences[:SHOWN])}{more}"


def skipping(data: Dataset) -> Dataset:
    """The data set, whose damaged images are to be passed over, if it is one of images."""
    if not (of_images(data.train) and of_images(data.test)):
        return data
    return replace(data, train=_skipping(data.train), test=_skipping(data.test))


def _skipping(split: Split) -> Split:
    return replace(split, base=SkippingSplit(split.base)) if isinstance(split, MaskedSplit) else SkippingSplit(split)


def plain(split: Any) -> Any:
    """The split's images, without the word that damaged ones are skipped."""
    images = split.base if isinstance(split, MaskedSplit) else split
    return images.base if isinstance(images, SkippingSplit) else images


def skipped_of(split: Any) -> dict[str, bool] | None:
    """Where the damaged images of a split are noted; None where they are refused."""
    while split is not None:
        if isinstance(split, SkippingSplit):
            return split.skipped
        split = getattr(split, "base", None)
    return None


def _note(skipped: dict[str, bool], error: DataError) -> None:
    for sentence in error.problems:
        skipped.setdefault(sentence, False)


def readable(split: Split, indices: Indices) -> tuple[Images, npt.NDArray[np.bool_]]:
    """The images at `indices` [n], uint8 [n, H, W, C], and which of them are whole; a damaged one is black.

    Raises `DataError` with all that are damaged unless these are skipped.
    """
    skipped = skipped_of(split)
    try:
        return split.images(indices), np.ones(len(indices), np.bool_)
    except DataError:
        if skipped is None:
            raise
    out, whole = np.zeros((len(indices), *split.shape), np.uint8), np.zeros(len(indices), np.bool_)
    for place, index in enumerate(indices):
        try:
            out[place] = split.images(np.array([index]))[0]
            whole[place] = True
        except DataError as error:
            _note(skipped, error)
    return out, whole


def in_turn(split: Split, get: Callable[[int], T], order: Indices, place: int) -> tuple[int, T]:
    """`get` of the index at `place` of an epoch's order, or of the next one that is whole, and that index.

    So it depends on the epoch and the place alone. Raises `DataError` unless damaged images are skipped.
    """
    skipped = skipped_of(split)
    for ahead in range(min(len(order), IN_A_ROW)):
        index = int(order[(place + ahead) % len(order)])
        try:
            return index, get(index)
        except DataError as error:
            if skipped is None:
                raise
            _note(skipped, error)
    many = f"{min(len(order), IN_A_ROW):,}"
    raise DataError(
        f"the training data wants an intact image among {many} in a row, got only damaged ones; repair them"
    )


def images_in_turn(split: Split, order: Indices, start: int, stop: int) -> tuple[Images, Indices]:
    """The images from `start` to before `stop` of an epoch's order, and their indices; see `in_turn`."""
    chosen = order[start:stop].copy()
    pixels, whole = readable(split, chosen)
    for at in np.flatnonzero(~whole).tolist():
        chosen[at], pixels[at] = in_turn(split, lambda i: split.images(np.array([i]))[0], order, start + at)
    return pixels, chosen


def pictures_in_turn(split: Split, order: Indices, start: int, stop: int) -> Iterator[tuple[int, Image.Image]]:
    """The images from `start` to before `stop` of an epoch's order, each with its index, in their own sizes.

    One at a time, since they may be large. Raises `DataError` with all that are damaged, unless they are skipped.
    """
    problems: list[str] = []
    for place in range(start, stop):
        try:
            found = in_turn(split, split.picture, order, place)
        except DataError as error:
            if skipped_of(split) is not None:
                raise
            problems += error.problems
            continue
        if not problems:
            yield found
    refuse("the training data", problems)
