"""Two numbers are equal: both have one normal form, in which arguments of functions, too, have theirs.

As in normal.py, each step gives its proof. Here every definition is opened, factors and summands are in one order, and
what is there with both signs is taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from netc.proofs.exported import Definition
from netc.proofs.normal import (
    Monomial,
    Normaliser,
    Polynomial,
    Proof,
    both,
    chain,
    each,
    permuted,
    rearranged,
    term_of,
    under,
)
from netc.proofs.terms import MINUS, Term, replaced, shown

Rewrites = dict[str, tuple[Term, str]]  # may grow
INDEX = re.compile(r"'k\d+'")
SUMS = re.compile(r"\('(?:sum|largest)', 'x(\d+)'")


class Equal(Normaliser):
    """Normal forms in one order, at the indices `at` of a result.

    `rewrites`: what a reference is by a hypothesis, and its proof, a function of the reference's indices.

    `inverses`: factors x, as they are shown, with x (1/x) = 1 by a hypothesis, which is the proof. `known`: of a local
    name's number the emitted value that it is, which then is not opened, and the proof.
    """

    def __init__(
        self,
        definitions: Mapping[str, Definition],
        at: tuple[Term, ...],
        rewrites: Rewrites,
        inverses: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(definitions, lambda d: True)
        self.known: dict[int, tuple[Definition, str]] = {}
        self.at, self.rewrites, self.inverses = at, rewrites, inverses or {}

    def of(self, term: Term) -> tuple[Polynomial, Proof]:
        """The normal form of a number, and the proof that it is equal."""
        poly, q = self._of(term)
        ordered, r = self.ordered(poly)
        return ordered, chain(q, r)

    def _of(self, term: Term) -> tuple[Polynomial, Proof]:
        match term:
            case ("fn", name, a):
                form, q = self._form(a)
                return _alone(("fn", name, form)), q and f"(cong A.{name} {q})"
            case ("pow", a, ("succ", n)):
                poly, q = self.of(("mul", ("pow", a, n), a))
                return poly, chain("pow_succ", q)
            case ("pow", _, ("n", 0)):
                return (Monomial((), ()),), "pow_zero"
            case ("max", a, b):
                (x, q), (y, r) = self._form(a), self._form(b)
                return _alone(("max", x, y)), both("max_congr", q, r)
            case ("choose", c, a, b):
                return self._chosen(c, a, b)
            case ("let", n, at, a) if n in self.known:
                value, proof = self.known[n]
                new = ("ref", value.name, at if len(at) == len(value.at) else self.at[: len(value.at)])
                poly, q = self.of(new)
                return poly, chain(f"(symm ({proof} L H))", q)
            case ("let", _, _, a):
                return self.of(a)
            case ("ref", name, at) if name in self.rewrites:
                new, proof = self.rewrites[name]
                if name in self.definitions:
                    new = replaced(new, dict(zip(self.definitions[name].at, at, strict=True)))
                poly, q = self.of(new)
                return poly, chain("".join((f"({proof}", *(f" {shown(i)}" for i in at), ")")) if at else proof, q)
            case ("ref", name, _) if any(name == d.name for d, _ in self.known.values()):
                return _alone(term), None
        return super().of(term)

    def _form(self, term: Term) -> tuple[Term, Proof]:
        poly, q = self.of(term)
        return term_of(poly), q

    def truth(self, term: Term) -> tuple[Term, Proof]:
        """A truth value with the normal forms of what it compares."""
        if term[0] == "gt":
            (a, q), (b, r) = self._form(term[1]), self._form(term[2])
            return ("gt", a, b), both("gt_congr", q, r)
        return super().truth(term)

    def _chosen(self, c: Term, a: Term, b: Term) -> tuple[Polynomial, Proof]:
        """c ? a : b; where a has a choice by c itself, it is taken."""
        c, q = self.truth(c)
        (a, qa), (b, qb) = self._form(a), self._form(b)
        proof = f"(choose_all {q or 'refl'} {qa or 'refl'} {qb or 'refl'})" if q or qa or qb else None
        while (found := next((t for t in _inside(a) if t[:2] == ("choose", c)), None)) is not None:
            _, _, x, y = found
            hole = ("named", "hole")
            pattern = _put(a, found, hole)
            inner = f"(choose_inner (f := fun hole => {shown(pattern)}) (x := {shown(x)}) (y := {shown(y)}))"
            a, more = self._form(_put(a, found, x))
            again = f"(choose_all refl {more} refl)" if more else None
            proof = chain(proof, inner, again)
        return _alone(("choose", c, a, b)), proof

    # -- one order ---------------------------------------------------------------------------------------------------

    def ordered(self, poly: Polynomial) -> tuple[Polynomial, Proof]:
        """The monomials with their factors in order, then themselves, less those that cancel."""
        parts = [self._monomial(m) for m in poly]
        proof = each([q for _, q in parts])
        return self._cancelled([m for m, _ in parts], proof)

    def _cancelled(self, monomials: list[Monomial], proof: Proof) -> tuple[Polynomial, Proof]:
        for i, m in enumerate(monomials):
            for j, other in enumerate(monomials):
                if other != _negative(m):
                    continue
                rest = [n for n in range(len(monomials)) if n not in (i, j)]
                first = permuted([i, j, *rest], "add")
                left = [monomials[n] for n in rest]
                if m.factors:
                    out = _sign_outside(other)
                    inner = both("add_congr", out, None) if left else out
                    taken = chain(both("add_congr", None, inner), "(add_minus_add L)" if left else "(add_minus L)")
                else:
                    taken = chain("(symm (add_assoc L))", both("add_congr", "L.cancel", None), "(zero_add L)")
                    taken = taken if left else "L.cancel"
                return self._cancelled(left, chain(proof, first, taken))
        order = sorted(range(len(monomials)), key=lambda n: (_key(monomials[n].term), repr(monomials[n])))
        last = permuted(order, "add") if order != sorted(order) else None
        return tuple(monomials[n] for n in order), chain(proof, last)

    def _monomial(self, m: Monomial) -> tuple[Monomial, Proof]:
        proofs: list[Proof] = []
        while (found := self._shorter(m)) is not None:
            m, q = found
            proofs.append(q)
        forms = [_sorted(_named(m, bound), bound) for bound in permutations(range(len(m.bound)))]
        made, bound, order = min(forms, key=repr)
        return made, chain(*proofs, rearranged(m, bound, order)[1])

    def _shorter(self, m: Monomial) -> tuple[Monomial, Proof] | None:
        """(-1) (-1) = 1, and x (1/x) = 1 where it is assumed."""
        pairs: list[tuple[int, int, str]] = []
        signs = [n for n, f in enumerate(m.factors) if f == MINUS]
        if len(signs) > 1:
            pairs.append((signs[0], signs[1], "minus"))
        for i, f in enumerate(m.factors):
            for j, g in enumerate(m.factors):
                if g == ("fn", "recip", f) and shown(f) in self.inverses:
                    pairs.append((i, j, self.inverses[shown(f)]))
        if not pairs:
            return None
        i, j, why = pairs[0]
        rest = [n for n in range(len(m.factors)) if n not in (i, j)]
        moved, q = rearranged(m, list(range(len(m.bound))), [i, j, *rest])
        if why == "minus":
            rule = "(minus_minus_mul L)" if rest else "(minus_minus L)"
        else:
            rule = f"(one_of L {why})" if rest else why
        return Monomial(m.bound, moved.factors[2:]), chain(q, under(m.bound, rule))


def _alone(factor: Term) -> Polynomial:
    return (Monomial((), (factor,)),)


def _negative(m: Monomial) -> Monomial | None:
    return None if m.factors[:1] == (MINUS,) else Monomial(m.bound, (MINUS, *m.factors))


def _sign_outside(m: Monomial) -> Proof:
    """The sign, which is the first factor, taken out of all sums."""
    steps = [under(m.bound[:depth], "(symm (mul_sum L))") for depth in range(len(m.bound) - 1, -1, -1)]
    return chain(*steps)


def _named(m: Monomial, order: Sequence[int]) -> Monomial:
    """The sums in this order, each index named by how many sums there are below it: one name for each kind."""
    heights = [int(n) for f in m.factors for n in SUMS.findall(repr(f))]
    first = 1 + max(heights, default=-1)
    names = {m.bound[n][0]: f"x{first + len(order) - 1 - place}" for place, n in enumerate(order)}
    by = {old: ("i", new) for old, new in names.items()}
    factors = tuple(replaced(f, by, renew=False) for f in m.factors)
    return Monomial(tuple((names[m.bound[n][0]], m.bound[n][1]) for n in order), factors)


def _sorted(m: Monomial, bound: Sequence[int]) -> tuple[Monomial, list[int], list[int]]:
    """The factors in order, the sign first; which sum and which factor comes at each place."""
    order = sorted(range(len(m.factors)), key=lambda n: (m.factors[n] != MINUS, *_keys(m.factors[n])))
    return Monomial(m.bound, tuple(m.factors[n] for n in order)), list(bound), order


def _key(term: Term) -> str:
    """What orders: without the names of indices of sums that are not done yet."""
    return INDEX.sub("'k'", repr(term))


def _keys(term: Term) -> tuple[str, str]:
    return _key(term), repr(term)


def _inside(term: Term) -> Iterator[Term]:
    yield term
    for part in term[1:]:
        if isinstance(part, tuple):
            yield from _inside(part)


def _put(term: Term, old: Term, new: Term) -> Term:
    """`new` in the place of `old`, everywhere."""
    if term == old:
        return new
    return tuple(_put(x, old, new) if isinstance(x, tuple) else x for x in term)
