"""Test images that the training part holds too, by the SHA-256 of their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netc.runtime.data.dataset import AnySplit, Dataset
from netc.runtime.data.folder import FolderSplit
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.split import OverSplit

SHOWN = 3  # pairs of names
WARNING = "warning: "


def with_copies_noted(data: Dataset) -> Dataset:
    """The data with a note of the test images that stand in the training part too, in the place of an earlier one."""
    where = dict(_contents(data.train))
    pairs = [f"{name} is {where[digest]}" for digest, name in _contents(data.test) if digest in where]
    notes = tuple(note for note in data.notes if not note.startswith(WARNING))
    if not pairs:
        return data if notes == data.notes else replace(data, notes=notes)
    are, more = "is" if len(pairs) == 1 else "are", ", .." if len(pairs) > SHOWN else ""
    said = (
        f"{WARNING}{len(pairs):,} of {len(data.test):,} test images {are} byte for byte in the training part too "
        f"({', '.join(pairs[:SHOWN])}{more}), so that the test says more than is true; take them out of one part"
    )
    return replace(data, notes=(*notes, said))


def _contents(split: AnySplit) -> Iterator[tuple[str, str]]:
    """The digest and the name of each image of files."""
    while isinstance(split, OverSplit | MaskedSplit):
        split = split.base
    return zip(split.contents, split.files, strict=False) if isinstance(split, FolderSplit) else iter(())
