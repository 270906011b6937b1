"""Images in folders, one folder for each class: found, checked and hashed at once, decoded on demand.

Two layouts are read: PATH/train/CLASS/* with PATH/val/CLASS/* (or another part to test on, see layout.py), and
PATH/CLASS/*, where every fifth image in the order of relative paths is test (positions 4, 9, 14, ...).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from netc.netspec.augment import Augment
from netc.runtime.data.augment import Images
from netc.runtime.data.damaged import skipped_note
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError, refuse
from netc.runtime.data.frame import STRETCH, Fit
from netc.runtime.data.image_file import Source, decode, picture, survey
from netc.runtime.data.kept import keep
from netc.runtime.data.layout import Found, class_images, parts
from netc.runtime.data.shared import shared_notes
from netc.runtime.data.split import Indices, Labels, Split

EVERY = 5
PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
LARGER = 4  # times the wanted side, that an image of too many pixels is still decoded at to be cut at random

Labelled = tuple[tuple[str, str], ...]
"""(relative path with / between the parts, class) of images, sorted."""


@dataclass(frozen=True, eq=False)
class FolderSplit:
    """Images in files: `files` are paths below `root`, with / between the parts; `shape` is (H, W, C).

    An image is decoded when asked for, as `decode` says, and brought to H x W as `fit` says.
    """

    root: Path
    files: tuple[str, ...]
    labels: Labels
    shape: tuple[int, int, int]
    fit: Fit = STRETCH

    def __len__(self) -> int:
        return len(self.files)

    def source(self, index: int) -> Source:
        """Where an image's bytes are."""
        return self.root / self.files[index]

    def picture(self, index: int) -> Image.Image:
        """Return an image in its own size; raises `DataError` when it is damaged."""
        height, width, channels = self.shape
        return picture(self.source(index), channels, LARGER * max(height, width))

    def images(self, indices: Indices) -> Images:
        """Return the images at `indices` [n]: uint8 [n, H, W, C]; raises `DataError` with all that are damaged."""
        out, problems = np.empty((len(indices), *self.shape), np.uint8), []
        for target, index in zip(out, indices.tolist(), strict=True):
            try:
                target[:] = decode(self.source(index), self.shape, self.fit)
            except DataError as error:
                problems.append(str(error))
        refuse(str(self.root), problems)
        return out

    def part(self, indices: Indices) -> FolderSplit:
        """Return the split of the images at `indices` [n] alone."""
        return replace(self, files=tuple(self.files[i] for i in indices.tolist()), labels=self.labels[indices])


def sizes_of(shapes: Collection[tuple[int, int, int]]) -> str:
    """The smallest and the largest size of images by their pixels, as `80x81 to 159x158`; "" where all have one."""
    sizes = sorted({(height, width) for height, width, _ in shapes}, key=lambda size: (size[0] * size[1], size))
    return " to ".join("x".join(map(str, size)) for size in (sizes[0], sizes[-1])) if len(sizes) > 1 else ""


def no_folder(root: Path, wanted: str) -> str:
    """What is there in the place of the folder that is wanted, and what to do."""
    if not root.exists():
        return "nothing there; check the path"
    return "a file; unpack it" if root.suffix.lower() in PACKED else f"a file; give {wanted}"


def load_folder(
    path: Path, name: str, *, follow: bool = False, whole: bool = False, skip_damaged: bool = False
) -> Dataset:
    """Return the images below `path`, whose native shape is the commonest of all images'.

    Every image is read once, for the digest and for its header; the pixels are decoded later. Files that are no images
    are passed over and counted in the dataset's `notes`. Links that lead out of `path` are followed only with `follow`.
    With `whole` a folder without parts is both splits, undivided, for evaluation. With `skip_damaged` files that are to
    be images and are none are left out, with a note; the folder is divided as if they were there. Raises `DataError`
    with every problem of the folder: no classes, classes without images, files that are to be images and are none.
    """
    root = path.expanduser().resolve()
    if not root.is_dir():
        got = no_folder(root, "the folder that has one for each class")
        raise DataError(f"{name}: wants a folder, got {path}, {got}")
    found = Found(root, follow)
    classes, train, test, layout = _layout(found, root)
    sha = hashlib.sha256(b"netc folder 2")
    shapes: Counter[tuple[int, int, int]] = Counter()
    so_far: dict[str, str] = {}  # the digest up to the end of a part
    damaged: dict[str, str] = {}  # path -> the sentence about it
    digests: dict[str, list[str]] = {"train": [], "test": []}
    for role, files in (("train", train), ("test", test)):
        for relative, _ in files:
            try:
                digest, shape = survey(root / relative)
            except DataError as error:
                damaged[relative] = str(error)
                continue
            shapes[shape] += 1
            digests[role].append(digest)
            sha.update(f"\0{role}\0{relative}\0{digest}".encode("utf-8", "surrogateescape"))
        so_far[role] = sha.hexdigest()
    if damaged and skip_damaged:
        train, test = (tuple(pair for pair in files if pair[0] not in damaged) for files in (train, test))
        lost = sorted(set(classes) - {label for _, label in train})
        found.problems += [f"{root}: {label} wants a whole image to train on, got damaged ones" for label in lost]
        found.notes.append(skipped_note(tuple(damaged.values())))
    else:
        found.problems += damaged.values()
    if not found.problems and not (test or whole):
        found.problems.append(f"{path}: wants at least {EVERY} images, got {len(train)}; add images")
    refuse(name, found.problems)
    (height, width, _), _ = shapes.most_common(1)[0]
    native = (height, width, max(channels for _, _, channels in shapes))
    if whole and not layout:
        train = test = tuple(sorted((*train, *test)))
    number = {label: index for index, label in enumerate(classes)}

    def split(files: Labelled) -> Split:
        labels = np.array([number[label] for _, label in files], np.int32)
        return keep(FolderSplit(root, tuple(file for file, _ in files), labels, native))

    fifth = (f"every {EVERY}th image of {path} is held out for the test",) if not layout and not whole else ()
    held_out = {label for _, label in test}
    without = [] if whole else [label for label in classes if label not in held_out]
    missing = (f"no test images of {', '.join(without)}",) if without else ()
    return Dataset(
        name=name,
        train=split(train),
        test=split(test),
        classes=classes,
        digest=sha.hexdigest(),
        source=f"image folder {path} ({layout or ('undivided' if whole else 'every fifth image is test')})",
        licence="its owner's",
        augment=Augment(),
        native=native,
        notes=(*found.sentences(), *fifth, *missing, *shared_notes(*digests.values(), whole=whole)),
        train_digest=so_far["train"],
        sizes=sizes_of(shapes),
    )


def _layout(found: Found, root: Path) -> tuple[tuple[str, ...], Labelled, Labelled, str]:
    """Return classes, training images, test images, and a word on the parts, empty where there are none."""
    if (divided := parts(found, root)) is not None:
        first, second = divided
        of_train, of_test = class_images(found, first), class_images(found, second, empty=True)
        if not of_test and not found.problems:
            found.problems.append(f"{root / second.name}: wants at least one image to test on, got none; add images")
        if unknown := [label for label in of_test if label not in of_train]:
            found.problems.append(
                f"{root}: {second.name}/ wants the classes of {first.name}/, got also {', '.join(unknown)}; "
                f"{first.name}/ has {', '.join(of_train)}: add them there or take them away"
            )
        return tuple(of_train), _labelled(root, of_train), _labelled(root, of_test), f"{first.name}, {second.name}"
    if found.problems:
        return (), (), (), ""
    classes = class_images(found, root)
    if not classes and not found.problems:
        found.problems.append(f"{root}: wants a folder for each class, got none; make one and put its images into it")
    files = _labelled(root, classes)
    train = tuple(file for index, file in enumerate(files) if index % EVERY != EVERY - 1)
    return tuple(classes), train, files[EVERY - 1 :: EVERY], ""


def _labelled(root: Path, classes: dict[str, list[Path]]) -> Labelled:
    return tuple(
        sorted((image.relative_to(root).as_posix(), label) for label, images in classes.items() for image in images)
    )
