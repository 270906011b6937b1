"""Subword tokenizers, through the package `tokenizers` (the extra `text`): trained here, or read from files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.netspec.errors import UserError
from netc.netspec.install import install_extra
from netc.runtime.data.corpus import Pieces, cut_for_words
from netc.runtime.data.errors import DataError
from netc.runtime.data.stretches import Ids
from netc.runtime.data.tokenizer import WORDS
from netc.runtime.files import read_regular

END = "<|endoftext|>"
ENDS = (END, "<|end_of_text|>", "</s>", "<eos>", "<|end|>")  # the first that a tokenizer has separates documents
LARGEST = 256 << 20  # bytes of a tokenizer's file
PART = 1 << 14  # characters that are encoded in one go: a batch of parts goes to all cores
PARTS = 64


def tokenizers() -> Any:
    """The package; raises UserError without it."""
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise UserError(
            f"`tokenizer` wants the package tokenizers, got none that can be imported ({error}); "
            f"{install_extra('text')}, or use char or byte"
        ) from error
    return tokenizers


class Subwords:
    """A tokenizer of the package. `content` is its tokenizer.json, by which other programs read it too."""

    kind = "file"

    def __init__(self, content: str, where: str) -> None:
        package = tokenizers()
        try:
            table = json.loads(content)
            table |= {"truncation": None, "padding": None}  # they belong to a sentence, and not to a text
            self._inner = package.Tokenizer.from_str(json.dumps(table))
        except Exception as error:  # the package raises Exception itself
            said = str(error).partition("\n")[0][:200]
            raise DataError(f"{where} wants a tokenizer.json of the package tokenizers, got {said}") from error
        self._byte_level = _is_byte_level(table.get("decoder"))
        self._pieces = _is_of_pieces(table.get("decoder"))
        vocabulary: dict[str, int] = self._inner.get_vocab(with_added_tokens=True)
        if not vocabulary:
            raise DataError(f"{where} wants a tokenizer with tokens, got none")
        self._named = {number: name for name, number in vocabulary.items()}
        self._special = {int(added["id"]) for added in table.get("added_tokens") or () if added.get("special")}
        self.size = max(self._named) + 1
        self.content: str = self._inner.to_str()
        self.digest = hashlib.sha256(self.content.encode()).hexdigest()
        self.end = next((vocabulary[name] for name in ENDS if name in vocabulary), -1)

    @property
    def names(self) -> tuple[str, ...]:
        """The ids as text: 50,000 names in each checkpoint would serve nobody."""
        return tuple(map(str, range(self.size)))

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64] | None:
        """The bytes of each token, int64 [size]; special ones stand for none. None for other than bytes and pieces."""
        if not (self._byte_level or self._pieces):
            return None
        count = len if self._byte_level else _piece_bytes
        added = set(self._inner.get_added_tokens_decoder())
        found = np.zeros(self.size, np.int64)
        for number, name in self._named.items():
            if number not in self._special:
                found[number] = len(name.encode()) if number in added else count(name)
        return found

    def encode(self, text: str) -> Ids:
        """The ids of a text, int32 [n]; a line that ends in CR LF ends in LF."""
        found = self._inner.encode(text.replace("\r\n", "\n"), add_special_tokens=False).ids
        return np.array(found, np.int32)

    def encoded(self, pieces: Pieces, *, ends: bool) -> Iterator[Ids]:
        """The ids of pieces; long documents in parts, cut where that changes no token of a byte-level tokenizer."""
        batch: list[str] = []
        closing: list[bool] = []
        held = ""
        for text, last in pieces:
            parts = cut_for_words(held + text, PART)
            held = "" if last else parts.pop()
            batch += parts
            closing += [*[False] * (len(parts) - 1), last] if parts else []
            if len(batch) >= PARTS:
                yield self._ids(batch, closing if ends else ())
                batch, closing = [], []
        if batch or held:
            yield self._ids([*batch, held], [*closing, False] if ends else ())

    def _ids(self, batch: list[str], closing: Iterable[bool]) -> Ids:
        found = self._inner.encode_batch_fast(batch, add_special_tokens=False)
        rows = [np.array(one.ids, np.int32) for one in found]
        if self.end >= 0:
            end = np.array([self.end], np.int32)
            for place, last in reversed([*enumerate(closing)]):
                if last:
                    rows.insert(place + 1, end)
        return np.concatenate(rows) if rows else np.empty(0, np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without special tokens."""
        text: str = self._inner.decode(list(ids), skip_special_tokens=True)
        return text

    def decoder(self) -> Callable[[int], str]:
        """From ids to the characters that they complete."""
        stream = tokenizers().decoders.DecodeStream(skip_special_tokens=True)
        return lambda one: stream.step(self._inner, one) or ""


def read_tokenizer(path: Path) -> Subwords:
    """The tokenizer in a tokenizer.json, or in GPT-2's vocab.json and merges.txt, or in a folder with either.

    Raises DataError, and UserError without the package.
    """
    try:
        if path.is_dir():
            whole, vocabulary = path / "tokenizer.json", path / "vocab.json"
            path = whole if whole.exists() or not vocabulary.exists() else vocabulary
        if path.name in {"vocab.json", "merges.txt"}:
            return Subwords(_of_gpt2(path.parent), str(path.parent))
        return Subwords(read_regular(path, LARGEST).decode("utf-8"), str(path))
    except FileNotFoundError as error:
        raise DataError(f"`tokenizer` wants {WORDS}, got {str(path)!r}, which does not exist") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} wants a tokenizer.json, got invalid UTF-8; check the path") from error


def trained_bpe(pieces: Pieces, size: int) -> Subwords:
    """A byte-level BPE of `size` tokens, 256 bytes and the end of a text among them, made of a text.

    Source: Sennrich et al. 2016, over the bytes of words as GPT-2 splits them (Radford et al. 2019).
    """
    package = tokenizers()
    inner = package.Tokenizer(package.models.BPE())
    inner.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = package.decoders.ByteLevel()
    trainer = package.trainers.BpeTrainer(
        vocab_size=size, special_tokens=[END], show_progress=False,
        initial_alphabet=sorted(package.pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    inner.train_from_iterator((part for text, _ in pieces for part in cut_for_words(text, PART)), trainer)
    return Subwords(inner.to_str(), "the trained tokenizer")


def _of_gpt2(folder: Path) -> str:
    """GPT-2's two files as a tokenizer.json."""
    package = tokenizers()
    for name in ("vocab.json", "merges.txt"):
        read_regular(folder / name, LARGEST)
    try:
        model = package.models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except Exception as error:  # the package raises Exception itself
        said = str(error).partition("\n")[0][:200]
        raise DataError(f"{folder} wants GPT-2's vocab.json and merges.txt, got {said}; get them again") from error
    inner = package.Tokenizer(model)
    inner.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = package.decoders.ByteLevel()
    if inner.token_to_id(END) is not None:
        inner.add_special_tokens([END])
    text: str = inner.to_str()
    return text


def _parts_of(table: Any) -> list[Any]:
    if not isinstance(table, dict):
        return []
    inner = table.get("decoders") or table.get("processors") or table.get("pretokenizers")
    return [part for one in inner for part in _parts_of(one)] if inner else [table]


def _is_byte_level(table: Any) -> bool:
    return any(part.get("type") == "ByteLevel" for part in _parts_of(table))


def _is_of_pieces(table: Any) -> bool:
    """Whether tokens are pieces of text with a mark for a space, as SentencePiece makes them."""
    kinds = [(part.get("type"), part.get("content")) for part in _parts_of(table)]
    return ("Replace", " ") in kinds or any(kind == "Metaspace" for kind, _ in kinds)


def _piece_bytes(name: str) -> int:
    """The bytes of a piece: its mark is a space, and <0x0A> is one byte."""
    if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
        return 1
    return len(name.replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode())
