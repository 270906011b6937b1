"""What is assumed where a function has a corner, or is written in two pieces: minima with a number, softplus.

- y = min(r, k): [k > y] = 1 - [r > k], as no r is k; and [y > 0] = [x > 0] where r = max(x, 0), as k > 0.
- softplus is max(x, 0) + log(1 + e), e = exp(-|x|), and e / (1 + e) is s or 1 - s, s the logistic function of x, by
  whether x > -x, which is whether x > 0. And s(-x) = 1 - s(x).

- c = max(m, b), m = min(r, k): beside [m > b] both are opened.
- y = min(max(x, b), k): y is x where x > b and not max(x, b) > k, as no x is b.
- s = max(t, 1), t a sum: t > 1, and t (1/s) = 1.
- e = c ? 0 : x, x an exponential: x = e + [c] x, and e [c] = 0; these are shown, as lemmas of the file.

Each is a rule for a factor of a monomial, which becomes a polynomial.
"""

from __future__ import annotations

from collections.abc import Mapping

from netc.proofs.assumed import Assumptions
from netc.proofs.exported import Definition
from netc.proofs.normal import Normaliser
from netc.proofs.terms import MINUS, ONE, ZERO, Term, add, mul, replaced, shown

TWO = add(ONE, ONE)


class Corners:
    """The minima of a program, its softplus, and the hypotheses on them."""

    def __init__(self, definitions: Mapping[str, Definition], assumed: Assumptions) -> None:
        self.definitions, self.assumed = definitions, assumed
        self.plain = Normaliser(definitions, lambda d: False)
        self.minima: dict[str, tuple[Term, Term, Term | None]] = {}  # y: r, k, and x if r is max(x, 0)
        self.softplus: dict[str, tuple[Term, Term]] = {}  # e: x, and -x
        self.turned: dict[str, Definition] = {}  # x: -x
        self.totals: dict[str, Definition] = {}  # t: s
        self.parts: dict[str, tuple[Definition, Term]] = {}  # x: e, and c at e's indices
        self.apart: dict[str, Term] = {}  # e: c
        self.lemmas: list[str] = []
        readers = {"min": self._minimum, "exp": self._exponential, "max": self._total, "select": self._part}
        for d in definitions.values():
            if not d.backward and d.kind in readers:
                readers[d.kind](d)

    def _of_kind(self, term: Term, kind: str) -> Definition | None:
        d = self.definitions.get(term[1]) if term[0] == "ref" else None
        return d if d and d.kind == kind else None

    def _minimum(self, d: Definition) -> None:
        _, (_, r, k), _, _ = d.body
        r, k = self.plain.atom(r)[0], self.plain.atom(k)[0]
        x = None
        if self._of_kind(r, "max"):
            _, a, b = self.plain.body(r)
            x = self.plain.atom(a)[0] if self.plain.atom(b)[0] == ZERO else None
        self.minima[d.name] = r, k, x

    def _exponential(self, d: Definition) -> None:
        """e = exp(-max(x, -x))."""
        negative = self.plain.atom(d.body[2])[0]
        if not self._of_kind(negative, "neg"):
            return
        size = self.plain.atom(self.plain.body(negative)[2])[0]
        if not self._of_kind(size, "max"):
            return
        _, x, minus = self.plain.body(size)
        x, minus = self.plain.atom(x)[0], self.plain.atom(minus)[0]
        turned = self._of_kind(minus, "neg")
        if turned is None or self.plain.atom(self.plain.body(minus)[2])[0] != x or minus[2] != x[2]:
            return
        self.softplus[d.name] = x, minus
        self.turned[x[1]] = turned

    def _total(self, d: Definition) -> None:
        _, a, b = d.body
        total = self._of_kind(self.plain.atom(a)[0], "reduce_sum")
        if total and self.plain.atom(b)[0] == ONE:
            self.totals[total.name] = d

    def _part(self, d: Definition) -> None:
        """e = c ? 0 : x, at the same indices."""
        _, c, a, b = d.body
        (c, qc), (a, qa), (b, qb) = self.plain.truth(c), self.plain.atom(a), self.plain.atom(b)
        x = self._of_kind(b, "exp")
        if a != ZERO or x is None or b[2] != tuple(("i", i) for i in d.at):
            return
        self.parts[x.name], self.apart[d.name] = (d, c), c
        opened = f"(trans {d.name}_is (choose_all {qc or 'refl'} {qa or 'refl'} {qb or 'refl'}))"
        binder = f"{{{' '.join(d.at)} : N}} (L : Laws A) (H : Given A S P)"
        hit: Term = ("ind", c)
        self.lemmas += [
            f"theorem parts_{x.name} {binder} :\n    Same {shown(b)} {shown(add(d.term, mul(hit, b)))} :=\n"
            f"  (trans (choose_parts L) (add_congr (symm {opened}) refl))",
            f"theorem apart_{d.name} {binder} :\n    Same {shown(mul(d.term, hit))} A.zero :=\n"
            f"  (trans (mul_congr {opened} refl) (choose_apart L))",
        ]

    def of(self, f: Term, others: tuple[Term, ...]) -> tuple[Term, Term | None, str] | None:
        """What a factor is, the other factor that it is so with, if any, and the proof."""
        match f:
            case ("ref", name, _) if (d := self._of_kind(f, "max")) and not d.backward:
                return self._clamped(f, others)
            case ("ref", name, at) if name in self.parts or name in self.apart:
                return self._parted(name, at, f, others)
            case ("ind", ("gt", ("ref", name, at) as x, ("one",))) if name in self.totals:
                d = self.definitions[name]
                said = f"the sum of {d.loc} is above 1"
                found, h = self._ask(f"above_one_{name}", d, at, ("ind", ("gt", d.term, ONE)), ONE, said)
                return found, None, h
            case ("fn", "recip", ("ref", name, at)) if (x := self._summed(name, at)) is not None and x in others:
                d = self.definitions[x[1]]
                s = replaced(self.totals[d.name].term, dict(zip(self.totals[d.name].at, d.term[2], strict=True)))
                said = f"with a sum above 1, of {d.loc}, max(x, 1) is x, which is not 0, so that x (1/x) = 1"
                found, h = self._ask(f"inverse_{d.name}", d, x[2], mul(("fn", "recip", s), d.term), ONE, said)
                return found, x, h
            case ("ind", ("gt", ("ref", name, at), ("zero",))) if name in self.turned:
                return self._same_sign(name, at)
            case ("ind", ("gt", ("ref", name, at), ("zero",))) if name in self.minima:
                return self._above(self.definitions[name], at)
            case ("ind", ("tied", x, ("ref", name, at))) if name in self.minima:
                return self._between(self.definitions[name], at, x)
            case ("ind", ("gt", k, ("ref", name, at))) if name in self.minima:
                return self._below(self.definitions[name], at, k)
            case ("fn", "recip", ("add", ("one",), ("ref", name, at) as e)) if name in self.softplus and e in others:
                return self._share(self.definitions[name], at, e)
            case ("fn", "logistic", ("ref", name, _) as x) if (d := self.definitions.get(name)) and d.kind == "neg":
                _, _, y = self.plain.body(x)
                odd = self.assumed.of_all(
                    "logistic_turned",
                    "Same (A.logistic (A.mul A.minus x)) (A.add A.one (A.mul A.minus (A.logistic x)))",
                    "s(-x) is 1 - s(x), s the logistic function",
                )  # fmt: skip
                right = add(ONE, mul(MINUS, ("fn", "logistic", y)))
                return right, None, f"(trans (cong A.logistic {name}_is) ({odd} _))"
        return None

    def _ask(
        self, name: str, d: Definition, at: tuple[Term, ...], left: Term, right: Term, said: str
    ) -> tuple[Term, str]:
        """The right side at these indices, and the proof."""
        general = {i: ("i", f"j{n}") for n, i in enumerate(d.at)}
        statement = f"Same {shown(replaced(left, general))} {shown(replaced(right, general))}"
        return replaced(right, dict(zip(d.at, at, strict=True))), self.assumed.ask(name, at, statement, said)

    def _summed(self, name: str, at: tuple[Term, ...]) -> Term | None:
        """The sum of which a value is the maximum with 1."""
        return next((("ref", t, at) for t, s in self.totals.items() if s.name == name), None)

    def _parted(
        self, name: str, at: tuple[Term, ...], f: Term, others: tuple[Term, ...]
    ) -> tuple[Term, Term | None, str] | None:
        d, c = self.parts.get(name) or (self.definitions[name], self.apart[name])
        by = dict(zip(d.at, at, strict=True))
        hit: Term = ("ind", replaced(c, by))
        if name in self.apart:
            return (ZERO, hit, f"(apart_{name} L H)") if hit in others else None
        return None if hit in others else (add(replaced(d.term, by), mul(hit, f)), None, f"(parts_{name} L H)")

    def _clamped(self, c: Term, others: tuple[Term, ...]) -> tuple[Term, Term | None, str] | None:
        _, m, b = self.plain.body(c)
        if self._of_kind(m, "min") is None or ("ind", self.plain.truth(("gt", m, b))[0]) not in others:
            return None
        _, more, k, r = self.plain.body(m)
        inner, opened = ("choose", more, k, r), f"{m[1]}_is"
        if self._of_kind(r, "sub"):  # as it is opened elsewhere
            inner, opened = (
                ("choose", more, k, self.plain.body(r)),
                f"(trans {opened} (choose_all refl refl {r[1]}_is))",
            )
        proof = f"(trans {c[1]}_is (trans max_is (choose_all refl {opened} refl)))"
        return ("choose", ("gt", m, b), inner, b), None, proof

    def _same_sign(self, name: str, at: tuple[Term, ...]) -> tuple[Term, Term | None, str]:
        d = self.turned[name]
        x: Term = ("ref", name, tuple(("i", i) for i in d.at))
        found, h = self._ask(
            f"sign_{d.name}", d, at, ("ind", ("gt", x, ZERO)), ("ind", ("gt", x, d.term)),
            f"in {d.loc} x > 0 where x > -x",
        )  # fmt: skip
        return found, None, h

    def _above(self, d: Definition, at: tuple[Term, ...]) -> tuple[Term, Term | None, str] | None:
        x = self.minima[d.name][2]
        if x is None:
            return None
        found, h = self._ask(
            f"above_{d.name}", d, at, ("ind", ("gt", d.term, ZERO)), ("ind", ("gt", x, ZERO)),
            f"the minimum of {d.loc} is above 0 where its argument is",
        )  # fmt: skip
        return found, None, h

    def _between(self, d: Definition, at: tuple[Term, ...], x: Term) -> tuple[Term, Term | None, str] | None:
        """x = y, y = min(max(x, b), k)."""
        r, k, _ = self.minima[d.name]
        if self._of_kind(r, "max") is None:
            return None
        _, a, b = self.plain.body(r)
        a, b = self.plain.atom(a)[0], self.plain.atom(b)[0]
        if replaced(a, dict(zip(d.at, at, strict=True))) != x:
            return None
        found, h = self._ask(
            f"between_{d.name}", d, at, ("ind", ("tied", a, d.term)),
            mul(add(ONE, mul(MINUS, ("ind", ("gt", r, k)))), ("ind", ("gt", a, b))),
            f"no number of which {d.loc} takes what is between two others is at the lower one",
        )  # fmt: skip
        return found, None, h

    def _below(self, d: Definition, at: tuple[Term, ...], above: Term) -> tuple[Term, Term | None, str] | None:
        r, k, _ = self.minima[d.name]
        if replaced(k, dict(zip(d.at, at, strict=True))) != above:
            return None
        found, h = self._ask(
            f"corner_{d.name}", d, at, ("ind", ("gt", k, d.term)), add(ONE, mul(MINUS, ("ind", ("gt", r, k)))),
            f"no number of which {d.loc} takes a minimum is at its corner",
        )  # fmt: skip
        return found, None, h

    def _share(self, d: Definition, at: tuple[Term, ...], e: Term) -> tuple[Term, Term | None, str]:
        x, minus = self.softplus[d.name]
        s, greater = ("fn", "logistic", x), ("ind", ("gt", x, minus))
        found, h = self._ask(
            f"softplus_{d.name}", d, at, mul(("fn", "recip", add(ONE, d.term)), d.term),
            add(greater, s, mul(MINUS, TWO, greater, s)),
            f"with e = exp(-|x|) of {d.loc} e / (1 + e) is 1 - s(x) where x > -x, else s(x), s the logistic function",
        )  # fmt: skip
        return found, e, h
