"""What lies in a tar file, and where: its members' names, offsets and sizes, without reading their contents.

Python's tarfile would read a header of a billion bytes if a file said so; here all is bounded. A tar that is not packed
can be read at any place, so that training examples in shards are drawn in any order, as if they were files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from netc.runtime.data.errors import DataError

BLOCK = 512
LONGEST_NAME = 1 << 16  # bytes of a header that holds a name or attributes
MOST_MEMBERS = 100_000_000
REGULAR = (b"0", b"\0", b"7")
PACKED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in a tar: its path, where its content begins, and its bytes."""

    name: str
    offset: int
    size: int


def members(path: Path, file: IO[bytes]) -> Iterator[Member]:
    """The regular files in an open tar, in its order; raises DataError for what is no whole tar.

    Reads headers alone: those of POSIX 1988 (ustar) and 2001 (pax), and GNU's long names.
    """
    end, place, longer = file.seek(0, 2), 0, ""
    file.seek(0)
    for magic, tool in PACKED.items():
        if file.read(len(magic)) == magic:
            raise DataError(
                f"{path}: wants an uncompressed tar, which can be read at any position, got a compressed one; {tool} it"
            )
        file.seek(0)
    for _ in range(MOST_MEMBERS):
        file.seek(place)
        header = file.read(BLOCK)
        if end == 0:
            raise _damaged(path, "an empty file")
        if not header:
            raise _damaged(path, f"{end:,} bytes without the blocks of zeros that end a tar: it was cut short")
        if not header.strip(b"\0"):
            return
        size, kind = _number(header[124:136]), header[156:157]
        if len(header) < BLOCK or size < 0 or _number(header[148:156]) != _sum(header):
            raise _damaged(path, f"no header at byte {place:,}")
        content = place + BLOCK
        place = content + -(-size // BLOCK) * BLOCK
        if content + size > end:
            raise _damaged(path, f"{end:,} bytes, where a member ends at {content + size:,}: it was cut short")
        if kind in (b"L", b"x"):
            if size > LONGEST_NAME:
                raise _damaged(path, f"a name of {size:,} bytes")
            told = file.read(size)
            longer = told.rstrip(b"\0").decode("utf-8", "surrogateescape") if kind == b"L" else _pax(told) or longer
            continue
        if kind in REGULAR:
            yield Member(longer or _name(header), content, size)
        longer = ""
    raise _damaged(path, f"more than {MOST_MEMBERS:,} members")


def _name(header: bytes) -> str:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    whole = prefix + b"/" + name if prefix and header[257:262] == b"ustar" and header[257:265] != b"ustar  \0" else name
    return whole.decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """A number of a header: octal digits, or, where the first bit is set, its bytes (GNU); -1 for what is none."""
    if field[:1] and field[0] & 0x80:
        return int.from_bytes(bytes((field[0] & 0x7F, *field[1:])), "big")
    digits = field.strip(b" \0")
    if digits and not all(0x30 <= digit < 0x38 for digit in digits):
        return -1
    return int(digits or b"0", 8)


def _sum(header: bytes) -> int:
    return sum(header) - sum(header[148:156]) + 8 * 0x20


def _pax(content: bytes) -> str:
    """The path that records `LENGTH path=NAME` of a pax header give; empty without one."""
    for line in content.split(b"\n"):
        _, _, record = line.partition(b" ")
        if record.startswith(b"path="):
            return record[5:].decode("utf-8", "surrogateescape")
    return ""


def _damaged(path: Path, got: str) -> DataError:
    return DataError(f"{path}: wants a whole tar, got {got}; repair or remove it")
