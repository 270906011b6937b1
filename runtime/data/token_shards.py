"""Tokens in .bin files: as nanoGPT writes them, as modded-nanoGPT does with a header, and as `netc data tokenize` does.

A file is little-endian uint16 or uint32 ids and nothing else, or 256 int32 first: 20240520, a version of 1, and the
number of uint16 ids that follow (https://github.com/KellerJordan/modded-nanogpt, data/).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.netspec.augment import Augment
from netc.netspec.errors import reason
from netc.runtime.data.characters import Characters, is_text
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.stretches import Ids, Stretches, Tokens, joined
from netc.runtime.data.table import held_note, part_of_name
from netc.runtime.data.text import TEST_SHARE, Reading
from netc.runtime.data.token_cache import mapped, written
from netc.runtime.data.tokenizer import BYTE, CHAR, Tokenizer
from netc.runtime.data.tokenizer_words import MOST, loaded
from netc.runtime.data.windows import TextSplit
from netc.runtime.files import opened, read_regular, sha256_of, whole, write_whole

MAGIC, VERSION, HEADER = 20240520, 1, 256 * 4
META = "meta.json"
LARGEST_META = 1 << 24
SHARD = 100_000_000  # tokens in a file, as modded-nanoGPT has
TYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}
OPTIONS = {
    "vocabulary": "how many ids there may be, where no tokenizer lies beside the files",
    "dtype": "uint16 or uint32, of files without a header and without meta.json",
}

Meta = Mapping[str, Any]


def _characters(meta: Meta) -> bool:
    given = meta.get("characters")
    return meta.get("kind") != CHAR or (
        isinstance(given, str) and len(set(given)) == len(given) == meta.get("vocabulary") and is_text(given)
    )


def _words(held: Any) -> bool:
    return isinstance(held, dict) and all(isinstance(digest, str) for digest in held.values())


_MEANT: dict[str, Callable[[Meta], bool]] = {
    "kind": lambda meta: isinstance(meta.get("kind", ""), str),
    "dtype": lambda meta: isinstance(meta.get("dtype"), str) and meta["dtype"] in TYPES,
    "vocabulary": lambda meta: type(meta.get("vocabulary")) is int and 0 <= meta["vocabulary"] <= MOST,
    "characters": _characters,
    "sha256": lambda meta: _words(meta.get("sha256", {})),
    "tokenizer_sha256": lambda meta: isinstance(meta.get("tokenizer_sha256", ""), str),
}


def load_tokens(path: Path, name: str, options: Mapping[str, str], reading: Reading) -> Dataset:
    """Return the .bin files in the folder `path`, or that file, as a data set.

    Files with val or test as a word of their names are for the test; without such files the last tenth of the tokens
    is. What lies in the folder, meta.json and tokenizer.json, or the tokenizer that is asked for, says what the ids
    mean; without one a net keeps its own vocabulary unless `vocabulary` says how many ids there are. Files are read
    once for their digest, and mapped then; an id that the net does not know is met when it is read. Raises DataError
    for files that are none, not whole, or not as meta.json says.
    """
    home = path if path.is_dir() else path.parent
    files = sorted(p for p in path.glob("*.bin") if p.name[0] != ".") if path.is_dir() else [path]
    if not files:
        raise DataError(f"{name} wants .bin files of tokens in {path}, got none; `netc data tokenize` writes them")
    meta = _meta(home, name)
    if path != home and meta and path.name not in meta.get("sha256", {}):
        home, meta = path, {}  # of other files
    elif path == home:
        _refuse_others(home, files, meta)
    dtype = _dtype(options, meta, name)
    found = {file: _tokens(file, dtype) for file in files}
    held = [file for file in files if part_of_name(file)]
    train = [found[file] for file in files if file not in held]
    if not train and not reading.whole:
        raise DataError(f"{name} wants training files in addition to those for the test, got only {held[0].name}")
    apart = bool(train and held)
    parts: list[Tokens]
    if reading.whole and not apart:
        parts = [joined([found[file] for file in files])] * 2
    elif apart:
        parts = [joined(train), joined([found[file] for file in held])]
    else:
        every = joined(train)
        cut = len(every) - len(every) // TEST_SHARE
        parts = [every[:cut], every[cut:]] if isinstance(every, np.ndarray) else [*_cut(every, cut)]
    tokenizer = _tokenizer(home, meta, reading)
    if tokenizer and "vocabulary" in options:
        raise DataError(
            f"{name}: `vocabulary` is for ids without a tokenizer, got one of {tokenizer.size:,} tokens; leave it out"
        )
    classes = tokenizer.names if tokenizer else tuple(map(str, range(_vocabulary(options, meta, name))))
    limit = len(classes) or 1 << 31  # the net's own, once it is known
    return Dataset(
        name=name,
        train=TextSplit(parts[0], 1, 0, limit),
        test=TextSplit(parts[1], 1, 0, limit),
        classes=classes,
        digest=_digest(files, meta),
        source=str(path),
        licence="your own",
        augment=Augment(),
        native=(sum(map(len, found.values())),),
        notes=held_note(held) if apart else (),
        tokenizer=tokenizer,
    )


def write_shards(
    folder: Path, part: str, tokens: Iterator[Ids], size: int, *, most: int = SHARD, header: bool = False
) -> dict[str, str]:
    """Write ids below `size` as PART_000000.bin and so on, of `most` tokens each; returns each file's SHA-256."""
    dtype, digests = TYPES["uint16" if size <= 1 << 16 else "uint32"], dict[str, str]()
    if header and dtype != TYPES["uint16"]:
        raise DataError(f"the header of modded-nanoGPT wants ids below 65,536, got a vocabulary of {size:,}")
    for number, shard in enumerate(_in_shards(tokens, most)):
        path = folder / f"{part}_{number:06}.bin"
        with whole(path) as file:
            if header:
                first = np.zeros(256, "<i4")
                first[:3] = MAGIC, VERSION, len(shard)
                file.write(first.tobytes())
            written(file, dtype, iter([shard]))
        digests[path.name] = sha256_of(path)
    return digests


def write_meta(folder: Path, tokenizer: Tokenizer, digests: Mapping[str, str]) -> None:
    """Write meta.json beside shards, and the tokenizer, so that the folder says what its ids mean."""
    dtype = "uint16" if tokenizer.size <= 1 << 16 else "uint32"
    meta = {"kind": tokenizer.kind, "vocabulary": tokenizer.size, "dtype": dtype, "sha256": dict(digests)}
    meta |= {"tokenizer_sha256": tokenizer.digest}
    if tokenizer.kind == CHAR:
        meta["characters"] = "".join(tokenizer.names)
    if tokenizer.content:
        write_whole(folder / "tokenizer.json", tokenizer.content)
    write_whole(folder / META, json.dumps(meta, indent=1) + "\n")


def _in_shards(tokens: Iterator[Ids], most: int) -> Iterator[Ids]:
    held: list[Ids] = []
    count = 0
    for ids in tokens:
        left = ids
        while len(left) + count >= most:
            yield np.concatenate([*held, left[: most - count]])
            left, held, count = left[most - count :], [], 0
        held.append(left)
        count += len(left)
    if count:
        yield np.concatenate(held)


def _tokens(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The ids in a file, mapped; raises DataError for one that is not whole."""
    try:
        with opened(path, 1 << 44) as file:
            first = np.frombuffer(file.read(12), "<i4", count=-1) if path.stat().st_size >= HEADER else np.empty(0)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{path} cannot be read ({said}); check the path") from error
    size = path.stat().st_size
    if not (len(first) == 3 and first[0] == MAGIC):
        if size % dtype.itemsize or not size:
            raise DataError(
                f"{path} wants ids of {dtype.itemsize} bytes, got a file of {size:,} bytes; it is cut short, or of "
                "another `dtype`"
            )
        return mapped(path, dtype)
    if first[1] != VERSION:
        raise DataError(f"{path} wants version {VERSION} of the header, got {first[1]}; write it again")
    if first[2] < 1:
        raise DataError(f"{path} wants a header with at least 1 id, got {first[2]:,}; write it again")
    if size != (wanted := HEADER + 2 * int(first[2])):
        raise DataError(
            f"{path} wants {wanted:,} bytes, as its header says {first[2]:,} ids, got {size:,}; it is cut short: get "
            "it again"
        )
    return mapped(path, TYPES["uint16"], HEADER)


def _cut(every: Stretches, place: int) -> Iterator[Tokens]:
    """The stretches before a place and behind it, none of them read."""
    before, behind = list[npt.NDArray[Any]](), list[npt.NDArray[Any]]()
    for part in every.parts:
        before.append(part[: max(0, place)])
        behind.append(part[max(0, place) :])
        place -= len(part)
    yield Stretches([part for part in before if len(part)])
    yield Stretches([part for part in behind if len(part)])


def _meta(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(read_regular(path / META, LARGEST_META))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise DataError(
            f"{name}: {META} cannot be read ({reason(error)}); remove it, or tokenize the text again"
        ) from error
    wrong = next((what for what, right in _MEANT.items() if not right(found)), "") if isinstance(found, dict) else META
    if wrong:
        raise DataError(
            f"{name}: {META} wants what `netc data tokenize` writes, got another {wrong}; remove it, or tokenize the "
            "text again"
        )
    return dict(found)


def _refuse_others(home: Path, files: Sequence[Path], meta: Mapping[str, Any]) -> None:
    """Raise DataError unless the files of a folder are those that its meta.json lists, if it lists any."""
    listed, there = meta.get("sha256", {}).keys(), {file.name for file in files}
    if not listed:
        return
    if missing := sorted(listed - there):
        raise DataError(
            f"{home} wants the {len(listed)} files that its {META} lists, got none of the name {missing[0]}"
            f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; get them, or tokenize the text again"
        )
    if strange := sorted(there - listed):
        raise DataError(
            f"{home} wants the {len(listed)} files that its {META} lists, got also {strange[0]}; move it to a folder "
            f"of its own, or remove {META}"
        )


def _dtype(options: Mapping[str, str], meta: Mapping[str, Any], name: str) -> np.dtype[Any]:
    word = options.get("dtype", meta.get("dtype", "uint16"))
    if word not in TYPES:
        raise DataError(f"{name}: `dtype` wants {' or '.join(TYPES)}, got {word!r}")
    return TYPES[word]


def _vocabulary(options: Mapping[str, str], meta: Mapping[str, Any], name: str) -> int:
    given = options.get("vocabulary", str(meta.get("vocabulary", 0)))
    if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) <= MOST):
        raise DataError(f"{name}: `vocabulary` wants a number of ids up to {MOST:,}, got {given!r}; 50257 is GPT-2's")
    return int(given)


def _tokenizer(home: Path, meta: Mapping[str, Any], reading: Reading) -> Tokenizer | None:
    """The tokenizer that made the ids, if it is known; raises DataError for another than meta.json says."""
    found = _chosen(home, meta, reading)
    wanted = meta.get("tokenizer_sha256")
    if wanted and (found is None or found.digest != wanted):
        got = "none" if found is None else f"one with {found.digest[:12]}"
        raise DataError(
            f"{home} wants the tokenizer that made its ids, of the SHA-256 {wanted[:12]} in {META}, got {got}; put its "
            "tokenizer.json back, or give that one by `tokenizer`"
        )
    return found


def _chosen(home: Path, meta: Mapping[str, Any], reading: Reading) -> Tokenizer | None:
    if not isinstance(reading.tokenizer, str):
        return reading.tokenizer
    if reading.tokenizer != CHAR:
        return loaded(reading.tokenizer)
    if meta.get("kind") == BYTE:
        return loaded(BYTE)
    if meta.get("kind") == CHAR:
        return Characters(tuple(meta["characters"]))
    return loaded(str(home / "tokenizer.json")) if (home / "tokenizer.json").exists() else None


def _digest(files: list[Path], meta: Mapping[str, Any]) -> str:
    """SHA-256 over names and contents; raises DataError where meta.json has another digest of a file."""
    held = meta.get("sha256", {})
    each = [(file.name, sha256_of(file), file.stat().st_size) for file in files]
    for name, digest, _ in each:
        if held.get(name, digest) != digest:
            raise DataError(f"{files[0].parent / name} is not the file that {META} was written for; get it again")
    return hashlib.sha256(json.dumps(["netc token shards", 1, each]).encode()).hexdigest()
