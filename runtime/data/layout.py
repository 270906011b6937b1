"""What lies in a folder of images: class folders with their images, what is passed over, and what is wrong with it."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netc.netspec.counting import counted

ENDINGS = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm",
    ".pbm", ".pnm",
))  # fmt: skip
"""A file whose name ends so, in any case, is to be an image: it is refused when it is none."""

BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
"""How the content of an image begins, whose name may then end as it likes."""

UNREAD = frozenset((
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".jpx", ".svg", ".psd", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng",
    ".tga", ".exr", ".hdr", ".ico",
))  # fmt: skip
"""Endings of images that netc does not read. They are passed over like other files, with a sentence of their own."""

FOREIGN = frozenset((
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found",
    "system volume information", "__pycache__",
))  # fmt: skip
"""What systems leave in folders, in small letters; names that begin with a dot are passed over too."""

TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("val", "valid", "validation", "test", "testing")
"""The names of the two parts, in any case; of several parts to test on the first in this order is read."""


@dataclass
class Found:
    """What a walk has met: files and folders passed over by kind, problems and notes, each a sentence."""

    root: Path
    follow: bool
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def entries(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The folders and the files in `folder`, each sorted by name.

        Without what systems leave there, links that may not be followed, and pipes and devices.
        """
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self.problems.append(f"{folder}: wants a folder that can be read, got {error.strerror}; see its rights")
            return [], []
        kept = [entry for entry in entries if self._kept(folder / entry.name, link=entry.is_symlink())]
        folders = [folder / entry.name for entry in kept if entry.is_dir()]
        files = [folder / entry.name for entry in kept if entry.is_file()]
        if others := len(kept) - len(folders) - len(files):
            self.skipped["no regular file"] += others
        return folders, files

    def _kept(self, entry: Path, *, link: bool) -> bool:
        if entry.name.startswith(".") or entry.name.casefold() in FOREIGN:
            self.skipped["hidden" if entry.name.startswith(".") else entry.name] += 1
            return False
        if not link:
            return True
        if not entry.exists():
            self.problems.append(f"{entry}: wants a file, got a link that leads nowhere; remove it")
        elif not self.follow and not entry.resolve().is_relative_to(self.root):
            self.problems.append(
                f"{entry}: wants a file inside {self.root}, got a link that leads out; copy the file there, or follow "
                "all links with imagefolder+links:PATH"
            )
        else:
            return True
        return False

    def folders(self, folder: Path) -> list[Path]:
        """The folders in `folder`; files beside them are passed over, images with a note."""
        below, files = self.entries(folder)
        stray = self.images(files)
        if stray and below:
            self.notes.append(
                f"passed over {counted(len(stray), 'image')} beside the folders of {folder}, without a class"
            )
        elif stray:
            self.problems.append(
                f"{folder}: wants a folder for each class, got {len(stray):,} images and no folder; move each image "
                "into a folder that is named as its class"
            )
        return below

    def images_below(self, folder: Path) -> list[Path]:
        """The images in a class folder and the folders in it, sorted."""
        images, seen, waiting = [], set[Path](), [folder]
        while waiting:
            place = waiting.pop()
            if (real := place.resolve()) in seen:
                continue
            seen.add(real)
            folders, files = self.entries(place)
            waiting += folders
            images += self.images(files)
        return sorted(images)

    def images(self, files: Iterable[Path]) -> list[Path]:
        """Those of the files that are images, or are to be; the others are counted."""
        images = []
        for file in files:
            if _is_image(file):
                images.append(file)
            else:
                self.skipped[file.suffix.lower() or "without an ending"] += 1
        return images

    def sentences(self) -> tuple[str, ...]:
        """The notes, and what was passed over."""
        return (*self.notes, *_passed_over(self.skipped))


def _is_image(file: Path) -> bool:
    if file.suffix.lower() in ENDINGS:
        return True
    try:
        with file.open("rb") as opened:
            return opened.read(16).startswith(BEGINNINGS)
    except OSError:
        return False


def _passed_over(skipped: Counter[str]) -> list[str]:
    if not skipped:
        return []
    some = sum(skipped.values())
    said = [f"passed over {some:,} {'entry' if some == 1 else 'entries'} without images: {_by_kind(skipped)}"]
    if unread := sorted(skipped.keys() & UNREAD):
        said.append(f"{', '.join(unread)} are images that netc does not read; convert them to PNG or JPEG")
    return said


def _by_kind(skipped: Counter[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(skipped.items()))


def class_name(folder: Path) -> str:
    """The name of a class folder in Unicode's normal form C: systems differ in how they spell the same letters."""
    return unicodedata.normalize("NFC", folder.name)


def images_in(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The images in a folder and the folders in it, sorted, and sentences about what was passed over or is wrong."""
    found = Found(folder.resolve(), follow=True)
    return found.images_below(folder), (*found.problems, *found.sentences())


def class_images(found: Found, base: Path, *, empty: bool = False) -> dict[str, list[Path]]:
    """The images of each class folder in `base`, by the class's name, sorted; faults are problems of `found`.

    A class without images is none of these unless it may be `empty`: then it is left out.
    """
    folders = found.folders(base)
    classes: dict[str, list[Path]] = {}
    for folder in folders:
        before = found.skipped.copy()
        images = found.images_below(folder)
        if not images and empty:
            continue
        if not images:
            got = f"none among {_by_kind(found.skipped - before)}" if found.skipped != before else "none"
            found.problems.append(f"{folder}: wants at least one image, got {got}; add images or remove the folder")
        name = class_name(folder)
        if name in classes:
            found.notes.append(f"the folders of {name} in {base} differ in their Unicode form only, and are one class")
        classes[name] = sorted(classes.get(name, []) + images)
    for twins in _differing_in_case(sorted(classes)):
        found.notes.append(f"{' and '.join(twins)} in {base} differ in upper and lower case only, and are two classes")
    if len(folders) == 1 and not any(i.parent == folders[0] for i in images) and _has_folders(folders[0]):
        found.problems.append(
            f"{base}: wants a folder for each class, got only {folders[0].name}/ with folders in it; give {folders[0]}"
        )
    return dict(sorted(classes.items()))


def _differing_in_case(names: Sequence[str]) -> list[list[str]]:
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(name.casefold(), []).append(name)
    return [twins for twins in folded.values() if len(twins) > 1]


def parts(found: Found, root: Path) -> tuple[Path, Path] | None:
    """The folders with the classes to train on and to test on, or None where the class folders lie in `root` itself."""
    seen = Found(root, found.follow)
    folders, files = seen.entries(root)
    named = {words: _named(folders, words) for words in (TRAIN_FOLDERS, TEST_FOLDERS)}
    train, test = ([f for f in named[words] if _has_folders(f)] for words in (TRAIN_FOLDERS, TEST_FOLDERS))
    if not train and not test:
        if named[TRAIN_FOLDERS] and named[TEST_FOLDERS]:
            found.problems += [
                f"{part}: wants a folder for each class, got images straight in it; sort them into such folders"
                for part in (*named[TRAIN_FOLDERS], *named[TEST_FOLDERS])
            ]
        return None
    if stray := seen.images(files):
        found.notes.append(f"passed over {counted(len(stray), 'image')} beside the folders of {root}, without a class")
    found.skipped += seen.skipped
    found.problems += seen.problems
    if len(train) != 1:
        got = f"{train[0].name}/ and {train[1].name}/" if train else f"{test[0].name}/ alone"
        advice = "take one away" if train else f"to look at that part alone give {test[0]}"
        found.problems.append(f"{root}: wants one folder train/ beside val/ or test/, got {got}; {advice}")
        return None
    if not test:
        found.problems.append(
            f"{root}: wants val/ or test/ beside {train[0].name}/, got neither with class folders; add one, or give "
            f"{train[0]} to have every fifth image held out"
        )
        return None
    if others := [f.name for f in folders if f not in (train[0], test[0])]:
        found.notes.append(f"beside {train[0].name}/ and {test[0].name}/ these were not read: {', '.join(others)}")
    return train[0], test[0]


def _named(folders: Sequence[Path], words: Sequence[str]) -> list[Path]:
    found = [folder for folder in folders if folder.name.casefold() in words]
    return sorted(found, key=lambda folder: words.index(folder.name.casefold()))


def _has_folders(folder: Path) -> bool:
    return bool(Found(folder, follow=True).entries(folder)[0])
