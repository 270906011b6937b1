"""A number with what it counts, in the singular or the plural."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """`1 image`, `2,000 images`; `thing` is the singular, which takes an s."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
