"""Images that lie in larger files, tar shards or Parquet: listed and surveyed once, read from their places later."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from netc.netspec.augment import Augment
from netc.runtime.data.damaged import skipped_note
from netc.runtime.data.dataset import Columns, Dataset
from netc.runtime.data.errors import DataError, refuse
from netc.runtime.data.folder import EVERY, FolderSplit
from netc.runtime.data.image_file import Encoded, survey
from netc.runtime.data.kept import keep
from netc.runtime.data.shared import shared_notes
from netc.runtime.data.split import Indices
from netc.runtime.data.table import numbered_words, part_of_name, refuse_numbers

Place = tuple[int, int, int]


class Reader(Protocol):
    """Reads an image's bytes from its place."""

    @property
    def blocks(self) -> bool:
        """Whether neighbours in a file are read together, and better used so."""

    def read(self, place: Place) -> bytes:
        """Return the bytes; raises DataError. Safe from several threads."""


class Listed(NamedTuple):
    """An image as it was met: what messages call it, its place (a file's number first), and its target as written."""

    name: str
    place: Place
    target: str


@dataclass(frozen=True, eq=False)
class EncodedSplit(FolderSplit):
    """Images of `reader`: `files` are what messages call them, `places` int64 [N, 3] where they lie."""

    reader: Reader | None = None
    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 3), np.int64))

    @property
    def blocks(self) -> npt.NDArray[np.int64] | None:
        """Where stretches of neighbours begin, and the end: int64 [stretches + 1]; None where any order is as good."""
        if self.reader is None or not self.reader.blocks:
            return None
        new = (self.places[1:, :2] != self.places[:-1, :2]).any(axis=1)
        return np.concatenate([[0], np.flatnonzero(new) + 1, [len(self.places)]])

    def source(self, index: int) -> Encoded:
        """The bytes of an image, read from its place; raises `DataError` where they cannot be read any more."""
        assert self.reader is not None  # a split without one has no images
        first, second, third = self.places[index].tolist()
        return Encoded(self.files[index], self.reader.read((first, second, third)))

    def part(self, indices: Indices) -> EncodedSplit:
        """Return the split of the images at `indices` [n] alone."""
        files = tuple(self.files[i] for i in indices.tolist())
        return replace(self, files=files, labels=self.labels[indices], places=self.places[indices])


def encoded_images(
    examples: Sequence[Listed], files: Sequence[Path], reader: Reader, name: str, path: Path, *,
    classes: tuple[str, ...] | None = None, damage: Sequence[str] = (), whole: bool = False, floats: bool = False,
    skip: bool = False,
) -> Dataset:  # fmt: skip
    """Return the images as a data set: its parts are the files with train, and val or test, as words of their names.

    Without such names every fifth image is test, or, with `whole`, all are both. Targets are numbers with `floats`,
    else classes: places in `classes`, where these are known. `damage` are sentences about files that could not be read
    at all. With `skip` damaged images are left out with a note. Raises `DataError` with everything that is wrong.
    """
    parts = [part_of_name(file) for file in files] if len(files) > 1 else [None]
    given = {part for part in parts if part is not None}
    if given and (None in parts or 0 not in given or len(given) < 2):
        raise DataError(
            f"{name}: wants files of the training part and of the test part, got "
            f"{', '.join(file.name for file in files[:20])}; put train, or val or test, into the name of each"
        )
    held = min((part for part in given if part), default=None)
    roles = [
        parts[e.place[0]] if given else 0 if index % EVERY != EVERY - 1 else held for index, e in enumerate(examples)
    ]
    chosen = [[i for i, part in enumerate(roles) if part == wanted] for wanted in (0, held)]
    seen = _Seen(name, examples, reader, list(damage), skip=skip)
    train, test = (seen.part(role, places) for role, places in zip(("train", "test"), chosen, strict=True))
    undivided = whole and not given
    for role, which in (("training", train), ("test", test)):
        if not which and not undivided:
            raise DataError(f"{name}: wants images of the {role} part, got none; add some")
    kept = sorted((*train, *test))
    words, labels = _targets([examples[i].target for i in kept], name, classes, floats=floats)
    pool = seen.split(kept, labels)
    where = {place: index for index, place in enumerate(kept)}
    ours = [np.array([where[i] for i in which], np.int64) for which in (train, test)]
    notes = [] if given or whole else [f"every {EVERY}th image of {path} is held out for the test"]
    notes += [skipped_note(tuple(seen.damage))] if seen.damage else []
    notes += shared_notes(*seen.files, whole=whole)
    first, second = (pool, pool) if undivided else (pool.part(ours[0]), pool.part(ours[1]))
    return Dataset(
        name, keep(first), keep(second), words or (), seen.digests[1], f"images in {path}", "its owner's", Augment(),
        pool.shape, tuple(notes), seen.digests[0], Columns() if words is not None else Columns((), ("target",)),
    )  # fmt: skip


class _Seen:
    """The images that are whole, with the digests so far and the shapes, in the order of the parts."""

    def __init__(self, name: str, examples: Sequence[Listed], reader: Reader, damage: list[str], *, skip: bool) -> None:
        self.name, self.examples, self.reader, self.damage, self.skip = name, examples, reader, damage, skip
        self.sha, self.digests = hashlib.sha256(b"netc encoded images 1"), list[str]()
        self.shapes: Counter[tuple[int, int, int]] = Counter()
        self.files = list[list[str]]()  # the digests of a part's images

    def part(self, role: str, places: Sequence[int]) -> list[int]:
        """The places of a part's whole images."""
        kept, problems, files = list[int](), list[str](), list[str]()
        for place in places:
            example = self.examples[place]
            try:
                digest, shape = survey(Encoded(example.name, self.reader.read(example.place)))
            except DataError as error:
                problems += error.problems
                continue
            kept.append(place)
            files.append(digest)
            self.shapes[shape] += 1
            said = f"\0{role}\0{example.name}\0{example.target}\0{digest}"
            self.sha.update(said.encode("utf-8", "surrogateescape"))
        if not self.skip:
            refuse(self.name, problems)
        self.damage += problems
        self.digests.append(self.sha.hexdigest())
        self.files.append(files)
        return kept

    def split(self, kept: Sequence[int], labels: npt.NDArray[np.int32]) -> EncodedSplit:
        """The images at these places."""
        if not self.shapes:
            raise DataError(f"{self.name}: wants at least one intact image, got none; repair the files")
        (height, width, _), _ = self.shapes.most_common(1)[0]
        shape = height, width, max(channels for _, _, channels in self.shapes)
        chosen = [self.examples[place] for place in kept]
        places = np.array([example.place for example in chosen], np.int64)
        return EncodedSplit(
            Path(self.name), tuple(e.name for e in chosen), labels, shape, reader=self.reader, places=places
        )


def _targets(
    found: Sequence[str], name: str, classes: tuple[str, ...] | None, *, floats: bool
) -> tuple[tuple[str, ...] | None, npt.NDArray[np.int32]]:
    """The classes and int32 [N], numbers of them, or None and float32 [N, 1]."""
    if floats:
        try:
            numbers = np.array([float(word) for word in found], np.float32)[:, None]
        except ValueError as error:
            raise DataError(f"{name}: wants numbers to learn, got a target that is not a number ({error})") from error
        if not np.isfinite(numbers).all():
            raise DataError(f"{name}: wants finite numbers to learn, got NaN or infinity; fix the targets")
        return None, numbers  # type: ignore[return-value]  # Labels of a regression
    codes: dict[str, int] = {}
    labels = np.array([codes.setdefault(word, len(codes)) for word in found], np.int32)
    if classes is not None:
        known = {str(number): number for number in range(len(classes))}
        if unknown := [word for word in codes if word not in known]:
            raise DataError(
                f"{name}: wants labels from 0 to {len(classes) - 1}, for the file's {len(classes)} classes, got "
                f"{', '.join(unknown[:20])}; fix them, or leave these images out"
            )
        return classes, np.array([known[word] for word in codes], np.int32)[labels]
    refuse_numbers([*codes], "the targets", name)
    return numbered_words([*codes], labels)
