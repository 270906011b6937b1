"""Numbers as people read them."""

from __future__ import annotations

from datetime import timedelta


def shape(sizes: tuple[int, ...]) -> str:
    """`224x224x3`, as `--input` takes it."""
    return "x".join(map(str, sizes)) or "scalar"


def _scaled(value: float, base: int, units: tuple[str, ...]) -> str:
    index = 0
    while index < len(units) - 1 and value >= 0.9995 * base:
        value, index = value / base, index + 1
    digits = 0 if index == 0 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {units[index]}".rstrip()


def flops(count: int) -> str:
    """`7.36 G`: three digits and a power of 1000."""
    return _scaled(count, 1000, ("", "k", "M", "G", "T", "P"))


def size(count: int) -> str:
    """`12.3 MB`: three digits and a power of 1000 bytes."""
    return _scaled(count, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def age(span: timedelta) -> str:
    """`3 d`: the largest unit that fits; a clock that went backwards shows 0."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
