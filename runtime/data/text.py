"""A text as data for language models: cut into a part to train on and one to test on, and tokenized."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netc.netspec.augment import Augment
from netc.netspec.counting import counted
from netc.runtime.data.characters import Characters
from netc.runtime.data.corpus import ENDING, Corpus, Strings, Survey, between, files_in, files_of, surveyed
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.stretches import joined
from netc.runtime.data.subwords import Subwords, tokenizers, trained_bpe
from netc.runtime.data.token_cache import IN_MEMORY, Part, in_memory, kept_text, kept_tokens, key_of
from netc.runtime.data.tokenizer import CHAR, Tokenizer
from netc.runtime.data.tokenizer_words import loaded, trained_size
from netc.runtime.data.windows import TextSplit

TEST_SHARE = 10  # the last tenth of a text is the test split


@dataclass(frozen=True)
class Reading:
    """How a text becomes a data set: by which tokenizer, or the word of one, where tokens are kept (None: nowhere).

    With `whole` both splits are the whole text, for evaluation.
    """

    tokenizer: Tokenizer | str = CHAR
    cache: Path | None = None
    whole: bool = False


PLAIN = Reading()


def load_text(path: Path, name: str, options: Mapping[str, str] | None = None, reading: Reading = PLAIN) -> Dataset:
    """Return the UTF-8 text at `path` as a data set named `name`: the last tenth for test, the rest to train on.

    Of a folder all .txt files in it, of several files with commas between each, in order. `classes` are the different
    characters in the order of their code points, and tokens are indices into them, unless `reading` says another
    tokenizer. The digest is the SHA-256 of the text as UTF-8, with the tokenizer's where it is another. Both parts have
    contexts of one token until `windowed` cuts longer ones. Raises `DataError` for a file that cannot be read, is no
    UTF-8, or is too short to be split.
    """
    files = files_of(path, dict(options or {}), name)
    data = of_corpus(files, name, (str(path), "your own"), reading)
    data = dataclasses.replace(data, notes=(*data.notes, *files.changes()))
    if not path.is_dir():
        return data
    count, others = len(files.paths), len(files_in(path)) - len(files.paths)
    said = f"read {counted(count, f'{ENDING} file')} of {path}"
    left = f", and left out {counted(others, 'other')}" if others else ""
    return dataclasses.replace(data, notes=(*data.notes, said + left))


@dataclass(frozen=True)
class Texts:
    """A text in two parts."""

    train: str
    test: str


def of_texts(parts: Texts, name: str, source: str, licence: str, reading: Reading = PLAIN) -> Dataset:
    """The parts as a data set, by default of their characters, with the digest of the two in a row."""
    whole = Strings((parts.train + parts.test,))
    return of_corpus(whole, name, (source, licence), reading, len(parts.train))


def of_corpus(corpus: Corpus, name: str, origin: tuple[str, str], reading: Reading, cut: int = 0) -> Dataset:
    """A corpus as a data set; its first `cut` characters are to train on, or all but the last tenth."""
    found = surveyed(corpus)
    if found.characters < 2 * TEST_SHARE:
        raise DataError(
            f"{origin[0]} wants at least {2 * TEST_SHARE} characters, got {found.characters}; give a longer text"
        )
    cut = cut or found.characters - found.characters // TEST_SHARE
    tokenizer = _tokenizer(corpus, found, cut, reading)
    several = found.documents > 1

    def part(first: int, last: int) -> Part:
        return lambda: tokenizer.encoded(between(corpus, first, last), ends=several)

    parts = [part(0, cut), part(cut, found.characters)]
    if reading.cache is None or (found.bytes <= IN_MEMORY and tokenizer.kind != "file"):
        tokens = in_memory(parts)
    else:
        key = key_of(found.digest, tokenizer.digest, cut, several)
        tokens = kept_tokens(reading.cache, key, tokenizer.size, parts)
    if reading.whole:
        tokens = [joined(tokens)] * 2
    for role, ids in (("training", tokens[0]), ("test", tokens[1])):
        if len(ids) < 2:
            raise DataError(f"{name}: the {role} part wants 2 tokens or more, got {len(ids)}; give a longer text")
    return Dataset(
        name=name,
        train=TextSplit(tokens[0], 1),
        test=TextSplit(tokens[1], 1),
        classes=tokenizer.names,
        digest=tokenized_digest(found.digest, tokenizer),
        source=origin[0],
        licence=origin[1],
        augment=Augment(),
        native=(found.characters,),
        notes=(*_notes(found), *_fewer(reading, tokenizer)),
        tokenizer=tokenizer,
    )


def tokenized_digest(text: str, tokenizer: Tokenizer) -> str:
    """The digest of a tokenized text: the text's own, of its characters, which follow from it."""
    if tokenizer.kind == CHAR:
        return text
    return hashlib.sha256(json.dumps(["netc tokens of a text", 1, text, tokenizer.digest]).encode()).hexdigest()


def _tokenizer(corpus: Corpus, found: Survey, cut: int, reading: Reading) -> Tokenizer:
    if not isinstance(reading.tokenizer, str):
        return reading.tokenizer
    if reading.tokenizer == CHAR:
        return Characters(tuple(map(chr, found.points.tolist())))
    size = trained_size(reading.tokenizer)
    if not size:
        return loaded(reading.tokenizer)

    def train() -> str:
        return trained_bpe(between(corpus, 0, cut), size).content

    key = key_of("bpe", tokenizers().__version__, found.digest, cut, size)
    text = kept_text(reading.cache, key, train) if reading.cache else train()
    return Subwords(text, "the trained tokenizer")


def _notes(found: Survey) -> tuple[str, ...]:
    if not found.replaced:
        return ()
    verb = "is" if found.replaced == 1 else "are"
    return (f"{counted(found.replaced, 'character')} {verb} U+FFFD, which stands for invalid UTF-8",)


def _fewer(reading: Reading, tokenizer: Tokenizer) -> tuple[str, ...]:
    """That a tokenizer trained on the text has fewer tokens than it was to have."""
    size = trained_size(reading.tokenizer) if isinstance(reading.tokenizer, str) else 0
    if tokenizer.size >= size:
        return ()
    return (f"{reading.tokenizer} found {tokenizer.size:,} tokens: no more pairs are frequent enough in the text",)


def windowed(dataset: Dataset, context: int, vocabulary: int = 0) -> Dataset:
    """Return the text `dataset` with examples of `context` tokens. Raises `DataError` for images and short texts.

    `vocabulary` is the net's, for tokens whose own is not known.
    """
    if not isinstance(dataset.train, TextSplit) or not isinstance(dataset.test, TextSplit):
        raise DataError(f"{dataset.name} holds images, and the net takes token ids; give `data=text:FILE`")
    train, test = (
        dataclasses.replace(split, context=context, vocabulary=split.vocabulary and (vocabulary or split.vocabulary))
        for split in (dataset.train, dataset.test)
    )
    return dataclasses.replace(dataset, train=train, test=dataclasses.replace(test, cut=0))
