"""How much the cache may hold, and which entries go first."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from netc.netspec.errors import UserError

VARIABLE = "NETC_CACHE_LIMIT"
DEFAULT = "10GB"
"""Bytes of artefacts that a cache holds where `NETC_CACHE_LIMIT` says nothing else; a ResNet's takes about 3 MB."""

NO_LIMIT = "none"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) *([A-Za-z]*)")


def bytes_of(text: str, where: str) -> int:
    """`2GB` -> 2_000_000_000, with kB, MB, GB and TB, KiB to GiB, or plain bytes; raises UserError naming `where`."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise UserError(f"{where} wants a size such as 500MB or 2GB, got {text[:40]!r}; write one like those")
    return int(float(found[1]) * unit)


def limit() -> int | None:
    """The bytes that a cache may hold: `NETC_CACHE_LIMIT`, by default `DEFAULT`; None for `none`. Raises UserError."""
    text = os.environ.get(VARIABLE) or DEFAULT
    return None if text.strip().lower() == NO_LIMIT else bytes_of(text, VARIABLE)


@dataclass(frozen=True)
class Use:
    """An entry as far as its place goes: its digest, when it was last used (seconds since 1970), its bytes."""

    digest: str
    last: float
    bytes: int


def to_evict(uses: Iterable[Use], most: int | None, used_before: float | None) -> list[Use]:
    """What goes, least recently used first: all last used before that time, then until `most` bytes are left."""
    oldest_first = sorted(uses, key=lambda use: (use.last, use.digest))
    left = sum(use.bytes for use in oldest_first)
    gone = []
    for use in oldest_first:
        too_old = used_before is not None and use.last < used_before
        if too_old or (most is not None and left > most):
            gone.append(use)
            left -= use.bytes
    return gone
