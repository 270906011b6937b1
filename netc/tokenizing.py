"""Texts to files of token ids: `netc data tokenize`."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from netc.netspec.errors import UserError
from netc.runtime.data.catalog import DATASETS
from netc.runtime.data.own import is_own
from netc.runtime.data.stretches import in_parts
from netc.runtime.data.token_shards import META, write_meta, write_shards
from netc.runtime.data.tokenizer import CHAR
from netc.runtime.data.windows import TextSplit
from netc.training_data import stored_data


@dataclass(frozen=True)
class Tokenized:
    """What was written: tokens of both parts, how many ids there are, and the number of files."""

    train: int
    test: int
    vocabulary: int
    files: int


def tokenized(
    texts: Sequence[str], out: Path, tokenizer: str = CHAR, *, shard: int = 100_000_000, header: bool = False
) -> Tokenized:
    """Write the tokens of texts into the folder `out`: train_*.bin, val_*.bin, meta.json and the tokenizer.

    `texts` is one data set of text by its name, or paths of files or one folder. Raises UserError for a folder that
    holds such files already and for data that is no text, and DataError.
    """
    _refuse_taken(out)
    one = len(texts) == 1 and (texts[0] in DATASETS or is_own(texts[0]))
    data = stored_data(texts[0] if one else f"text:{','.join(texts)}", tokenizer=tokenizer)
    train, test, made_by = data.train, data.test, data.tokenizer
    if not isinstance(train, TextSplit) or not isinstance(test, TextSplit) or made_by is None:
        raise UserError(f"tokenize wants text, got {data.name}; give files of text, or a folder of them")
    digests: dict[str, str] = {}
    with _complete(out) as folder:
        for name, split in (("train", train), ("val", test)):
            parts = (part.astype("int32") for part in in_parts(split.tokens))
            digests |= write_shards(folder, name, parts, made_by.size, most=shard, header=header)
        write_meta(folder, made_by, digests)
    return Tokenized(len(train.tokens), len(test.tokens), made_by.size, len(digests))


def _refuse_taken(out: Path) -> None:
    """Raise UserError unless files can be written to `out`, which has none of the kind yet."""
    place = next(path for path in (out, *out.absolute().parents) if path.exists() or path.is_symlink())
    if not place.is_dir():
        raise UserError(f"`out` wants a folder, got the file {place}; give another")
    if any(out.glob("*.bin")):
        raise UserError(f"`out` wants a folder without .bin files, got {out}; give another, or remove them")


@contextmanager
def _complete(out: Path) -> Iterator[Path]:
    """A hidden folder in `out` to write into, whose files go to `out` at the end, meta.json before what it lists.

    So a file that is missing is noticed, wherever this is interrupted.
    """
    out.mkdir(parents=True, exist_ok=True)
    folder = out / f".new-{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        yield folder
        for file in sorted(folder.iterdir(), key=lambda file: (file.name != META, file.name)):
            file.rename(out / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # it has files, as it should
            out.rmdir()
