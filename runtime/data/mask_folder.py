"""A folder for segmentation: images/ and masks/, whose files go by pairs; found, checked and hashed at once.

The parts lie in DIR/train/images and DIR/val/images, or in DIR/images/train and DIR/images/val; without parts every
fifth image in the order of relative paths is test, as in folder.py. Masks are read whole at the start, since only their
pixels say which ids there are.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from netc.netspec.augment import Augment
from netc.netspec.errors import reason
from netc.runtime.data.augment import Images
from netc.runtime.data.damaged import skipped_note
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError, refuse
from netc.runtime.data.examples import VOID
from netc.runtime.data.folder import EVERY, FolderSplit, no_folder
from netc.runtime.data.frame import Fit, fitted
from netc.runtime.data.image_file import survey
from netc.runtime.data.kept import keep
from netc.runtime.data.layout import TEST_FOLDERS, TRAIN_FOLDERS, Found
from netc.runtime.data.mask_file import NoMaskError, counted, read_mask, refuse_unknown
from netc.runtime.data.masked import IDS, Counts, MaskedSplit
from netc.runtime.data.shared import shared_notes
from netc.runtime.data.split import Indices
from netc.runtime.data.workers import MOST, in_order
from netc.runtime.files import read_regular

IMAGES, MASKS, NAMES = "images", "masks", "classes.txt"
NEAREST = Fit(0.0, "nearest")
LARGEST = 1 << 20  # bytes of classes.txt


@dataclass(frozen=True, eq=False)
class MaskFiles(FolderSplit):
    """Masks in files, as images of one channel whose pixels are ids."""

    fit: Fit = NEAREST

    def picture(self, index: int) -> Image.Image:
        """Return a mask in its own size; raises `DataError`."""
        return Image.fromarray(read_mask(self.root / self.files[index])[0])

    def images(self, indices: Indices) -> Images:
        """Return the masks at `indices` [n]: uint8 [n, H, W, 1]; raises `DataError` with all that are damaged."""
        height, width, _ = self.shape
        out, problems = np.empty((len(indices), height, width, 1), np.uint8), []
        for target, index in zip(out, indices.tolist(), strict=True):
            try:
                target[..., 0] = np.asarray(fitted(self.picture(index), height, width, self.fit))
            except DataError as error:
                problems.append(str(error))
        refuse(str(self.root), problems)
        return out


class _Pair(NamedTuple):
    """An image and its mask: paths below the folder, with / between the parts."""

    image: str
    mask: str


@dataclass
class _Seen:
    """What was found of one pair; `damage` are sentences about files that are not whole, `problems` about others."""

    digests: tuple[str, str] = ("", "")
    shape: tuple[int, int, int] = (0, 0, 0)
    counts: Counts = field(default_factory=lambda: np.zeros(IDS, np.int64))
    damage: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def load_masks(path: Path, name: str, *, whole: bool = False, skip_damaged: bool = False) -> Dataset:
    """Return the images of a folder with their masks; `whole` and `skip_damaged` are as for `load_folder`.

    The classes are the lines of classes.txt, or the numbers from 0 to the largest id. Raises `DataError` with every
    problem of the folder.
    """
    root = path.expanduser().resolve()
    if not root.is_dir():
        got = no_folder(root, "the folder that has both")
        raise DataError(f"{name}: wants a folder with {IMAGES}/ and {MASKS}/, got {path}, {got}")
    found = Found(root, follow=True)
    names = _names(root, found)
    roles = _roles(found, root)
    refuse(name, found.problems)
    pairs = {role: _pairs(found, root, *places) for role, places in roles.items()}
    look = partial(_look, root, len(names) if names else VOID)
    seen = {role: [*in_order(look, those, MOST)] for role, those in pairs.items()}
    damage: list[str] = []
    for role, each in seen.items():
        found.problems += [problem for one in each for problem in one.problems]
        hurt = [sentence for one in each for sentence in one.damage]
        damage += hurt
        if skip_damaged and hurt:
            pairs[role] = [pair for pair, one in zip(pairs[role], each, strict=True) if not one.damage]
            seen[role] = [one for one in each if not one.damage]
    found.problems += [] if skip_damaged else damage
    if not found.problems:
        for role, (images, _) in roles.items():
            if not pairs[role]:
                found.problems.append(f"{images}: wants at least one whole image with its mask, got none; add some")
    if not found.problems and not whole and len(roles) == 1 and len(pairs["train"]) < EVERY:
        found.problems.append(f"{path}: wants at least {EVERY} images, got {len(pairs['train'])}; add images")
    refuse(name, found.problems)
    notes = [*found.sentences(), *([skipped_note(damage)] if damage else [])]
    everything = [one for each in seen.values() for one in each]
    total = np.sum([one.counts for one in everything], axis=0)
    classes = names or _numbers(root, total, notes)
    digests = _digests(names, pairs, seen)
    shapes = Counter(one.shape for one in everything)
    (height, width, _), _ = shapes.most_common(1)[0]
    native = (height, width, max(channels for _, _, channels in shapes))
    parts = {role: _split(root, pairs[role], seen[role], native) for role in roles}
    if "test" in parts:
        notes += shared_notes(*([one.digests[0] for one in seen[role]] for role in ("train", "test")), whole=whole)
    train = parts["train"]
    test = parts.get("test", train)
    if len(roles) == 1 and not whole:
        held = np.arange(len(train)) % EVERY == EVERY - 1
        train, test = train.part(np.flatnonzero(~held)), train.part(np.flatnonzero(held))
        notes.append(f"every {EVERY}th image of {path} is held out for the test")
    return Dataset(
        name, train, test, classes, digests[-1], f"images with masks in {path}", "its owner's", Augment(), native,
        tuple(notes), digests[0] if len(roles) > 1 else "",
    )  # fmt: skip


def has_masks(path: Path) -> bool:
    """Whether a folder looks like one of images with masks."""
    return any(all((p / word).is_dir() for word in (IMAGES, MASKS)) for p in (path, *(path / t for t in TRAIN_FOLDERS)))


def _names(root: Path, found: Found) -> tuple[str, ...]:
    """The lines of classes.txt; none where there is no such file."""
    file = root / NAMES
    if not file.exists():
        return ()
    try:
        text = read_regular(file, LARGEST).decode("utf-8-sig")
    except (OSError, UnicodeError, ValueError) as error:
        found.problems.append(f"{file}: wants a name a line in UTF-8, got a file that cannot be read ({reason(error)})")
        return ()
    names = tuple(line.strip() for line in text.strip().splitlines())
    twice = sorted({n for n in names if names.count(n) > 1})
    if not 2 <= len(names) <= VOID or not all(names):
        got = "an empty line" if len(names) > 1 and not all(names) else f"{len(names)}"
        found.problems.append(f"{file}: wants 2 to {VOID} names, one a line, got {got}; the first line names id 0")
    elif twice:
        found.problems.append(f"{file}: wants each name once, got {', '.join(twice)} again; give each id its own")
    return names


def _roles(found: Found, root: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of images and of masks of each part: `train` alone where there are no parts."""
    folders = _folders(found, root)
    if IMAGES not in folders and _one(folders, TRAIN_FOLDERS):
        parts = _parts(found, root, folders)
        inner = {role: _folders(found, part) for role, part in parts.items()}
        _missing(found, {part: inner[role] for role, part in parts.items()})
        return {r: (held[IMAGES], held[MASKS]) for r, held in inner.items() if {IMAGES, MASKS} <= held.keys()}
    _missing(found, {root: folders})
    if not {IMAGES, MASKS} <= folders.keys():
        return {}
    images, masks = folders[IMAGES], folders[MASKS]
    below, beside = _folders(found, images), _folders(found, masks)
    if not (_one(below, TRAIN_FOLDERS) and _one(below, TEST_FOLDERS)):
        return {"train": (images, masks)}
    parts = _parts(found, images, below)
    for part in parts.values():
        if part.name.casefold() not in beside:
            found.problems.append(f"{masks}: wants a folder {part.name}/ as {images} has it, got none; add it")
    return {r: (part, beside[part.name.casefold()]) for r, part in parts.items() if part.name.casefold() in beside}


def _folders(found: Found, root: Path) -> dict[str, Path]:
    folders, _ = Found(found.root, follow=True).entries(root)
    return {folder.name.casefold(): folder for folder in folders}


def _one(folders: dict[str, Path], words: Sequence[str]) -> Path | None:
    return next((folders[word] for word in words if word in folders), None)


def _parts(found: Found, root: Path, folders: dict[str, Path]) -> dict[str, Path]:
    train, test = _one(folders, TRAIN_FOLDERS), _one(folders, TEST_FOLDERS)
    assert train is not None  # the caller looked
    if test is None:
        found.problems.append(
            f"{root}: wants val/ or test/ beside {train.name}/, got neither; add one, or give {train}"
        )
        return {"train": train}
    if others := [f.name for f in folders.values() if f not in (train, test)]:
        found.notes.append(f"beside {train.name}/ and {test.name}/ these were not read: {', '.join(others)}")
    return {"train": train, "test": test}


def _missing(found: Found, places: dict[Path, dict[str, Path]]) -> None:
    for place, folders in places.items():
        if absent := [f"{word}/" for word in (IMAGES, MASKS) if word not in folders]:
            got = ", ".join(f"{f.name}/" for f in folders.values()) or "no folder"
            found.problems.append(
                f"{place}: wants {IMAGES}/ and {MASKS}/, got {got}; add {' and '.join(absent)}, with files that have "
                "the same names"
            )


def _pairs(found: Found, root: Path, images: Path, masks: Path) -> list[_Pair]:
    """The images with their masks, sorted; an image without one is a problem, a mask without one a note."""
    of_image: dict[str, Path] = {}
    of_mask: dict[str, Path] = {}
    for folder, by_stem in ((images, of_image), (masks, of_mask)):
        for file in found.images_below(folder):
            stem = file.relative_to(folder).with_suffix("").as_posix()
            if stem in by_stem:
                found.problems.append(
                    f"{folder}: wants one file of the name {stem}, got {by_stem[stem].name} and {file.name}; remove one"
                )
            by_stem[stem] = file
    for stem in sorted(of_image.keys() - of_mask.keys()):
        found.problems.append(f"{of_image[stem]}: wants a mask {masks / stem}.png, got none; add it or take this away")
    if extra := sorted(of_mask.keys() - of_image.keys()):
        more = f" and {len(extra) - 5:,} more" if len(extra) > 5 else ""
        found.notes.append(f"passed over masks in {masks} without an image: {', '.join(extra[:5])}{more}")
    if not of_image:
        found.problems.append(f"{images}: wants at least one image, got none; add images")
    both = sorted(of_image.keys() & of_mask.keys())
    return [_Pair(*(f[stem].relative_to(root).as_posix() for f in (of_image, of_mask))) for stem in both]


def _look(root: Path, classes: int, pair: _Pair) -> _Seen:
    """An image's header and a mask's pixels, looked at once."""
    seen, image, mask = _Seen(), root / pair.image, root / pair.mask
    digests = ["", ""]
    try:
        digests[0], seen.shape = survey(image)
    except DataError as error:
        seen.damage.append(str(error))
    try:
        ids, digests[1] = read_mask(mask)
    except NoMaskError as error:
        seen.problems.append(str(error))
        return seen
    except DataError as error:
        seen.damage.append(str(error))
        return seen
    seen.digests, seen.counts = (digests[0], digests[1]), counted(ids)
    if seen.damage:
        return seen
    if ids.shape != seen.shape[:2]:
        (height, width), (tall, wide) = seen.shape[:2], ids.shape
        seen.problems.append(
            f"{mask}: wants the size of its image, {width} x {height}, got {wide} x {tall}; bring it there by nearest "
            "neighbours"
        )
    try:
        refuse_unknown(mask, np.flatnonzero(seen.counts).tolist(), classes)
    except NoMaskError as error:
        seen.problems.append(str(error))
    return seen


def _numbers(root: Path, total: Counts, notes: list[str]) -> tuple[str, ...]:
    """The ids as names, up to the largest; raises `DataError` where there is only one."""
    there = np.flatnonzero(total[:VOID]).tolist()
    if there in ([], [0]):
        void = f" and {VOID}, which is no class" if total[VOID] else ""
        raise DataError(
            f"{root}: wants masks with at least two classes, got {'the id 0' if there else 'none'}{void}; write 1 "
            f"where the second class is, or name all classes in {NAMES}"
        )
    if len(there) * 2 <= there[-1]:
        notes.append(
            f"the largest id is {there[-1]}, so there are {there[-1] + 1} classes, and only {len(there)} occur: "
            f"{', '.join(map(str, there[:10]))}; number them from 0 for a smaller net"
        )
    return tuple(map(str, range(there[-1] + 1)))


def _digests(names: Sequence[str], pairs: dict[str, list[_Pair]], seen: dict[str, list[_Seen]]) -> list[str]:
    """The SHA-256 (hex) up to the end of each part: names, paths and bytes."""
    sha, found = hashlib.sha256(b"netc masks 1" + "\n".join(names).encode()), list[str]()
    for role, those in pairs.items():
        for pair, one in zip(those, seen[role], strict=True):
            said = "\0".join(("", role, pair.image, one.digests[0], pair.mask, one.digests[1]))
            sha.update(said.encode("utf-8", "surrogateescape"))
        found.append(sha.hexdigest())
    return found


def _split(root: Path, pairs: Sequence[_Pair], seen: Sequence[_Seen], native: tuple[int, int, int]) -> MaskedSplit:
    nothing = np.zeros(len(pairs), np.int32)
    images = FolderSplit(root, tuple(pair.image for pair in pairs), nothing, native)
    masks = MaskFiles(root, tuple(pair.mask for pair in pairs), nothing, (*native[:2], 1))
    return MaskedSplit(keep(images), keep(masks), np.stack([one.counts for one in seen]))
