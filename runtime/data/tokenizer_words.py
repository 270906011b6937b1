"""The words by which a tokenizer is asked for."""

from __future__ import annotations

from pathlib import Path

from netc.runtime.data.byte_tokens import Bytes
from netc.runtime.data.errors import DataError
from netc.runtime.data.subwords import read_tokenizer
from netc.runtime.data.tokenizer import BYTE, TRAINED, Tokenizer

LEAST, MOST = 257, 1 << 20  # 256 bytes and the end of a text


def trained_size(word: str) -> int:
    """SIZE of `bpe:SIZE`, or 0 for another word; raises DataError for a size that is none."""
    kind, _, size = word.partition(":")
    if kind != TRAINED or Path(word).exists():
        return 0
    if not (size.isascii() and size.isdigit() and LEAST <= int(size) <= MOST):
        raise DataError(
            f"`tokenizer` wants {TRAINED}:SIZE with a number of tokens from {LEAST} to {MOST:,}, got {word!r}; "
            f"{TRAINED}:4096 is common for a small net"
        )
    return int(size)


def loaded(word: str) -> Tokenizer:
    """The tokenizer that a word names which needs no text to be made: `byte`, a file or a folder. Raises DataError."""
    return Bytes() if word == BYTE else read_tokenizer(Path(word).expanduser())
