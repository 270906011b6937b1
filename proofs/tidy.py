"""Simplifying a polynomial beyond its normal form, with the proof: what is summed alone, what cancels, what is assumed.

- A factor that alone depends on an index of a sum is summed: to a sum that the forward pass has, or by its own body.
- A sum of what does not depend on its index is a multiple: the size, as a number of the ring.
- x recip(x) = 1, the indicators of a label add up to 1, a size times the literal of its reciprocal is 1: hypotheses,
  each asked for where it is used (`Assumptions`).
- (-1) (-1) = 1, and terms of a sum that meet are joined (meeting.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

from netc.proofs.assumed import Assumptions
from netc.proofs.corners import Corners
from netc.proofs.exported import Definition, Exported, close, share
from netc.proofs.meeting import front, merged
from netc.proofs.normal import (
    Monomial,
    Normaliser,
    Polynomial,
    Proof,
    append,
    at_place,
    both,
    chain,
    independent,
    pulled,
    rearranged,
    under,
)
from netc.proofs.terms import HALF, MINUS, ONE, Term, mul, replaced, shown

PRODUCTS = {1.0: ONE, 0.5: HALF}


class Tidier:
    """Simplifies polynomials of one program."""

    def __init__(self, exported: Exported, assumed: Assumptions, sizes: Mapping[str, int]) -> None:
        self.exported, self.assumed = exported, assumed
        self.rules = (
            self._signs, self._corners, self._repeated, self._inverses, self._values, self._masks, self._reciprocals,
            self._lonely, self._multiples, self._shares,
        )  # fmt: skip
        self.again: dict[str, Term] = {}  # see known.py
        self.masked: dict[str, Term] = {}
        self.corners = Corners(exported.definitions, assumed)
        self.normaliser = Normaliser(exported.definitions, lambda d: False)
        self.sums: dict[str, list[str]] = {}
        for d in exported.definitions.values():
            if d.kind == "reduce_sum" and not d.backward:
                body = d.body
                while body[0] == "sum":
                    body = body[3]
                read, _ = self.normaliser.atom(body)
                self.sums.setdefault(read[1], []).append(d.name)
        self.functions: dict[tuple[str, str], Definition] = {}
        for d in exported.definitions.values():
            if d.body[0] == "fn" and not d.backward:
                read, _ = self.normaliser.atom(d.body[2])
                self.functions[d.body[1], read[1]] = d
        self.shares = {name: share(v) for (v, _), name in exported.constants.items() if share(v)}
        self.literals = {name: v for (v, _), name in exported.constants.items()}
        self.lengths = sizes

    def of(self, poly: Polynomial) -> tuple[Polynomial, Proof]:
        """The simplified polynomial and the proof that it is equal."""
        out: Polynomial = ()
        proofs: list[tuple[int, Proof]] = []
        for m in poly:
            simple, q = self._monomial(m)
            out = (*out, *simple)
            proofs.append((len(simple), q))
        proof = self._each(proofs)
        together, q = merged(out, self.assumed)
        return together, chain(proof, q)

    def _each(self, parts: list[tuple[int, Proof]]) -> Proof:
        """A proof for each term of a sum, where a term may become several."""
        if not parts:
            return None
        (count, first), *rest = parts
        if not rest:
            return first
        after = sum(n for n, _ in rest)
        return chain(both("add_congr", first, self._each(rest)), append(count, after))

    def _monomial(self, m: Monomial) -> tuple[Polynomial, Proof]:
        for rule in self.rules:
            if (found := rule(m)) is not None:
                poly, q = found
                parts = [self._monomial(x) for x in poly]
                proof = self._each([(len(p), r) for p, r in parts])
                return tuple(x for p, _ in parts for x in p), chain(q, proof)
        return (m,), None

    def _signs(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        signs = [i for i, f in enumerate(m.factors) if f == MINUS]
        if len(signs) < 2:
            return None
        moved, q = front(m, signs[:2])
        rest = moved.factors[2:]
        rule = "(minus_minus_mul L)" if rest else "(minus_minus L)"
        return (Monomial(m.bound, rest),), chain(q, under(m.bound, rule))

    def _corners(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        """A factor, or two, that a hypothesis of corners.py makes a polynomial."""
        for place, f in enumerate(m.factors):
            if (found := self.corners.of(f, m.factors)) is None:
                continue
            right, beside, h = found
            moved, q = front(m, [place] if beside is None else [place, m.factors.index(beside)])
            rest = moved.factors[1 if beside is None else 2 :]
            gather = chain("(symm (mul_assoc L))", both("mul_congr", h, None)) if beside and rest else None
            proof = gather or (both("mul_congr", h, None) if rest else h)
            poly, r = self.normaliser.of(Monomial(m.bound, (right, *rest)).term)
            return poly, chain(q, under(m.bound, proof), r)
        return None

    def _repeated(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        """[c] [c] = [c]."""
        for i, f in enumerate(m.factors):
            if f[0] == "ind" and f in m.factors[:i]:
                moved, q = front(m, [m.factors.index(f), i])
                rule = "(ind_ind_mul L)" if moved.factors[2:] else "(ind_ind L)"
                return (Monomial(m.bound, moved.factors[1:]),), chain(q, under(m.bound, rule))
        return None

    def _inverses(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        """Two literals whose product is 1, or 1/2."""
        places = [i for i, f in enumerate(m.factors) if f[0] == "ref" and f[1] in self.literals]
        for i in places:
            for j in places:
                x, y = m.factors[i][1], m.factors[j][1]
                product = next((t for v, t in PRODUCTS.items() if close(self.literals[x] * self.literals[y], v)), None)
                if i >= j or product is None:
                    continue
                first, second = sorted((x, y))
                names = [n.removeprefix("P.") for n in (first, second)]
                h = self.assumed.ask(
                    f"product_{'_'.join(names)}", (), f"Same (A.mul {first} {second}) {shown(product)}",
                    f"{' times '.join(names)} is {'1' if product == ONE else '1/2'}",
                )  # fmt: skip
                moved, q = front(m, [i, j] if x == first else [j, i])
                rest = moved.factors[2:]
                if product == ONE:
                    return (Monomial(m.bound, rest),), chain(q, under(m.bound, f"(one_of L {h})" if rest else h))
                gather = chain("(symm (mul_assoc L))", both("mul_congr", h, None)) if rest else h
                return (Monomial(m.bound, (HALF, *rest)),), chain(q, under(m.bound, gather))
        return None

    def _values(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        """f(x), where the forward pass has that value."""
        for i, f in enumerate(m.factors):
            if f[0] != "fn" or f[2][0] != "ref" or (f[1], f[2][1]) not in self.functions:
                continue
            d = self.functions[f[1], f[2][1]]
            _, _, argument = d.body
            argument, q = self.normaliser.atom(argument)
            if not all(a[0] == "i" for a in argument[2]) or len(set(argument[2])) < len(d.at):
                continue
            of = dict(zip((a[1] for a in argument[2]), f[2][2], strict=True))
            value = ("ref", d.name, tuple(of[a] for a in d.at))
            factors = (*m.factors[:i], value, *m.factors[i + 1 :])
            fold = f"(symm {chain(f'{d.name}_is', q and f'(cong A.{f[1]} {q})')})"
            return (Monomial(m.bound, factors),), under(m.bound, at_place(i, len(factors), fold))
        return None

    def _masks(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        """[c] v = v."""
        for i, c in enumerate(m.factors):
            for j, v in enumerate(m.factors):
                if c[0] != "ind" or v[0] != "ref" or v[1] not in self.masked:
                    continue
                at = dict(zip(self.exported.definitions[v[1]].at, v[2], strict=True))
                if replaced(self.masked[v[1]], at) == c[1]:
                    moved, q = front(m, [i, j])
                    own = f"(masked_{v[1]} L H)"
                    drop = f"(masked_mul L {own})" if moved.factors[2:] else own
                    return (Monomial(m.bound, moved.factors[1:]),), chain(q, under(m.bound, drop))
        return None

    def _reciprocals(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        for i, f in enumerate(m.factors):
            if f[:2] != ("fn", "recip") or f[2] not in m.factors or f[2][0] != "ref":
                continue
            name, at = f[2][1], f[2][2]
            general = ("ref", name, tuple(("i", f"j{n}") for n in range(len(at))))
            h = self.assumed.ask(
                f"not_zero_{name.removeprefix('P.')}", at,
                f"Same (A.mul {shown(general)} (A.recip {shown(general)})) A.one",
                f"{self._said(name)} is not 0, so that x (1/x) = 1",
            )  # fmt: skip
            moved, q = front(m, [m.factors.index(f[2]), i])
            rest = moved.factors[2:]
            return (Monomial(m.bound, rest),), chain(q, under(m.bound, f"(one_of L {h})" if rest else h))
        return None

    def _said(self, name: str) -> str:
        d = self.exported.definitions.get(name)
        return f"{name}, {d.kind} of {d.loc}," if d else name

    def _tail(self, m: Monomial, place: int, inner: list[int]) -> tuple[Monomial, Proof, int]:
        """The factor at `place` last and alone under the sums `inner`, which are innermost; how many are before it."""
        outer = [i for i in range(len(m.bound)) if i not in inner]
        others = [i for i in range(len(m.factors)) if i != place]
        moved, q = rearranged(m, [*outer, *inner], [*others, place])
        bound = moved.bound[: len(outer)]
        return (
            Monomial(bound, moved.factors),
            chain(q, under(bound, pulled(len(others), moved.bound[len(outer) :]))),
            len(others),
        )

    def _lonely(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        for index, _ in m.bound:
            having = [i for i, f in enumerate(m.factors) if not independent(f, index)]
            if len(having) != 1:
                continue
            place = having[0]
            f = m.factors[place]
            if f[0] == "ind" and f[1][0] == "equal" and f[1][2] == ("i", index) and f[1][1][0] == "ref":
                return self._label(m, place, index, f[1][1])
            d = self.exported.definitions.get(f[1]) if f[0] == "ref" else None
            if f[0] != "ref" or (d and d.backward):
                continue
            if (found := self._folded(m, place, index)) is not None:
                return found
            if d and d.kind in ("sub", "select", "add"):
                return self._opened(m, place)
        return None

    def _opened(self, m: Monomial, place: int) -> tuple[Polynomial, Proof]:
        """A factor replaced by its body."""
        f = m.factors[place]
        factors = [*m.factors[:place], self.normaliser.body(f), *m.factors[place + 1 :]]
        term = Monomial(m.bound, tuple(factors)).term
        poly, q = self.normaliser.of(term)
        return poly, chain(under(m.bound, at_place(place, len(factors), f"{f[1]}_is")), q)

    def _label(self, m: Monomial, place: int, index: str, label: Term) -> tuple[Polynomial, Proof]:
        position = [i for i, _ in m.bound].index(index)
        size = m.bound[position][1]
        general = ("ref", label[1], tuple(("i", f"j{n}") for n in range(len(label[2]))))
        h = self.assumed.ask(
            f"label_{label[1].removeprefix('P.')}", label[2],
            f"Same (sum A S.{size} (fun k => ind A (equal {shown(general)} k))) A.one",
            f"every label in {label[1].removeprefix('P.')} is one of the {self.lengths[size]} classes",
        )  # fmt: skip
        moved, q, others = self._tail(m, place, [position])
        factors = moved.factors[:-1]
        last = at_place(others, others + 1, h)
        drop = at_place(others - 1, others, "(mul_one L)") if others else None
        return (Monomial(moved.bound, factors),), chain(q, under(moved.bound, chain(last, drop)))

    def _folded(self, m: Monomial, place: int, index: str) -> tuple[Polynomial, Proof] | None:
        """The sum of a forward value that the forward pass has."""
        f = m.factors[place]
        for name in self.sums.get(f[1], ()):
            d = self.exported.definitions[name]
            inner, body, sizes = [], d.body, []
            while body[0] == "sum":
                inner.append(body[1])
                sizes.append((body[1], body[2]))
                body = body[3]
            body, moved_by = self.normaliser.atom(body)
            of_body = dict(zip((i[1] for i in body[2]), f[2], strict=True))
            bound = [i for i, _ in m.bound]
            group = [of_body[i][1] if of_body[i][0] == "i" else "" for i in inner]
            if index not in group or not all(g in bound for g in group):
                continue
            if any(not independent(x, g) for g in group for n, x in enumerate(m.factors) if n != place):
                continue
            total = ("ref", name, tuple(of_body[i] for i in d.at))
            moved, q, others = self._tail(m, place, [bound.index(g) for g in group])
            whole = chain(f"{name}_is", under(tuple(sizes), moved_by))
            fold = at_place(others, others + 1, f"(symm {whole})")
            return (Monomial(moved.bound, (*moved.factors[:-1], total)),), chain(q, under(moved.bound, fold))
        return None

    def _multiples(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        for position, (index, size) in enumerate(m.bound):
            if any(not independent(f, index) for f in m.factors):
                continue
            length: Term = ("sum", "j", size, ONE)
            outer = [i for i in range(len(m.bound)) if i != position]
            moved, q = rearranged(m, [*outer, position], list(range(len(m.factors))))
            bound, n = moved.bound[:-1], len(m.factors)
            if n == 0:
                return (Monomial(bound, (length,)),), q
            widen = under(moved.bound, at_place(n - 1, n, "(symm (mul_one L))"))
            return (Monomial(bound, (*m.factors, length)),), chain(q, widen, under(bound, pulled(n, moved.bound[-1:])))
        return None

    def _shares(self, m: Monomial) -> tuple[Polynomial, Proof] | None:
        """A literal 1/n where sizes whose product is n are factors."""
        lengths = [i for i, f in enumerate(m.factors) if f[0] == "sum" and f[3] == ONE]
        if not lengths:
            return None
        for i, f in enumerate(m.factors):
            if f[0] == "ref" and f[1] in self.shares and (found := self._share(m, i, lengths)) is not None:
                return found
        return None

    def _share(self, m: Monomial, place: int, lengths: list[int]) -> tuple[Polynomial, Proof] | None:
        name = m.factors[place][1]
        each = {m.factors[i][2]: i for i in reversed(lengths)}  # a size that is there twice may be in two shares
        some = (c for count in range(len(each), 0, -1) for c in combinations(each.values(), count))
        whole = self.shares[name]
        chosen = next(
            (c for c in (lengths, *some) if math.prod(self.lengths[m.factors[i][2]] for i in c) == whole), None
        )
        if chosen is None:
            return None
        chosen = sorted(chosen, key=lambda i: m.factors[i][2])
        sizes = [m.factors[i][2] for i in chosen]
        product = mul(("ref", name, ()), *(m.factors[i] for i in chosen))
        h = self.assumed.ask(
            f"share_{name.removeprefix('P.')}_{'_'.join(sizes)}", (), f"Same {shown(product)} A.one",
            f"{name.removeprefix('P.')} is 1 over {' times '.join(sizes)}",
        )  # fmt: skip
        moved, q = front(m, [place, *chosen])
        rest = moved.factors[1 + len(chosen) :]
        if not rest:
            return (Monomial(m.bound, ()),), chain(q, under(m.bound, h))
        # c (l1 (l2 rest)) = (c (l1 l2)) rest
        gather: Proof = None
        for _ in chosen:
            gather = chain(both("mul_congr", None, gather), "(symm (mul_assoc L))")
        return (Monomial(m.bound, rest),), chain(
            q, under(m.bound, chain(gather, both("mul_congr", h, None), "(one_mul L)"))
        )
