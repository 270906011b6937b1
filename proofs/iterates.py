"""Sequences that papers state: the values of an update that are followed, one term after the other.

A term is a definition of the file, made of those before it as updates.lean has it. Of each the value that netc emits is
found, in the order of the program, and from there on stands for it: so no step is about more than one iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from netc.proofs.published import published
from netc.proofs.terms import Term, shown

Function = Callable[..., Term]


@dataclass(frozen=True)
class Stated:
    """One term: its name in the file, how Lean makes it, and its value at two indices."""

    name: str
    lean: str
    value: Function

    def at(self, *indices: Term) -> Term:
        """It at indices, not opened."""
        return ("stated", self.name, indices)

    @property
    def definition(self) -> str:
        """As the file has it."""
        return (
            f"noncomputable def {self.name} {{K : Type}} (A : Arith K) (S : Sizes) (P : Point K) (t : N) : N → N → K :="
            f"\n  {self.lean}"
        )


def _called(name: str, definition: str, given: Sequence[Any]) -> Stated:
    """A definition of updates.lean, but for its last two arguments."""
    own = published()[definition]
    binders = [n for n, _ in own.binders]

    def value(i: Term, j: Term) -> Term:
        found: Term = own.of(
            dict(zip(binders, (*(x.at if isinstance(x, Stated) else x for x in given), i, j), strict=True))
        )[""]
        return found

    return Stated(name, " ".join((definition, "A", *map(_argument, given))), value)


def _argument(x: Any) -> str:
    if isinstance(x, Stated):
        return f"({x.name} A S P t)"
    return f"(fun k l => {shown(x(('i', 'k'), ('i', 'l')))})" if callable(x) else shown(x)


def newton_schulz(
    name: str, rows: Term, columns: Term, a: Term, b: Term, c: Term, x: Any, count: Term
) -> Iterator[Stated]:  # fmt: skip
    """X, and `count` times a X + (b X Xᵀ + c (X Xᵀ)²) X."""
    yield (last := Stated(f"{name}x0", _argument(x), x))
    for n in range(count[1]):
        yield (last := _called(f"{name}x{n + 1}", "quintic", (rows, columns, a, b, c, last)))


def newton_root(squares: int) -> Callable[..., Iterator[Stated]]:
    """The coupled iteration for the root to the power 2^squares."""

    def sequence(
        name: str, n: Term, count: Term, near: Term, share: Term, scale: Term, start: Term, damping: Term,
        smallest: Term, a: Any,
    ) -> Iterator[Stated]:  # fmt: skip
        yield (x := _called(f"{name}x0", "first_root", (start,)))
        yield (m := _called(f"{name}m0", "first_moment", (n, scale, damping, smallest, a)))
        for k in range(count[1]):
            yield (t := _called(f"{name}t{k}", "newton_factor", (near, share, m)))
            yield (x := _called(f"{name}x{k + 1}", "product", (n, x, t)))
            if k == count[1] - 1:
                break
            for square in range(squares):
                yield (t := _called(f"{name}s{k}_{square}", "product", (n, t, t)))
            yield (m := _called(f"{name}m{k + 1}", "product", (n, t, m)))
        yield _called(f"{name}root", f"root_of_{2**squares}", (n, smallest, a, x))

    return sequence
