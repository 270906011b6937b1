"""Normal forms where some sizes are numbers: sums over these are written out, and places are compared."""

from __future__ import annotations

from netc.proofs.normal import Normaliser, Polynomial, Proof, append, both, chain, product
from netc.proofs.terms import ZERO, Term, add, mul, replaced, shown


class WrittenOut(Normaliser):
    """Opens everything, down to the parameters."""

    def of(self, term: Term) -> tuple[Polynomial, Proof]:
        """The normal form of a number, and the proof that it is equal."""
        match term:
            case ("sum", index, size, a) if size.startswith("#"):
                return self._terms(index, int(size[1:]), a)
            case (("scan" | "scan_back"), _, _, _, _, place) if number(place) is not None:
                opened = _steps(term)
                poly, q = self.of(opened)
                return poly, chain(f"(refl : Same {shown(term)} {shown(opened)})", q)
            case ("mul", a, b):
                found, q = self.of(a)
                if not found:  # the other factor is not opened
                    return (), chain(both("mul_congr", q, None), "(zero_mul L)")
                other, r = self.of(b)
                poly, s = product(found, other)
                return poly, chain(both("mul_congr", q, r), s)
            case ("ind", c):
                place, q = self.truth(c)
                if place[0] == "equal" and None not in (sides := [number(i) for i in place[1:]]):
                    yes = sides[0] == sides[1]
                    poly, _ = super().of(("one",) if yes else ("zero",))
                    return poly, chain(q and f"(ind_congr {q})", f"(ind_{'yes' if yes else 'no'} refl)")
        return super().of(term)

    def _open(self, name: str) -> bool:
        return self.opens(self.definitions[name])

    def _terms(self, index: str, count: int, a: Term) -> tuple[Polynomial, Proof]:
        if count == 0:
            return (), "sum_none"
        before, q = self._terms(index, count - 1, a)
        last, r = self.of(replaced(a, {index: ("n", count - 1)}))
        joined = append(len(before), len(last))
        return (*before, *last), chain("sum_last", both("add_congr", q, r), joined)


def _steps(term: Term) -> Term:
    """A scan at a number, step by step."""
    head, index, size, a, u, place = term
    until = number(place)
    assert until is not None
    forward = head == "scan"
    found: Term | None = None if forward else ZERO
    for n in range(until + 1) if forward else range(int(size[1:]) - 1, until - 1, -1):
        factor, fed = (replaced(x, {index: ("n", n)}) for x in (a, u))
        found = fed if found is None else add(mul(factor, found), fed)
    assert found is not None
    return found


def number(index: Term) -> int | None:
    """The number that an index is, if it has no variable."""
    match index:
        case ("n", n):
            return int(n)
        case ("size", name) if name.startswith("#"):
            return int(name[1:])
        case (("plus" | "times") as name, i, j):
            a, b = number(i), number(j)
            if a is None or b is None:
                return None
            return a + b if name == "plus" else a * b
    return None
