"""Examples that a net takes as they are: arrays in memory, or batches from anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.runtime.data.errors import DataError

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]
Source = Callable[[int], Iterable[Pair]]

VOID = 255  # the class id of pixels that are of no class, as in Pascal VOC and Cityscapes


@dataclass(frozen=True, eq=False)
class Examples:
    """`x` float32 or int32 [N, ..], fed to the net as it is, and its targets `y` int32 or float32 [N, ..].

    With `standardise` x is float32 [N, F], and the net gets each column less its mean, over its standard deviation.
    """

    x: Array
    y: Array
    standardise: bool = False

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise DataError(f"`x` and `y` want the same number of examples, got {len(self.x)} and {len(self.y)}")

    @property
    def labels(self) -> Array:
        """The targets."""
        return self.y

    @property
    def shape(self) -> tuple[int, ...]:
        """One example's shape."""
        return self.x.shape[1:]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: npt.NDArray[np.int64]) -> Pair:
        """The examples at `indices` [n]: x and y."""
        return self.x[indices], self.y[indices]

    def part(self, indices: npt.NDArray[np.int64]) -> Examples:
        """The examples at `indices` [n] alone."""
        return replace(self, x=self.x[indices], y=self.y[indices])


@dataclass(frozen=True, eq=False)
class Batches:
    """An epoch is `steps` batches (x, y) of `source(epoch)`, all of the shapes and types of `first`.

    `once`: of a generator, which gives each epoch one time. `classes`: class ids are below it; 0 is no bound.
    """

    source: Source
    steps: int
    first: Pair
    once: bool = False
    classes: int = 0

    @property
    def labels(self) -> Array:
        """The targets of the first batch."""
        return self.first[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """One example's shape."""
        return self.first[0].shape[1:]

    def want_first(self) -> None:
        """Raise DataError for a generator of which an epoch is gone."""
        if isinstance(self.source, _Stream):
            self.source.want(0)

    @property
    def batch(self) -> int:
        """Examples in a batch."""
        return len(self.first[0])

    def __len__(self) -> int:
        return self.steps * self.batch

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Pair]:
        """The batches of an epoch from step `start` on; raises DataError for too few, or for one of another form."""
        given = 0
        for given, pair in enumerate(islice(self.source(epoch), self.steps), 1):  # read after the loop
            if given > start:
                yield self._fitting(as_pair(pair))
        if given < self.steps:
            raise DataError(f"an epoch wants {self.steps} batches, got {given}; give `steps={given}`")

    def _fitting(self, pair: Pair) -> Pair:
        for name, want, got in zip("xy", self.first, pair, strict=True):
            if got.shape != want.shape or got.dtype != want.dtype:
                raise DataError(
                    f"batches want one form, `{name}` {want.dtype} {list(want.shape)} as the first has it, got "
                    f"{got.dtype} {list(got.shape)}; leave a smaller last one out"
                )
        if self.classes:
            refuse_ids(pair[1], self.classes)
        return pair


def batches_of(given: Source | Iterable[Pair], steps: int | None) -> Batches:
    """Batches from a function of the epoch, from a collection that can be read again, or from a generator.

    A function or a generator wants `steps`, the number of batches in an epoch; a generator is read on from epoch to
    epoch. Raises DataError.
    """
    if steps is None:
        if callable(given) or not isinstance(given, Sized):
            raise DataError("batches of a function or a generator want `steps`, the number in an epoch, got none")
        steps = len(given)
    if steps < 1:
        raise DataError(f"`steps` wants 1 or more batches in an epoch, got {steps}")
    if callable(given):
        source, probe = given, iter(given(0))
    elif isinstance(given, Iterator):
        probe = given
    else:
        source, probe = lambda epoch: given, iter(given)
    head = next(probe, None)
    if head is None:
        raise DataError("batches want at least one, got none")
    first = as_pair(head)
    if isinstance(given, Iterator):
        return Batches(_Stream(chain([head], given)), steps, first, once=True)
    return Batches(source, steps, first)


class _Stream:
    """The epochs of a generator, which are given in their order, and each one time."""

    def __init__(self, unread: Iterator[Pair]) -> None:
        self.unread, self.next = unread, 0

    def __call__(self, epoch: int) -> Iterator[Pair]:
        self.want(epoch)
        self.next += 1
        return self.unread

    def want(self, epoch: int) -> None:
        """Raise DataError unless this is the next epoch."""
        if epoch != self.next:
            raise DataError(
                f"a generator can only be read forward, from epoch {self.next}, got epoch {epoch}; "
                "make a new dataset from a new generator, or give a function of the epoch"
            )


def as_pair(given: Any) -> Pair:
    """A batch as two arrays, in types that a program takes; raises DataError."""
    try:
        x, y = given
    except (TypeError, ValueError) as error:
        raise DataError(f"a batch wants a pair (x, y), got {type(given).__name__}") from error
    if (images := np.asarray(x)).dtype == np.uint8:
        raise DataError(
            f"batches want `x` of float32, or of int32 for token ids, got uint8 {list(images.shape)}; convert it, or "
            "give all images by from_arrays(x, y), which takes uint8"
        )
    return as_input(x), as_target(y)


def as_input(given: Any) -> Array:
    """What a net takes: float32, or int32 for token ids."""
    array = np.asarray(given)
    if array.dtype == np.uint8:
        raise DataError(
            f"uint8 wants images [N, H, W] or [N, H, W, 1 or 3], got {list(array.shape)}; convert it to "
            "float32, or to int32 for token ids"
        )
    return _converted(array, "x")


def ids_of(y: Array, classes: int) -> Array:
    """The class ids of targets; where each pixel or token has one, without `VOID`, unless that is a class."""
    return y[y != VOID] if y.ndim > 1 and classes <= VOID and y.size and y.max() == VOID else y


def refuse_ids(y: Array, classes: int) -> None:
    """Raise DataError for class ids that a net of so many classes does not have; floats are none."""
    y = ids_of(y, classes)
    if y.dtype == np.int32 and y.size and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise DataError(
            f"`y` wants class ids from 0 to {classes - 1}, for the {classes} classes of the net or data, got {y.min()} "
            f"to {y.max()}; give a net with more outputs (`classes`), or other ids"
        )


def as_target(given: Any) -> Array:
    """What a loss takes: int32 for class ids, float32 for numbers."""
    return _converted(np.asarray(given), "y")


def _converted(array: Array, name: str) -> Array:
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        raise DataError(f"`{name}` wants numbers [N, ..], got {array.dtype} {list(array.shape)}")
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, np.float32)
    if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
        raise DataError(f"`{name}` wants whole numbers of 32 bits, got {array.min()} to {array.max()}")
    return np.ascontiguousarray(array, np.int32)


def digest_of(classes: tuple[str, ...], *pairs: Pair) -> str:
    """The SHA-256 (hex) of class names and of the types, shapes and bytes of arrays."""
    sha = hashlib.sha256(json.dumps(["netc arrays", 1, classes]).encode())
    for array in chain.from_iterable(pairs):
        sha.update(json.dumps([array.dtype.str, array.shape]).encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
