"""The tokenizer of a run: kept in its folder where other records do not say it all, and taken from there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netc.netspec.errors import UserError
from netc.runtime.data.byte_tokens import Bytes
from netc.runtime.data.characters import Characters
from netc.runtime.data.errors import DataError
from netc.runtime.data.tokenizer import BYTE, FILES, Tokenizer
from netc.runtime.data.tokenizer_words import loaded
from netc.runtime.files import write_whole
from netc.runtime.run.checkpoint import Checkpoint
from netc.runtime.run.config import RunConfig, write_config

FILE = "tokenizer.json"
PADDED = 128  # a net may know fewer than so many ids more, which round its vocabulary up


def begin_folder(folder: Path, config: RunConfig, text: str, tokenizer: Tokenizer | None) -> None:
    """Write what a run is begun with: its config, `text` as config.toml, and its tokenizer if that is one of a file."""
    write_config(folder, config, text)
    if tokenizer is not None and tokenizer.content:
        write_whole(folder / FILE, tokenizer.content)


def kept_tokenizer(folder: Path | None) -> Tokenizer | None:
    """The tokenizer that a run's folder keeps as a file, if any. Raises DataError for a damaged one."""
    return loaded(str(folder / FILE)) if folder is not None and (folder / FILE).exists() else None


def record_of(tokenizer: Tokenizer | None) -> dict[str, Any]:
    """What a checkpoint says of the tokenizer; nothing of characters, which are its classes."""
    if tokenizer is None or tokenizer.kind == Characters.kind:
        return {}
    return {"tokenizer": {"kind": tokenizer.kind, "sha256": tokenizer.digest}}


def tokenizer_of(folder: Path, saved: Checkpoint, vocabulary: int, given: str = "") -> Tokenizer:
    """The tokenizer of a run whose net knows `vocabulary` ids, or the one that a word names in its place.

    Raises UserError where there is none, or one that does not fit the run.
    """
    record: Mapping[str, Any] = saved.meta.get("tokenizer") or {}  # type: ignore[assignment]
    if given:
        if given != BYTE and not Path(given).expanduser().exists():
            raise UserError(f"`tokenizer` of a run wants {BYTE}, {FILES}, got {given!r}, which does not exist")
        found: Tokenizer | None = loaded(given)
        if record and found is not None and found.digest != record.get("sha256"):
            raise _other(Path(given), str(record.get("sha256")), found, "leave `tokenizer` out, or name that one")
    elif record.get("kind") == BYTE:
        found = Bytes()
    elif record:
        found = _whole(folder, str(record.get("sha256")))
    else:
        classes: Any = saved.meta["classes"]
        found = Characters(tuple(classes)) if classes and all(len(c) == 1 for c in map(str, classes)) else None
    if found is None:
        raise UserError(
            f"{folder} wants a tokenizer, got none: it was trained on ids; name the one that made them by `tokenizer`"
        )
    if not vocabulary - PADDED < found.size <= vocabulary:
        raise UserError(
            f"{given or folder / FILE} has {found.size:,} tokens, and the net of {folder} knows {vocabulary:,}; give "
            "the tokenizer that the run was trained with"
        )
    return found


def _whole(folder: Path, digest: str) -> Tokenizer:
    found = kept_tokenizer(folder)
    if found is None:
        raise UserError(f"{folder} wants the {FILE} that it was trained with, got none; put it back, or name it")
    if found.digest != digest:
        raise _other(folder / FILE, digest, found)
    return found


def _other(path: Path, digest: str, found: Tokenizer, do: str = "put that one back") -> DataError:
    return DataError(
        f"{path} is not the tokenizer that the run was trained with (SHA-256 {digest[:12]}, got "
        f"{found.digest[:12]}); {do}"
    )
