"""Bytes as tokens: the ids of a text are the 256 values of its UTF-8."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from netc.runtime.data.corpus import Pieces
from netc.runtime.data.stretches import Ids

BYTES = 256


class Bytes:
    """The tokenizer whose ids are bytes. What a net writes that is not valid UTF-8 is decoded as U+FFFD."""

    kind, size, end, content = "byte", BYTES, -1, ""
    digest = hashlib.sha256(b"netc bytes 1").hexdigest()
    names = tuple(map(str, range(BYTES)))
    lengths: npt.NDArray[np.int64] | None = np.ones(BYTES, np.int64)

    def encode(self, text: str) -> Ids:
        """The bytes of a text, int32 [n]; a line that ends in CR LF ends in LF."""
        return np.frombuffer(text.replace("\r\n", "\n").encode(), np.uint8).astype(np.int32)

    def encoded(self, pieces: Pieces, *, ends: bool) -> Iterator[Ids]:
        """The bytes of each piece."""
        return (self.encode(text) for text, _ in pieces)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of bytes."""
        return bytes(ids).decode("utf-8", "replace")

    def decoder(self) -> Callable[[int], str]:
        """From bytes to the characters that they complete."""
        waiting = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda one: waiting.decode(bytes((one,)))
