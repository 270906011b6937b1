"""Degrees of what a program computes: how large the numerator of a false identity can be.

A tensor's elements are polynomials in the variables of the check (inputs, tangents, values of functions that are not
rational) and in the reciprocals that the program divides by. The bounds hold for every element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Powers = Mapping[bytes, int]


@dataclass(frozen=True)
class Degree:
    """`total` in the variables, and the highest power of each family of reciprocals."""

    total: int = 0
    powers: Powers = field(default_factory=dict)

    def __or__(self, other: Degree) -> Degree:
        """Of a sum, or of a choice."""
        if self is other:
            return self
        keys = self.powers.keys() | other.powers.keys()
        powers = {k: max(self.powers.get(k, 0), other.powers.get(k, 0)) for k in keys}
        return Degree(max(self.total, other.total), powers)

    def __mul__(self, other: Degree) -> Degree:
        """Of a product."""
        if not self.total and not self.powers:
            return other
        keys = self.powers.keys() | other.powers.keys()
        powers = {k: self.powers.get(k, 0) + other.powers.get(k, 0) for k in keys}
        return Degree(self.total + other.total, powers)


CONSTANT, VARIABLE = Degree(), Degree(1)


@dataclass(frozen=True)
class Joined:
    """Of a concatenation: along which axis, and of each part the size and the degrees of value and tangent.

    `res`, `deg` and `tdeg` are those of the whole; by the first two it is seen that nothing was changed since. Gates
    and what they weigh go through a net side by side: with the higher degree for both, a bound doubled in each block of
    experts.
    """

    res: object
    deg: Degree
    tdeg: Degree
    dim: int
    parts: tuple[tuple[int, Degree, Degree], ...]

    def within(self, start: Sequence[int], limit: Sequence[int]) -> tuple[Degree, Degree]:
        """The degrees of value and tangent between two corners: those of a part, if they are within one."""
        begin = 0
        for size, deg, tdeg in self.parts:
            if begin <= start[self.dim] and limit[self.dim] <= begin + size:
                return deg, tdeg
            begin += size
        return self.deg, self.tdeg


class Reciprocals:
    """The families of reciprocals in the order in which they were made: how many, of polynomials of which degree."""

    def __init__(self) -> None:
        self.families: dict[bytes, tuple[int, Degree]] = {}

    def of(self, key: bytes, count: int, denominator: Degree) -> Degree:
        """The degree of 1 / denominator, `count` different ones."""
        if not denominator.total and not denominator.powers:
            return CONSTANT
        self.families.setdefault(key, (count, denominator))
        return Degree(0, {key: 1})

    def cleared(self, degree: Degree) -> int:
        """The degree of the numerator over one common denominator.

        For u = 1/t of power e, multiply by t^e: the degree grows by e deg t for each of the family's members, and so do
        the powers of older reciprocals inside t.
        """
        total, powers = degree.total, dict(degree.powers)
        for key, (count, inner) in reversed(self.families.items()):
            power = powers.pop(key, 0) * count
            if power:
                total += power * inner.total
                for older, own in inner.powers.items():
                    powers[older] = powers.get(older, 0) + power * own
        return total
