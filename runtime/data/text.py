"""A text file as data for language models: its characters are the tokens."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netc.netspec.augment import Augment
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.windows import Ids, TextSplit
from netc.runtime.files import opened

TEST_SHARE = 10  # the last tenth of a text is the test split
LARGEST_TEXT = 1 << 28  # bytes
PART = 1 << 20  # characters that are numbered at a time


def load_text(path: Path, name: str, *, whole: bool = False) -> Dataset:
    """Return the UTF-8 text at `path` as a data set named `name`: the last tenth for test, the rest to train on.

    A byte order mark is dropped, and a line that ends in CR LF ends in LF, as on another system. `classes` are the
    different characters in the order of their code points, and tokens are indices into them. The digest is the SHA-256
    of the text as UTF-8. With `whole` both splits are the whole text, for evaluation. Both have contexts of one token
    until `windowed` cuts longer ones. Raises `DataError` for a file that cannot be read, is no UTF-8, or is too short
    to be split.
    """
    try:
        with opened(path, LARGEST_TEXT) as file:
            raw = file.read()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise DataError(f"{path} wants at most {LARGEST_TEXT} bytes, got more; cut it") from error
        raise DataError(f"{path} cannot be read ({error.strerror}); check the name") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} wants UTF-8 text, got byte {error.object[error.start]:#04x} at {error.start}; convert it first"
        ) from error
    del raw
    known, tokens = _numbered(np.frombuffer(text.encode("utf-32-le"), "<u4"))
    cut = len(tokens) - len(tokens) // TEST_SHARE
    train, test = (tokens, tokens) if whole else (tokens[:cut], tokens[cut:])
    if len(test) < 2:
        raise DataError(f"{path} wants at least {2 * TEST_SHARE} characters, got {len(tokens)}; give a longer text")
    return _dataset(name, known, (train, test), text, (str(path), "your own"))


@dataclass(frozen=True)
class Texts:
    """A text in two parts."""

    train: str
    test: str


def of_texts(parts: Texts, name: str, source: str, licence: str) -> Dataset:
    """The parts as a data set, whose classes are the characters of both, with the digest of the two in a row."""
    text, cut = parts.train + parts.test, len(parts.train)
    known, tokens = _numbered(np.frombuffer(text.encode("utf-32-le"), "<u4"))
    return _dataset(name, known, (tokens[:cut], tokens[cut:]), text, (source, licence))


def _dataset(
    name: str, known: npt.NDArray[np.int64], splits: tuple[Ids, Ids], text: str, origin: tuple[str, str]
) -> Dataset:
    source, licence = origin
    return Dataset(
        name=name,
        train=TextSplit(splits[0], 1),
        test=TextSplit(splits[1], 1),
        classes=tuple(map(chr, known.tolist())),
        digest=hashlib.sha256(text.encode()).hexdigest(),
        source=source,
        licence=licence,
        augment=Augment(),
        native=(sum(map(len, splits)),),
    )


def _numbered(points: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], Ids]:
    """The different code points of a text, sorted, and the number of each of its characters among them."""
    numbers = np.zeros(sys.maxunicode + 1, np.int32)
    parts = [slice(start, start + PART) for start in range(0, len(points), PART)]  # an index takes 8 bytes: no more
    for part in parts:
        numbers[points[part]] = 1
    known = np.flatnonzero(numbers)
    numbers[known] = np.arange(len(known))
    tokens = np.empty(len(points), np.int32)
    for part in parts:
        tokens[part] = numbers[points[part]]
    return known, tokens


def windowed(dataset: Dataset, context: int) -> Dataset:
    """Return the text `dataset` with examples of `context` tokens. Raises `DataError` for images and short texts."""
    if not isinstance(dataset.train, TextSplit) or not isinstance(dataset.test, TextSplit):
        raise DataError(f"{dataset.name} holds images, and the net takes token ids; give `data=text:FILE`")
    return dataclasses.replace(
        dataset,
        train=TextSplit(dataset.train.tokens, context, dataset.train.cut),
        test=TextSplit(dataset.test.tokens, context),
    )
