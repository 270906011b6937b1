"""What a dataset is: two splits, of images, of text or of arrays as a net takes them, and where they came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypeGuard

import numpy as np
from PIL import Image

from netc.netspec.augment import Augment
from netc.runtime.data.augment import Images
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import (
    VOID,
    Array,
    Batches,
    Examples,
    Pair,
    Source,
    as_input,
    as_target,
    batches_of,
    digest_of,
    ids_of,
    refuse_ids,
)
from netc.runtime.data.masked import IDS, MaskedSplit
from netc.runtime.data.split import Indices, Labels, Split
from netc.runtime.data.stretches import bounds
from netc.runtime.data.tokenizer import Tokenizer
from netc.runtime.data.windows import TextSplit

CHANNELS = (1, 3)
OWN = "arrays:"  # what the name of a dataset begins with that a Python program made of its own
TENTH = 10  # of how many examples one is for the test, where no test part is given


@dataclass(frozen=True, eq=False)
class ArraySplit:
    """A split that is held in memory: `pixels` uint8 [N, H, W, C], `labels` int32 [N].

    Raises `DataError` when the shapes, the types or the counts do not fit.
    """

    pixels: Images
    labels: Labels

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.dtype != np.uint8 or self.pixels.shape[3] not in CHANNELS:
            raise DataError(
                f"images want uint8 [N, H, W, 1 or 3], got {self.pixels.dtype} {list(self.pixels.shape)}; "
                "convert them first"
            )
        if self.labels.dtype != np.int32 or self.labels.shape != self.pixels.shape[:1]:
            raise DataError(
                f"labels want int32 [{len(self.pixels)}], one for each image, got {self.labels.dtype} "
                f"{list(self.labels.shape)}; check that both files belong together"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (H, W, C)."""
        _, height, width, channels = self.pixels.shape
        return height, width, channels

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, indices: Indices) -> Images:
        """Return a copy of the images at `indices` [n]: uint8 [n, H, W, C]."""
        return self.pixels[indices]

    def part(self, indices: Indices) -> ArraySplit:
        """Return the split of the images at `indices` [n] alone."""
        return ArraySplit(self.pixels[indices], self.labels[indices])

    def picture(self, index: int) -> Image.Image:
        """Return one image."""
        return picture_of(self.pixels[index])


def picture_of(pixels: Images) -> Image.Image:
    """Pixels uint8 [H, W, C] as Pillow's image."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns: those that a net takes, in their order, and those that it learns."""

    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


AnySplit = Split | TextSplit | Examples | Batches


def of_images(split: AnySplit) -> TypeGuard[Split]:
    """Whether a split is one of images, which are resized, augmented and normalised on their way."""
    return not isinstance(split, TextSplit | Examples | Batches)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data to train and to test on.

    `digest` is the SHA-256 (hex) of class names, shapes and bytes of both splits as stored; an image
    folder's is over relative paths and file bytes, a text's over the file's bytes. `native` is (H, W, C) as
    stored, of a text its (length,). Both stay what they are in a resized dataset, whose own image size is
    `train.shape`. `augment` is a sensible default for this data. `notes` are sentences for whoever uses it.
    `train_digest` is the digest of the training part, or empty where the two parts are not stored apart. `columns` are
    those of a table, `sizes` the smallest and the largest size of images that have several, `apart` whether the
    two parts are resized to two sizes. `tokenizer` made the tokens of a text, where it is known.

    Raises `DataError` for a label outside the classes and for splits of different image shapes.
    """

    name: str
    train: AnySplit
    test: AnySplit
    classes: tuple[str, ...]
    digest: str
    source: str
    licence: str
    augment: Augment
    native: tuple[int, ...]
    notes: tuple[str, ...] = ()
    train_digest: str = ""
    columns: Columns = Columns()
    sizes: str = ""
    apart: bool = False
    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        if self.train.shape != self.test.shape and not self.apart:
            raise DataError(
                f"{self.name}: both splits want one image shape, got {self.train.shape} for training and "
                f"{self.test.shape} for test; check that the files belong together"
            )
        for role, split in (("training", self.train), ("test", self.test)):
            if len(split) == 0:
                raise DataError(f"{self.name}: the {role} split wants at least one image, got none; add some")
            if isinstance(split, TextSplit) and split.vocabulary:
                continue  # its windows look at their own
            if not (isinstance(split, MaskedSplit | TextSplit) or split.labels.dtype == np.int32):
                continue
            if not self.classes and self.name.startswith(OWN):
                continue  # the net says which ids there are: see `numbered`
            low, high = _bounds(split, len(self.classes))
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"{self.name}: {role} labels want 0 to {len(self.classes) - 1}, got {low} to {high}; "
                    "the label file is damaged or belongs to other data"
                )

    def arrays(self, part: Literal["train", "test"] = "train") -> Pair:
        """The examples of a part and their targets, all in memory; images are uint8 [N, H, W, C], before augmentation.

        Raises DataError for batches, which nobody holds.
        """
        split = self.train if part == "train" else self.test
        every: Indices = np.arange(len(split), dtype=np.int64)
        if isinstance(split, TextSplit):
            return split.windows(every)
        if isinstance(split, Examples):
            return split.take(every)
        if isinstance(split, Batches):
            raise DataError(f"{self.name} is made batch by batch and never held as arrays; use its `test`")
        return split.images(every), split.labels

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        x_test: Any = None,
        y_test: Any = None,
        *,
        classes: Sequence[str] | None = None,
        name: str = "mine",
        augment: Augment | None = None,
    ) -> Self:
        """Your own arrays: x [N, ..] with targets y [N, ..], and the same for the test.

        x of uint8 [N, H, W] or [N, H, W, 1 or 3] are images: resized to the net's input, normalised, and augmented if
        `augment` says so. Other x go to the net as they are, as float32, or as int32 where they are whole numbers
        (token ids). y are class ids, for which `classes` may give names, or floats for a loss of floats. A net gets as
        many outputs as there are names; without names it keeps its own. Without a test part every tenth example is held
        out. Raises DataError for arrays that do not fit together.
        """
        if (x_test is None) != (y_test is None):
            raise DataError("`x_test` and `y_test` go together, got one; give the other too, or neither")
        pairs = [_pair(x, y)] if x_test is None else [_pair(x, y), _pair(x_test, y_test)]
        for array, target in pairs:
            if not len(array) == len(target) > 0:
                raise DataError(
                    f"`x` and `y` want the same number of examples, got {len(array)} and {len(target)}; give one "
                    "target for each example"
                )
        if len(pairs) == 1:
            held = np.arange(len(pairs[0][0])) % TENTH == TENTH - 1
            if not held.any():
                raise DataError(f"`x` wants {TENTH} examples or more to hold some out, got {len(held)}; give `x_test`")
            pairs = [(a[~held], b[~held]) for a, b in pairs] + [(a[held], b[held]) for a, b in pairs]
        named, names = _names(classes, *(target for _, target in pairs))
        train, test = (_split(*pair, augment) for pair in pairs)
        first = pairs[0]
        return cls(
            OWN + name, train, test, named, digest_of(names, *pairs), "arrays of a Python program", "your own",
            augment or Augment(), first[0].shape[1:], train_digest=digest_of(names, first),
        )  # fmt: skip

    @classmethod
    def from_batches(
        cls,
        batches: Source | Iterable[Pair],
        x_test: Any,
        y_test: Any,
        *,
        steps: int | None = None,
        classes: Sequence[str] | None = None,
        name: str = "batches",
    ) -> Self:
        """Your own batches (x, y) to train on, of one size, and arrays to test on; all go to the net as they are.

        `batches` is a list or a loader that can be read again and has a length, a function that takes the number of an
        epoch and gives its batches, or a generator, which is read on from epoch to epoch; the last two want `steps`,
        the batches in an epoch. A net keeps its own classes unless `classes` names others. The digest is over the first
        batch and the test, so a run goes on with the same source alone; a run on a generator cannot go on. Raises
        DataError.
        """
        train, test = batches_of(batches, steps), Examples(as_input(x_test), as_target(y_test))
        named, names = _names(classes, train.labels, test.y)
        train = replace(train, classes=len(named))
        own = digest_of(names, train.first)
        return cls(
            OWN + name, train, test, named, digest_of(names, train.first, (test.x, test.y)), "a Python program",
            "your own", Augment(), train.shape, train_digest=own,
        )  # fmt: skip


def _pair(x: Any, y: Any) -> Pair:
    pixels = np.asarray(x)
    if pixels.dtype == np.uint8 and pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    images = pixels.dtype == np.uint8 and pixels.ndim == 4 and pixels.shape[3] in CHANNELS
    return pixels if images else as_input(pixels), as_target(y)


def _split(x: Array, y: Array, augment: Augment | None) -> AnySplit:
    if x.dtype == np.uint8:
        return of_arrays(x, y) if y.dtype == np.int32 and y.ndim == 3 else ArraySplit(x, y)
    if augment is not None:
        raise DataError(f"`augment` wants images, uint8 [N, H, W, 1 or 3], got {x.dtype} {list(x.shape)}; leave it out")
    return Examples(x, y)


def of_arrays(pixels: Images, masks: Labels) -> MaskedSplit:
    """Images uint8 [N, H, W, C] with masks int32 [N, H, W] in memory; raises `DataError` where they do not fit."""
    if masks.shape != pixels.shape[:3]:
        raise DataError(
            f"`y` wants a class for each image or for each pixel, int32 [N] or {list(pixels.shape[:3])}, got "
            f"{list(masks.shape)}; bring the masks to the size of their images"
        )
    if masks.size and not 0 <= int(masks.min()) <= int(masks.max()) < IDS:
        raise DataError(
            f"`y` wants class ids from 0 to {VOID - 1} for each pixel, and {VOID} for no class, got {masks.min()} to "
            f"{masks.max()}; number the classes from 0"
        )
    nothing, small = np.zeros(len(pixels), np.int32), masks.astype(np.uint8)
    counts = np.stack([np.bincount(mask.ravel(), minlength=IDS) for mask in small])
    return MaskedSplit(ArraySplit(pixels, nothing), ArraySplit(small[..., np.newaxis], nothing), counts)


def _bounds(split: AnySplit, classes: int) -> tuple[int, int]:
    """The smallest and the largest class id of a split; (0, 0) without any."""
    if isinstance(split, TextSplit):
        return bounds(split.tokens)
    ids = _ids(split, classes)
    return (int(ids.min()), int(ids.max())) if ids.size else (0, 0)


def _ids(split: AnySplit, classes: int) -> Array:
    """The class ids of a split, of masks each one once."""
    if isinstance(split, MaskedSplit):
        return np.flatnonzero(split.of_each()[:VOID]).astype(np.int32)
    return ids_of(split.labels, classes)


def numbered(data: Dataset, outputs: int) -> Dataset:
    """Own data whose classes have no names, with the numbers of a net's outputs as names; raises DataError for others.

    Other data is as it was.
    """
    if data.classes or not data.name.startswith(OWN):
        return data
    train, test = data.train, data.test
    if not isinstance(train, MaskedSplit) and train.labels.dtype != np.int32:
        return data
    for split in (train, test):
        refuse_ids(_ids(split, outputs), outputs)
    if isinstance(train, Batches):
        train = replace(train, classes=outputs)
    return replace(data, train=train, classes=tuple(map(str, range(outputs))))


def highest_of(data: Dataset) -> int:
    """How many class ids own arrays have, one for each example or pixel of it, from 0 on; 0 of any other data."""
    if isinstance(data.train, MaskedSplit):
        return max(int(_ids(split, 0).max(initial=-1)) for split in (data.train, data.test)) + 1
    if isinstance(data.train, Batches | TextSplit) or not data.name.startswith(OWN):
        return 0
    targets = (data.train.labels, data.test.labels)
    if any(y.dtype != np.int32 or y.ndim != 1 for y in targets):
        return 0
    return max(int(y.max(initial=0)) for y in targets) + 1


def _names(classes: Sequence[str] | None, *targets: Array) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the classes, and those that the digest is over: numbers where none are given.

    Targets that are no class ids have none.
    """
    if any(target.dtype != np.int32 for target in targets):
        if classes:
            raise DataError("`classes` wants class ids in `y`, got floats; leave it out")
        return (), ()
    if classes is not None:
        return tuple(classes), tuple(classes)
    return (), tuple(map(str, range(max(int(target.max()) for target in targets) + 1)))


def array_digest(classes: tuple[str, ...], train: ArraySplit, test: ArraySplit) -> str:
    """Return the SHA-256 (hex) over class names, shapes and bytes; it does not depend on the file format."""
    sha = hashlib.sha256(json.dumps(["netc images", 1, classes]).encode())
    for role, split in (("train", train), ("test", test)):
        sha.update(json.dumps([role, split.pixels.shape]).encode())
        sha.update(np.ascontiguousarray(split.pixels).data)
        sha.update(np.ascontiguousarray(split.labels, dtype="<i4").data)
    return sha.hexdigest()
