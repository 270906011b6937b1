"""Terms of a sum that meet: what is there with both signs is taken out, and two halves are one."""

from __future__ import annotations

from netc.proofs.assumed import Assumptions
from netc.proofs.normal import (
    Monomial,
    Polynomial,
    Proof,
    both,
    chain,
    matched,
    permuted,
    rearranged,
    under,
)
from netc.proofs.terms import HALF, MINUS


def front(m: Monomial, places: list[int]) -> tuple[Monomial, Proof]:
    """The factors at these places first."""
    rest = [i for i in range(len(m.factors)) if i not in places]
    return rearranged(m, list(range(len(m.bound))), [*places, *rest])


def merged(poly: Polynomial, assumed: Assumptions) -> tuple[Polynomial, Proof]:
    """Without pairs that cancel, and with two halves made one."""
    for i in range(len(poly)):
        for j in range(len(poly)):
            if i == j:
                continue
            if (found := _cancelled(poly, i, j) or (j > i and _halves(poly, i, j, assumed))) is not None and found:
                out, q = found
                final, r = merged(out, assumed)
                return final, chain(q, r)
    return poly, None


def _pair_first(poly: Polynomial, i: int, j: int) -> tuple[list[Monomial], Proof]:
    rest = [n for n in range(len(poly)) if n not in (i, j)]
    return [poly[n] for n in rest], permuted([i, j, *rest], "add")


def _cancelled(poly: Polynomial, i: int, j: int) -> tuple[Polynomial, Proof] | None:
    """m at i and (-1) m at j."""
    m, minus = poly[i], poly[j]
    if MINUS not in minus.factors:
        return None
    moved, q = front(minus, [minus.factors.index(MINUS)])
    bare = Monomial(moved.bound, moved.factors[1:])
    if (how := matched(bare, m)) is None:
        return None
    if not bare.factors:
        return None
    rest, first = _pair_first(poly, i, j)
    align = chain(q, _outside(moved), both("mul_congr", None, rearranged(bare, *how)[1]))
    if not rest:
        return (), chain(first, both("add_congr", None, align), "(add_minus L)")
    return tuple(rest), chain(first, both("add_congr", None, both("add_congr", align, None)), "(add_minus_add L)")


def _outside(m: Monomial) -> Proof:
    """The first factor, which depends on no index, taken out of all sums."""
    steps = [under(m.bound[:depth], "(symm (mul_sum L))") for depth in range(len(m.bound) - 1, -1, -1)]
    return chain(*steps)


def _halves(poly: Polynomial, i: int, j: int, assumed: Assumptions) -> tuple[Polynomial, Proof] | None:
    """1/2 m + 1/2 m = m."""
    x, y = poly[i], poly[j]
    if HALF not in x.factors or (how := matched(y, x)) is None:
        return None
    moved, q = front(x, [x.factors.index(HALF)])
    bare = Monomial(moved.bound, moved.factors[1:])
    h = assumed.ask("half", (), "Same (A.add A.half A.half) A.one", "there is a number 1/2, with 1/2 + 1/2 = 1")
    rest, first = _pair_first(poly, i, j)
    one = chain(q, _outside(moved))
    other = chain(rearranged(y, *how)[1], one)
    merge = f"(halves L {h})"
    if not rest:
        return (bare,), chain(first, both("add_congr", one, other), merge)
    joined = chain("(symm (add_assoc L))", both("add_congr", chain(both("add_congr", one, other), merge), None))
    return (bare, *rest), chain(first, joined)
