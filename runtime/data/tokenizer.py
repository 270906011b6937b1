"""What turns text into token ids and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from netc.runtime.data.corpus import Pieces
from netc.runtime.data.stretches import Ids

CHAR, BYTE, TRAINED = "char", "byte", "bpe"
FILES = "a tokenizer.json, or a folder with one or with vocab.json and merges.txt"
WORDS = f"{CHAR}, {BYTE}, {TRAINED}:SIZE, {FILES}"


class Tokenizer(Protocol):
    """Text to ids and back."""

    @property
    def kind(self) -> str:
        """`char`, `byte` or `file`."""

    @property
    def digest(self) -> str:
        """The SHA-256 of all that decides the ids."""

    @property
    def lengths(self) -> npt.NDArray[np.int64] | None:
        """The bytes of UTF-8 that each id stands for, int64 [size], where they do not depend on its neighbours."""

    @property
    def end(self) -> int:
        """The id that separates documents, or -1."""

    @property
    def content(self) -> str:
        """What a run keeps as a file, or nothing where its other records say it all."""

    @property
    def size(self) -> int:
        """The number of ids."""

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each id."""

    def encode(self, text: str) -> Ids:
        """The ids of a text, int32 [n]; raises DataError for what it has no id for."""

    def encoded(self, pieces: Pieces, *, ends: bool) -> Iterator[Ids]:
        """The ids of pieces, part by part; with `ends` the id of the end, where there is one, behind each document."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""

    def decoder(self) -> Callable[[int], str]:
        """What takes the ids of a text one by one, and gives the text that is sure with each."""
