"""Shards: tar files of images with their targets beside them, in the layout of webdataset.

The members of an example follow each other and share their name up to its first dot: `0001.jpg`, `0001.cls`. The target
is `.cls` (a class id, or a number), `.label` or `.class` (a word), or a field of `.json`; without any it is the folder
that the image lies in. All headers are read once, and every image for its digest; then images are read from their
places in the shards, in any order, so that no more is in memory than a batch takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from netc.runtime.data.dataset import Dataset
from netc.runtime.data.encoded_images import Listed, Place, encoded_images
from netc.runtime.data.errors import DataError, refuse
from netc.runtime.data.layout import ENDINGS, TEST_FOLDERS, TRAIN_FOLDERS
from netc.runtime.data.table import TARGETS
from netc.runtime.data.tar_index import Member, members
from netc.runtime.files import opened

LARGEST = 1 << 44  # bytes of a shard
LONGEST_TARGET = 1 << 20  # bytes of a member that holds a target
MOST_SHARDS = 100_000
WORDS = ("cls", "label", "class", "target")
"""Endings of members that are a target as they are."""

OPTIONS = {"label": "the ending of the member with the target, or the field of its .json"}

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class TarReader:
    """Reads members of shards: a place is the shard's number, the offset and the bytes."""

    shards: tuple[Path, ...]
    blocks: bool = False

    def read(self, place: Place) -> bytes:
        """Return the bytes of a member; raises DataError."""
        shard, offset, size = place
        try:
            with opened(self.shards[shard], LARGEST) as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise DataError(f"{self.shards[shard]}: cannot be read ({error.strerror}); check the path") from error


def load_shards(
    path: Path, name: str, options: Mapping[str, str], *, whole: bool = False, floats: bool = False, skip: bool = False
) -> Dataset:
    """Return the images in the tar files at `path`: a file, a folder of them, or names with {000..123} in them.

    `options` are those of `OPTIONS`; the rest is as `encoded_images` says. With `skip` shards that are cut short give
    what they have.
    """
    shards = _shards(path, name)
    examples, problems = list[Listed](), list[str]()
    for number, shard in enumerate(shards):
        try:
            examples.extend(_examples(shard, number, options.get("label", "")))
        except DataError as error:
            problems += error.problems
    if not skip:
        refuse(name, problems)
    return encoded_images(
        examples, shards, TarReader(tuple(shards)), name, path, damage=problems, whole=whole, floats=floats, skip=skip
    )


def _shards(path: Path, name: str) -> list[Path]:
    """The tar files that are meant, sorted; raises DataError where there are none."""
    if path.is_dir():
        found = sorted(file for file in path.glob("*.tar") if not file.name.startswith("."))
        if not found:
            packed = sorted(file.name for file in path.glob("*.tar.*"))
            got = f"{packed[0]} and such, which are packed; unpack them" if packed else "none; check the path"
            raise DataError(f"{name}: wants .tar files in {path}, got {got}")
        return found
    if (braces := _BRACES.search(path.name)) is not None:
        first, last = int(braces[1]), int(braces[2])
        if not first <= last < first + MOST_SHARDS:
            raise DataError(f"{name}: wants increasing numbers in the braces, got {braces[0]}; fix them")
        names = (f"{n:0{len(braces[1])}d}" for n in range(first, last + 1))
        found = [path.with_name(path.name.replace(braces[0], number, 1)) for number in names]
    else:
        found = [path]
    if missing := [file for file in found if not file.is_file()]:
        got = "no file but a device or a pipe" if missing[0].exists() else "no such file"
        raise DataError(f"{name}: wants a tar file, got {missing[0]}: {got}; check the path")
    return found


def _examples(shard: Path, number: int, label: str) -> Iterator[Listed]:
    """The images of a shard with what their targets are written as; raises DataError with all that lack one."""
    problems = list[str]()
    try:
        with opened(shard, LARGEST) as file:
            for key, group in _grouped(members(shard, file)):
                images = [member for end, member in group.items() if f".{end.rpartition('.')[2]}" in ENDINGS]
                if len(images) != 1:
                    problems.append(f"{shard}/{key}: wants one image, got {len(images)} among {', '.join(group)}")
                    continue
                target = _target(file, key, group, label)
                if target is None:
                    wanted = f".{label}, or {label} in .json" if label else "a .cls, or a label in .json, or a folder"
                    problems.append(f"{shard}/{key}: wants {wanted} for its target, got {', '.join(group)}; add it")
                else:
                    yield Listed(f"{shard.name}/{images[0].name}", (number, images[0].offset, images[0].size), target)
    except OSError as error:
        raise DataError(
            f"{shard}: wants a tar that can be read, got {error.strerror}; check its permissions"
        ) from error
    refuse(str(shard), problems)


def _grouped(found: Iterator[Member]) -> Iterator[tuple[str, dict[str, Member]]]:
    """Members that follow each other and share their path up to the first dot of its last part, by what follows it."""
    key, group = "", dict[str, Member]()
    for member in found:
        folder, slash, name = member.name.rpartition("/")
        stem, dot, ending = name.partition(".")
        if not dot or not stem:  # hidden, or without an ending
            continue
        if (own := f"{folder}{slash}{stem}") != key or ending.lower() in group:
            if group:
                yield key, group
            key, group = own, {}
        group[ending.lower()] = member
    if group:
        yield key, group


def _target(file: IO[bytes], key: str, group: Mapping[str, Member], label: str) -> str | None:
    for word in (label.lower(),) if label else WORDS:
        if word in group:
            return _content(file, group[word]).decode("utf-8", "replace").strip()
    if "json" in group:
        try:
            held = json.loads(_content(file, group["json"]))
        except (ValueError, RecursionError):
            return None
        fields = {str(name).casefold(): value for name, value in held.items()} if isinstance(held, dict) else {}
        for word in (label.casefold(),) if label else ("cls", *TARGETS):
            if isinstance(fields.get(word), str | int | float):
                return str(fields[word]).strip()
    folder = key.rpartition("/")[0].rpartition("/")[2]
    return None if label or folder in ("", ".", *TRAIN_FOLDERS, *TEST_FOLDERS) else folder


def _content(file: IO[bytes], member: Member) -> bytes:
    file.seek(member.offset)
    return file.read(min(member.size, LONGEST_TARGET))
