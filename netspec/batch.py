"""How many examples a program takes at once: a number, or any within a range."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netc.netspec.errors import UserError

MOST = (1 << 24) - 1
DYNAMIC = "dynamic"
_RANGE = re.compile(r"([1-9][0-9]{0,7})\.\.([1-9][0-9]{0,7})")


@dataclass(frozen=True, slots=True)
class BatchRange:
    """Any batch from `least` to `most` examples."""

    least: int = 1
    most: int = MOST

    def __str__(self) -> str:
        return DYNAMIC if self == BatchRange() else f"{self.least}..{self.most}"

    def check(self, name: str, count: int) -> int:
        """The count; raises UserError where it is outside."""
        if not self.least <= count <= self.most:
            raise UserError(
                f"`{name}` wants {self.least} to {self.most} examples at once, got {count}; give a number in that "
                "range, or compile "
                f"with `batch={DYNAMIC}`"
            )
        return count


Batch = int | BatchRange


def parse_batch(given: object) -> Batch:
    """`32`, `dynamic` or `1..64`, and what is one already; raises UserError."""
    if isinstance(given, BatchRange):
        return given
    word = str(given).strip()
    if word == DYNAMIC:
        return BatchRange()
    if found := _RANGE.fullmatch(word):
        least, most = map(int, found.groups())
        if least < most <= MOST:
            return BatchRange(least, most)
    if isinstance(given, bool) or not re.fullmatch(r"-?[0-9]{1,9}", word):
        raise UserError(
            f"`batch` wants a number of examples, {DYNAMIC}, or a range as in 1..64 that ends below 2^24, got "
            f"{given!r}; give one of them"
        )
    if (count := int(word)) < 1:
        raise UserError(f"`batch` wants a positive integer, got {count}; give 1 or more")
    return count
