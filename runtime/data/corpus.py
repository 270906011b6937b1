"""Texts that data is made of: a file, several, a folder or a string, read in pieces and as often as it takes."""

from __future__ import annotations

import codecs
import errno
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from netc.runtime.data.errors import DataError
from netc.runtime.files import opened

LARGEST_TEXT = 1 << 42  # bytes of one file
ENDING = ".txt"  # of the files of a folder that are read
PIECE = 1 << 20  # bytes that are read at a time
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
INVALID = ("refuse", "replace")
OPTIONS = {"invalid": "refuse, or replace: invalid UTF-8 becomes U+FFFD"}

Pieces = Iterator[tuple[str, bool]]
"""Pieces of text in their order, each with whether a document ends behind it."""


class Corpus(Protocol):
    """Documents of text."""

    def pieces(self) -> Pieces:
        """The text from its beginning; raises DataError for what cannot be read."""


@dataclass(frozen=True)
class Strings:
    """Documents that are held in memory."""

    documents: tuple[str, ...]

    def pieces(self) -> Pieces:
        """Each document as one piece."""
        return ((document, True) for document in self.documents)


@dataclass(frozen=True)
class Files:
    """UTF-8 files, each a document. With `replace` invalid UTF-8 becomes U+FFFD; otherwise they are refused.

    A byte order mark is dropped, and a line that ends in CR LF ends in LF, as on another system.
    """

    paths: tuple[Path, ...]
    replace: bool = False

    def pieces(self) -> Pieces:
        """About a megabyte at a time."""
        for path in self.paths:
            try:
                with opened(path, LARGEST_TEXT) as file:
                    yield from self._of(path, iter(lambda: file.read(PIECE), b""))  # used up here
            except OSError as error:
                if error.errno == errno.EFBIG:
                    raise DataError(f"{path} wants at most {LARGEST_TEXT:,} bytes, got more; shorten it") from error
                raise DataError(f"{path} cannot be read ({error.strerror}); check the name") from error

    def changes(self) -> tuple[str, ...]:
        """What is read as something else, one sentence each, by the first piece of every file."""
        firsts = []
        for path in self.paths:
            with opened(path, LARGEST_TEXT) as file:
                firsts.append(file.read(PIECE))
        marked, ended = any(f.startswith(codecs.BOM_UTF8) for f in firsts), any(b"\r\n" in f for f in firsts)
        said = {"the byte order mark is left out": marked, "CR LF is read as LF, the end of a line": ended}
        return tuple(sentence for sentence, so in said.items() if so)

    def _of(self, path: Path, parts: Iterator[bytes]) -> Pieces:
        decoder = codecs.getincrementaldecoder("utf-8")("replace" if self.replace else "strict")
        place, held, first = 0, "", True
        for raw in _ended(parts):
            waiting = len(decoder.getstate()[0])
            try:
                text = held + decoder.decode(raw, final=not raw)
            except UnicodeDecodeError as error:
                at = place - waiting + error.start
                raise DataError(
                    f"{path} wants UTF-8 text, got byte {error.object[error.start]:#04x} at {at:,}; convert it first, "
                    "or add `,invalid=replace` after the name"
                ) from error
            place += len(raw)
            if first and text:
                text, first = text.removeprefix("\ufeff"), False
            held = "\r" if raw and text.endswith("\r") else ""  # its LF may come with the next piece
            yield text[: len(text) - len(held)].replace("\r\n", "\n"), not raw


def _ended(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts, and an empty one at the end."""
    yield from parts
    yield b""


def files_in(folder: Path) -> list[Path]:
    """The files in a folder and in those below it, in order, but for hidden ones."""
    return sorted(
        p for p in folder.rglob("*") if p.is_file() and not any(n[0] == "." for n in p.relative_to(folder).parts)
    )


def files_of(path: Path, options: dict[str, str], name: str) -> Files:
    """The files at `path`: itself, each of several with commas between, or every .txt file in a folder, in order.

    In a folder the ending may be of any case, and what is hidden, by a name that begins with a dot, is not read. Raises
    DataError for a folder without any, and for an option's value that there is not.
    """
    if (invalid := options.get("invalid", "refuse")) not in INVALID:
        raise DataError(f"{name}: `invalid` wants {' or '.join(INVALID)}, got {invalid!r}")
    paths: tuple[Path, ...] = (path,)
    if path.is_dir():
        paths = tuple(p for p in files_in(path) if p.suffix.casefold() == ENDING)
        if not paths:
            raise DataError(f"{name} wants .txt files in the folder {path}, got none; check the path")
    elif "," in str(path) and not path.exists():
        paths = tuple(Path(part).expanduser() for part in str(path).split(",") if part)
    return Files(paths, invalid == "replace")


@dataclass(frozen=True)
class Survey:
    """What a corpus is: its digest, its length in characters and in bytes of UTF-8, and the documents in it.

    The digest is the SHA-256 of the text as UTF-8, with a byte 0xff, which UTF-8 has not, between documents. `points`
    are the different code points in order, int64; `replaced` counts U+FFFD among the characters.
    """

    digest: str
    characters: int
    bytes: int
    documents: int
    points: npt.NDArray[np.int64]
    replaced: int


def surveyed(corpus: Corpus) -> Survey:
    """Read a corpus once; memory stays that of a few pieces."""
    sha, seen = hashlib.sha256(), np.zeros(0x110000, np.bool_)
    characters = size = documents = replaced = 0
    ended = False
    for text, last in corpus.pieces():
        if ended:
            sha.update(b"\xff")
        raw = text.encode()
        sha.update(raw)
        for points in code_points(text):
            seen[points] = True
        characters, size, ended = characters + len(text), size + len(raw), last
        documents += last
        replaced += text.count(REPLACEMENT)
    return Survey(sha.hexdigest(), characters, size, documents, np.flatnonzero(seen), replaced)


def code_points(text: str) -> Iterator[npt.NDArray[np.uint32]]:
    """The code points of a text, uint32, at most `PIECE` at a time."""
    for start in range(0, len(text), PIECE):
        yield np.frombuffer(text[start : start + PIECE].encode("utf-32-le"), "<u4")


def between(corpus: Corpus, first: int, last: int) -> Pieces:
    """The pieces of the characters from `first` on and before `last`, counted over the whole corpus."""
    place = 0
    for text, ended in corpus.pieces():
        if place >= last:
            return
        part = text[max(0, first - place) : last - place]
        place += len(text)
        if part or (ended and first < place):
            yield part, ended and place <= last


def cut_for_words(text: str, longest: int) -> list[str]:
    """The text in parts of at most `longest` characters, cut before a space between two letters where there is one.

    There every splitter of byte-level tokenizers cuts, so that the tokens are those of the whole. Else a cut lies
    behind a line's end, or, in a text without any, where the part is full.

    >>> cut_for_words("to be, or not", 9)
    ['to', ' be, or', ' not']
    """
    cuts = [0]
    while len(text) - cuts[-1] > longest:
        cuts.append(_cut(text, cuts[-1], cuts[-1] + longest))
    return [text[a:b] for a, b in pairwise([*cuts, len(text)])]


def _cut(text: str, first: int, last: int) -> int:
    place = last
    while (place := text.rfind(" ", first + 1, place)) > 0:
        if text[place - 1].isalpha() and text[place + 1].isalpha():
            return place
    return text.rfind("\n", first, last) + 1 or last
