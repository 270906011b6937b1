"""What lies in the cache of compiled artefacts: the key of one, its manifest, and how two keys differ."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

FORMAT = 1
"""The version of the layout on disk; another version lives in another folder of the same root."""

# How a part of a key is spelled in a miss reason; the others are spelled as they are.
_SPELL: Mapping[str, Callable[[Any], str]] = {"flags": " ".join}


@dataclass(frozen=True)
class CacheKey:
    """Everything that decides what an artefact is.

    `text_sha256` is the SHA-256 of the StableHLO text; `compiler` the name and version of the compiler;
    `target` the target word; `flags` the compiler's flags in order. `label` is for people (`resnet18 batch
    128`) and not part of the digest.
    """

    text_sha256: str
    compiler: str
    target: str
    flags: tuple[str, ...]
    label: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.flags, tuple):  # a str would be hashed as its letters
            raise TypeError(f"CacheKey.flags wants a tuple of str, got {self.flags!r}")

    @property
    def parts(self) -> Mapping[str, Any]:
        """The parts that are hashed, by name."""
        return {name: value for name, value in asdict(self).items() if name != "label"}

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the parts, as 64 hex digits."""
        canonical = json.dumps(self.parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return f"{(self.label or self.text_sha256[:12])!r} for {self.target!r}"


@dataclass(frozen=True)
class Entry:
    """One artefact in the cache.

    `path` is the file, `sha256` its digest, `bytes` its size, `created` when it was built (UTC), `seconds`
    how long that took. `hit` is False only when the call that returned this entry built it.
    """

    key: CacheKey
    path: Path
    sha256: str
    bytes: int
    created: datetime
    seconds: float
    hit: bool = True


class DamagedError(Exception):
    """Why an entry cannot be used."""


class OutdatedError(DamagedError):
    """An entry that an earlier netc wrote, which is to be built again without a word."""


def differences(here: CacheKey, there: CacheKey) -> list[str]:
    """One phrase for each part in which the keys differ."""
    phrases = []
    for part in here.parts:
        ours, theirs = here.parts[part], there.parts[part]
        if ours == theirs:
            continue
        if part == "text_sha256":  # nobody can act on digests
            phrases.append("the program changed")
            continue
        if part == "flags" and set(ours) != set(theirs):  # name only those that the other lacks
            pairs = (ours, theirs), (theirs, ours)
            ours, theirs = ([flag for flag in a if flag not in b] or ["none"] for a, b in pairs)
        spell = _SPELL.get(part, str)
        phrases.append(f"{part} differs: {spell(ours)} here, {spell(theirs)} there")
    return phrases


def to_manifest(entry: Entry) -> bytes:
    """The bytes of the manifest beside an artefact, with a digest of its own."""
    body = asdict(entry) | {"format": FORMAT, "created": entry.created.isoformat()}
    del body["path"], body["hit"]
    return sealed(body)


def sealed(body: Mapping[str, Any]) -> bytes:
    """A manifest, closed with the SHA-256 of what stands above it."""
    above = json.dumps(body, indent=1, allow_nan=False)
    seal = {"manifest_sha256": hashlib.sha256(above.encode("ascii")).hexdigest()}
    return json.dumps({**body, **seal}, indent=1, allow_nan=False).encode("ascii") + b"\n"


def from_manifest(content: bytes, folder: Path) -> Entry:
    """Raises DamagedError for anything that `to_manifest` would not have written for this folder.

    For a manifest without a digest of its own, as earlier versions wrote, that is OutdatedError.
    """
    try:
        body = json.loads(content)
        parts = body["key"]
        flags = tuple(parts.pop("flags"))
        if body["format"] != FORMAT or not all(isinstance(text, str) for text in (*flags, *parts.values())):
            raise ValueError("a field of another type")
        entry = Entry(
            key=CacheKey(**parts, flags=flags),
            path=folder / "artefact",
            sha256=str(body["sha256"]),
            bytes=int(body["bytes"]),
            created=datetime.fromisoformat(body["created"]),
            seconds=float(body["seconds"]),
        )
        if entry.created.tzinfo is None or not math.isfinite(entry.seconds):
            raise ValueError("a time without a zone or an end")
        if "manifest_sha256" not in body:
            raise OutdatedError("an earlier netc wrote it")
        if to_manifest(entry) != content:
            raise ValueError("altered")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError("its manifest was not written by netc") from error
    if entry.key.digest != folder.name:
        raise DamagedError(f"its manifest is for another key, {entry.key.digest[:12]}")
    return entry
