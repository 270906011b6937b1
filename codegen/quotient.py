"""Division of whole numbers, exact to 2^31: the IR divides floats alone, and float32 has 24 bits."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value

SURELY_BELOW = 1 - 2.0**-21  # four roundings to float32 raise a quotient by less than it takes off


def multiple(b: Builder, number: Value, of: int) -> tuple[Value, Value]:
    """How often `of` goes into a number i32 [] of at least 0, as i32, and whether it leaves nothing.

    Two estimates in float32, neither too large, and what they leave in integers. The first misses less than n 2^-20,
    so that what is left is below of + 2^11; the second, of that, misses at most one.
    """
    found, rest = _estimated(b, number, of)
    more, rest = _estimated(b, rest, of)
    last = b.convert(b.compare("GE", rest, of), "i32")
    return b.add(b.add(found, more), last), b.compare("EQ", b.sub(rest, b.mul(last, of)), 0)


def _estimated(b: Builder, number: Value, of: int) -> tuple[Value, Value]:
    """A quotient that is not too large, and what it leaves."""
    found = b.convert(b.div(b.mul(b.convert(number, "f32"), SURELY_BELOW), float(of)), "i32")
    return found, b.sub(number, b.mul(found, of))
