"""The tokens of a text: made once, and kept as files that are mapped and not read, beside the other caches.

An entry is a folder named by the SHA-256 of what decides its content: the text, the tokenizer and where the parts end.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from netc.netspec.errors import UserError
from netc.runtime.data.stretches import Ids, Tokens
from netc.runtime.files import read_regular, sha256_of, write_whole

FORMAT = 1
IN_MEMORY = 16 << 20  # bytes of text whose characters or bytes are numbered faster than they are looked up
LARGEST_RECORD = 256 << 20  # a trained tokenizer among them

Part = Callable[[], Iterator[Ids]]
"""Gives the tokens of a part of a text, from the beginning, as often as it is called."""


def in_memory(parts: Sequence[Part]) -> list[Tokens]:
    """Each part as int32 in memory."""
    return [np.concatenate([np.empty(0, np.int32), *part()]) for part in parts]


def key_of(*what: Any) -> str:
    """The name of an entry, from what decides its content."""
    return hashlib.sha256(json.dumps(["netc tokens", FORMAT, *what]).encode()).hexdigest()


def kept_text(root: Path, key: str, make: Callable[[], str]) -> str:
    """The text of that key: a trained tokenizer. It is made where the cache has it not, or it was altered."""
    path = root / "tokens" / f"{key}.json"
    with suppress(OSError, ValueError):
        digest, _, text = read_regular(path, LARGEST_RECORD).decode("utf-8").partition("\n")
        if hashlib.sha256(text.encode()).hexdigest() == digest:
            return text
    text = make()
    with _writable(root):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
    return text


def kept_tokens(root: Path, key: str, size: int, parts: Sequence[Part]) -> list[Tokens]:
    """The parts as mapped files, of the narrowest unsigned integers that hold ids below `size`.

    They are written where the cache has them not, or where they are not as they were written. Raises UserError for a
    folder that cannot be written.
    """
    folder, dtype = root / "tokens" / key, narrowest(size)
    if not _whole(folder, len(parts)):
        with _writable(root):
            _write(folder, dtype, parts)
    files = [folder / f"{number}.bin" for number in range(len(parts))]
    try:
        return [mapped(file, dtype) for file in files]
    except FileNotFoundError:  # another process found the entry damaged, and moved it away
        with _writable(root):
            _write(folder, dtype, parts)
        return [mapped(file, dtype) for file in files]


def narrowest(size: int) -> np.dtype[Any]:
    """The unsigned type for ids below `size`."""
    return np.dtype(np.uint8 if size <= 1 << 8 else np.uint16 if size <= 1 << 16 else np.uint32)


def mapped(path: Path, dtype: np.dtype[Any], offset: int = 0) -> npt.NDArray[Any]:
    """The numbers in a file behind `offset` bytes; mapped, so that what is not read takes no memory."""
    if path.stat().st_size <= offset:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r", offset)


def _whole(folder: Path, parts: int) -> bool:
    try:
        digests = json.loads(read_regular(folder / "entry.json", LARGEST_RECORD))
        return len(digests) == parts and all(sha256_of(folder / f"{n}.bin") == d for n, d in enumerate(digests))
    except (OSError, ValueError, TypeError):
        return False


def _write(folder: Path, dtype: np.dtype[Any], parts: Sequence[Part]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.new-{secrets.token_hex(8)}")
    beside.mkdir()
    try:
        digests = []
        for number, part in enumerate(parts):
            with (beside / f"{number}.bin").open("xb") as file:
                digests.append(written(file, dtype, part()))
        write_whole(beside / "entry.json", json.dumps(digests))
        _put(beside, folder, len(parts))
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put(beside: Path, folder: Path, parts: int) -> None:
    """Rename an entry to its place. A whole one that another process was faster with stays, for some have it mapped."""
    try:
        beside.rename(folder)
    except OSError:
        if _whole(folder, parts):
            return
        aside = folder.with_name(f".{folder.name}.old-{secrets.token_hex(8)}")
        with suppress(FileNotFoundError):  # another process moved it
            folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(OSError):  # another process put its own there meanwhile, with the same content
            beside.rename(folder)


def written(file: BinaryIO, dtype: np.dtype[Any], parts: Iterator[Ids]) -> str:
    """Write ids as `dtype`, little-endian, and return the SHA-256 of what was written."""
    sha = hashlib.sha256()
    for ids in parts:
        raw = ids.astype(dtype.newbyteorder("<")).tobytes()
        sha.update(raw)
        file.write(raw)
    return sha.hexdigest()


@contextmanager
def _writable(root: Path) -> Iterator[None]:
    """What a full or closed disk says becomes a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the tokens of a text want a place in {root}, got {error.strerror}; make room, or set NETC_CACHE_DIR to a "
            "folder that can be written"
        ) from error
