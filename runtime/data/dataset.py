"""What a dataset is: two splits of uint8 images with int32 labels, or of text, and where they came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from netc.runtime.data.errors import DataError
from netc.runtime.data.windows import TextSplit

Images = npt.NDArray[np.uint8]
"""uint8 [N, H, W, C], 0 to 255, C = 1 (grey) or 3 (RGB)."""

Labels = npt.NDArray[np.int32]
"""int32 [N], indices into `Dataset.classes`."""

Indices = npt.NDArray[np.int64]
"""int64 [n], positions in a split."""

CHANNELS = (1, 3)


class Split(Protocol):
    """Images with labels; an image may be read only when it is asked for."""

    @property
    def labels(self) -> Labels:
        """The labels, int32 [N]."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (H, W, C)."""

    def __len__(self) -> int: ...

    def images(self, indices: Indices) -> Images:
        """Return a fresh array of the images at `indices` [n]: uint8 [n, H, W, C]."""


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


@dataclass(frozen=True)
class Augment:
    """What a training image goes through before it is normalised.

    `crop`: the image is padded by so many black pixels on each side and a window of the old size is cut out
    at a place drawn uniformly. `flip`: left and right are exchanged with probability one half.
    """

    crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise DataError(f"the crop's padding wants 0 or more pixels, got {self.crop}; 0 turns it off")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data to train and to test on.

    `digest` is the SHA-256 (hex) of class names, shapes and bytes of both splits as stored; an image
    folder's is over relative paths and file bytes, a text's over the file's bytes. `native` is (H, W, C) as
    stored, of a text its (length,). Both stay what they are in a resized dataset, whose own image size is
    `train.shape`. `augment` is a sensible default for this data. `notes` are sentences for whoever uses it.
    `train_digest` is the digest of the training part, or empty where the two parts are not stored apart.

    Raises `DataError` for a label outside the classes and for splits of different image shapes.
    """

    name: str
    train: Split | TextSplit
    test: Split | TextSplit
    classes: tuple[str, ...]
    digest: str
    source: str
    licence: str
    augment: Augment
    native: tuple[int, ...]
    notes: tuple[str, ...] = ()
    train_digest: str = ""

    def __post_init__(self) -> None:
        if self.train.shape != self.test.shape:
            raise DataError(
                f"{self.name}: both splits want one image shape, got {self.train.shape} for training and "
                f"{self.test.shape} for test; check that the files belong together"
            )
        for role, split in (("training", self.train), ("test", self.test)):
            if len(split) == 0:
                raise DataError(f"{self.name}: the {role} split wants at least one image, got none; add some")
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"{self.name}: {role} labels want 0 to {len(self.classes) - 1}, got {low} to {high}; "
                    "the label file is damaged or belongs to other data"
                )


def array_digest(classes: tuple[str, ...], train: ArraySplit, test: ArraySplit) -> str:
    """Return the SHA-256 (hex) over class names, shapes and bytes; it does not depend on the file format."""
    sha = hashlib.sha256(json.dumps(["netc images", 1, classes]).encode())
    for role, split in (("train", train), ("test", test)):
        sha.update(json.dumps([role, split.pixels.shape]).encode())
        sha.update(np.ascontiguousarray(split.pixels).data)
        sha.update(np.ascontiguousarray(split.labels, dtype="<i4").data)
    return sha.hexdigest()
