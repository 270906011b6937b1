"""Characters as tokens: from a text to the ids that a net was trained on, and back."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from netc.runtime.data.corpus import Pieces, code_points
from netc.runtime.data.errors import DataError
from netc.runtime.data.stretches import Ids

SHOWN = 8  # unknown characters in a message


@dataclass(frozen=True)
class Characters:
    """The characters that a net knows, in the order of their ids."""

    known: tuple[str, ...]
    kind = "char"
    content = ""
    end = -1

    @property
    def size(self) -> int:
        """The number of characters."""
        return len(self.known)

    @property
    def names(self) -> tuple[str, ...]:
        """The characters."""
        return self.known

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the characters in their order."""
        return hashlib.sha256(json.dumps(["netc characters", 1, self.known]).encode()).hexdigest()

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64] | None:
        """The bytes of each as UTF-8, int64 [n]."""
        return np.array([len(c.encode()) for c in self.known], np.int64)

    @cached_property
    def numbers(self) -> Ids:
        """The id of each code point, -1 where it has none, int32 [1114112]."""
        numbers = np.full(sys.maxunicode + 1, -1, np.int32)
        numbers[[ord(c) for c in self.known]] = np.arange(len(self.known), dtype=np.int32)
        return numbers

    def encode(self, text: str) -> Ids:
        """The ids of a text, int32 [n]. A line that ends in CR LF ends in LF, as in training.

        Raises DataError that names the characters which the net does not know.
        """
        text = text.replace("\r\n", "\n")
        if unknown := sorted(set(text) - set(self.known)):
            more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
            raise DataError(
                f"`prompt` wants the {len(self.known)} characters that the net was trained on, got also "
                f"{', '.join(map(repr, unknown[:SHOWN]))}{more}; leave them out"
            )
        return np.array([self.numbers[ord(c)] for c in text], np.int32)

    def encoded(self, pieces: Pieces, *, ends: bool) -> Iterator[Ids]:
        """The ids of each piece, all of whose characters are known."""
        return (self.numbers[points] for text, _ in pieces for points in code_points(text))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        return "".join(self.known[i] for i in ids)

    def decoder(self) -> Callable[[int], str]:
        """The character of an id."""
        return lambda one: self.known[one]


def is_text(given: str) -> bool:
    """Whether a string is text. Bytes of the command line that are not valid UTF-8 are lone surrogates in it."""
    return not any("\ud800" <= c <= "\udfff" for c in given)


def held_back(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of a text may be the beginning of a stop word."""
    return max(
        (n for stop in stops for n in range(1, min(len(stop), len(text) + 1)) if text.endswith(stop[:n])), default=0
    )
