"""Test data whose classes are numbered as a trained net numbers them: by their names, not by their places.

Two folders number their classes in the order of their names, and two texts their characters in the order of their code
points: where one has a class more, all behind it have another number.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from netc.runtime.data.augment import Images
from netc.runtime.data.dataset import AnySplit, Columns, Dataset, of_images
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import VOID, Examples, ids_of
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.split import Indices, Labels, Split
from netc.runtime.data.stretches import counts_of
from netc.runtime.data.windows import TextSplit

SHOWN = 20  # names in a sentence

Numbers = npt.NDArray[np.int32]
"""int32 [classes of the data]: the number that the net has for each, -1 where it has none."""


@dataclass(frozen=True, eq=False)
class ChosenSplit:
    """The images of `base` at `places` int64 [N], with `labels` int32 [N] of their own."""

    base: Split
    places: Indices
    labels: Labels

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (H, W, C)."""
        return self.base.shape

    def __len__(self) -> int:
        return len(self.places)

    def images(self, indices: Indices) -> Images:
        """Return the images at `indices` [n]: uint8 [n, H, W, C]."""
        return self.base.images(self.places[indices])

    def part(self, indices: Indices) -> ChosenSplit:
        """Return the split of the images at `indices` [n] alone."""
        return ChosenSplit(self.base, self.places[indices], self.labels[indices])

    def picture(self, index: int) -> Image.Image:
        """Return one image in its own size."""
        return self.base.picture(int(self.places[index]))


@dataclass(frozen=True)
class Named:
    """The test split in a net's numbers.

    `missing` are classes of the net without a test image (of text: characters that do not occur); `left_out` counts
    the images or characters of classes that the net does not know. `notes` are sentences about both.
    """

    test: AnySplit
    missing: tuple[str, ...] = ()
    left_out: int = 0
    notes: tuple[str, ...] = ()


def by_name(data: Dataset, classes: Sequence[str], *, skip_unknown: bool = False) -> Named:
    """Return the test split of `data` as a net numbers it that was trained on `classes`; names are compared as text.

    (So a name that is spelled with combining characters is the one that is not: Unicode's normal form C.) Raises
    `DataError` for a class of the test split that the net does not know, unless `skip_unknown` leaves it out.
    """
    known = {_normal(name): number for number, name in reversed([*enumerate(classes)])}
    numbers: Numbers = np.array([known.get(_normal(name), -1) for name in data.classes], np.int32)
    if isinstance(data.test, MaskedSplit):
        return _masks_by_name(data, data.test, numbers, classes, skip_unknown=skip_unknown)
    if isinstance(data.test, TextSplit) and data.classes == tuple(classes):
        counts = counts_of(data.test.tokens, len(classes))
        missing = tuple(name for name, count in zip(classes, counts.tolist(), strict=True) if not count)
        return Named(data.test, missing, 0, tuple(_notes(data, missing, len(classes), [], 0)))
    held = data.test.labels
    ids = ids_of(held, len(data.classes))
    counts = np.bincount(ids.ravel(), minlength=len(data.classes))
    unknown = [name for name, number, count in zip(data.classes, numbers, counts, strict=True) if count and number < 0]
    _refuse_twins(data, classes)
    void = held == VOID if ids is not held else np.zeros((), np.bool_)  # pixels of no class stay so
    labels = np.where(void, np.int32(VOID), numbers[np.where(void, 0, held)])
    known_all = (labels >= 0).reshape(len(labels), -1).all(axis=1)
    left_out = int((~known_all).sum())
    if unknown and (not skip_unknown or left_out == len(labels)):
        raise DataError(_unknown(data, unknown, classes, nothing_else=left_out == len(labels)))
    seen = set(np.unique(labels).tolist())
    missing = tuple(name for number, name in enumerate(classes) if number not in seen)
    notes = tuple(_notes(data, missing, len(classes), unknown, left_out))
    if isinstance(data.test, TextSplit):
        return Named(TextSplit(labels[labels >= 0], data.test.context), missing, left_out, notes)
    places = np.flatnonzero(known_all)
    if isinstance(data.test, Examples):
        return Named(replace(data.test, x=data.test.x[places], y=labels[places]), missing, left_out, notes)
    if not of_images(data.test):
        raise DataError(f"an evaluation wants arrays, got the batches of {data.name}; give `x_test` and `y_test`")
    return Named(ChosenSplit(data.test, places, labels[places]), missing, left_out, notes)


def _masks_by_name(
    data: Dataset, test: MaskedSplit, numbers: Numbers, classes: Sequence[str], *, skip_unknown: bool
) -> Named:
    """Images with masks; those with pixels of a class that the net does not know count as images of such a class."""
    _refuse_twins(data, classes)
    strange = np.flatnonzero(numbers < 0)
    known_all = (test.counts[:, strange] == 0).all(axis=1)
    unknown = [data.classes[i] for i in strange.tolist() if test.counts[:, i].any()]
    left_out = int((~known_all).sum())
    if unknown and (not skip_unknown or left_out == len(test)):
        raise DataError(_unknown(data, unknown, classes, nothing_else=left_out == len(test)))
    part = test.part(np.flatnonzero(known_all)).renumbered(np.where(numbers < 0, VOID, numbers).astype(np.int32))
    seen = part.of_each()
    missing = tuple(name for number, name in enumerate(classes) if not seen[number])
    return Named(part, missing, left_out, tuple(_notes(data, missing, len(classes), unknown, left_out)))


def with_columns(data: Dataset, columns: Columns) -> Dataset:
    """Return a table with its test part's columns in the order in which a net takes them; raises DataError without one.

    Columns that the net does not take are left out; other data is as it was.
    """
    test = data.test
    if not columns.inputs or not data.columns.inputs or not isinstance(test, Examples):
        return data
    if absent := [name for name in columns.inputs if name not in data.columns.inputs]:
        raise DataError(
            f"{data.name}: wants the columns that the net was trained on, got none of the name {listed(absent)}; it "
            f"has {listed(data.columns.inputs)}"
        )
    places = [data.columns.inputs.index(name) for name in columns.inputs]
    part = replace(test, x=np.ascontiguousarray(test.x[:, places]))
    return replace(data, train=part, test=part, columns=columns)


def by_number(data: Dataset, outputs: int) -> Named:
    """Return the test split of `data` with its own numbers; raises `DataError` unless each output has a class."""
    if len(data.classes) != outputs:
        raise DataError(
            f"{data.name} wants {outputs} classes to be compared by their numbers, got {len(data.classes)}; give data "
            "with the classes of the net, or the net the names of its classes (`class_names` of netc import)"
        )
    return Named(data.test, notes=("classes were compared by their numbers, in the order of the data's names",))


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def listed(names: Sequence[str], *, text: bool = False) -> str:
    """The names in a sentence; characters of a text, which may be hard to see, as Python spells them."""
    shown = [repr(name) if text else name for name in names[:SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _refuse_twins(data: Dataset, classes: Sequence[str]) -> None:
    """Raise where a class of the data has the name of two of the net."""
    normal = [_normal(name) for name in classes]
    if len(set(normal)) == len(normal):
        return
    if twins := [name for name in data.classes if normal.count(_normal(name)) > 1]:
        raise DataError(
            f"{data.name}: wants classes that the net has once, got {listed(twins)}, which name several of its "
            f"{len(classes)} classes; import the weights with other `class_names`, or give `by_number=True`"
        )


def _unknown(data: Dataset, unknown: Sequence[str], classes: Sequence[str], *, nothing_else: bool) -> str:
    if isinstance(data.test, TextSplit):
        return (
            f"{data.name} has characters that the net does not know: {listed(unknown, text=True)}; "
            "leave them out with `skip_unknown=True`"
        )
    folded = {_normal(name).casefold(): name for name in classes}
    near = [f"{near} for {n}" for n in unknown if (near := folded.get(_normal(n).casefold()))]
    advice = (
        "give `by_number=True` to compare them by number" if nothing_else else "leave them out with `skip_unknown=True`"
    )
    hint = f" (is it {listed(near)}?)" if near else ""
    return (
        f"{data.name} has test images of classes that the net does not know: {listed(unknown)}{hint}; it knows "
        f"{listed(classes)}; rename them as the net knows them, or {advice}"
    )


def _notes(data: Dataset, missing: Sequence[str], known: int, unknown: Sequence[str], left_out: int) -> Iterator[str]:
    text = isinstance(data.test, TextSplit)
    if missing and text:
        yield f"{len(missing)} of the {known} characters that the net knows do not occur in {data.name}"
    elif missing:
        few = f"{len(missing)} of the net's {known} classes"
        yield f"{data.name} has no test images of {listed(missing)}: {few}"
    if left_out:
        some = "s" * (left_out != 1)
        what = f"character{some}" if text else f"image{some} of classes"
        yield f"left out: {left_out:,} {what} that the net does not know: {listed(unknown, text=text)}"
