"""What is known of single values: functions that the backward pass computes again, and values that a mask leaves as is.

- again: a value of the backward pass is a function of what the forward pass has, up to a sign: tanh(-u) = -tanh(u).
- halved: what goes to one side of a maximum where ties are halved is [a > b], if there is no tie.
- masked: exp(x - m), where x is -inf outside of a mask, is 0 there; so is what has it as a factor.

Each is a lemma of the file, about the value at its own indices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netc.proofs.assumed import Assumptions
from netc.proofs.axes import UnreadError
from netc.proofs.exported import Definition, Exported
from netc.proofs.normal import Normaliser, Polynomial, Proof, back, both, chain, same_polynomial, term_of
from netc.proofs.terms import LOWEST, MINUS, ONE, ZERO, Term, add, mul, replaced, shown
from netc.proofs.tidy import Tidier

ODD = ("tanh", "erf")
INSIDE = ("add", "sub", "mul", "neg", "div")  # what the argument of a function is made of


@dataclass(frozen=True)
class Tie:
    """A choice by whether a side of a maximum is the maximum, and the proof that a value is it."""

    side: Term
    largest: Term
    sides: tuple[Term, Term]
    proof: str


class Known:
    """The lemmas on the values of one program. They are told to the tidier and to its normalisers."""

    def __init__(self, exported: Exported, assumed: Assumptions, tidier: Tidier) -> None:
        self.definitions, self.assumed, self.tidier = exported.definitions, assumed, tidier
        self.plain = Normaliser(self.definitions, lambda d: False)
        self.lemmas: list[str] = []
        functions = [d for d in self.definitions.values() if d.body[0] == "fn"]
        for d in functions:
            if d.backward:
                self._again(d, [f for f in functions if not f.backward and f.layer == d.layer and f.sizes == d.sizes])
            elif d.body[1] == "exp":
                self._masked(d)
        for d in self.definitions.values():
            if d.kind == "max" and not d.backward:
                self._masked_max(d)
            if d.backward and d.kind == "mul":
                self._masked_product(d)
            if d.backward and d.kind == "div":
                self._halved(d)

    def _lemma(self, name: str, d: Definition, left: Term, right: Term, proof: Proof) -> None:
        binder = f" {{{' '.join(d.at)} : N}}" if d.at else ""
        self.lemmas.append(
            f"theorem {name}{binder} (L : Laws A) (H : Given A S P) : Same {shown(left)} {shown(right)} :=\n"
            f"  {proof or 'refl'}"
        )

    # -- functions that are computed again ---------------------------------------------------------------------------

    def _again(self, d: Definition, forward: list[Definition]) -> None:
        _, name, argument = d.body
        opened = Normaliser(self.definitions, lambda c: c.backward)
        wanted, q = self._argument(opened, argument)
        reads = {f[1] for m in wanted for f in m.factors if f[0] == "ref"}
        for f in forward:
            for given, value, last in self._values(name, f, d):
                inner = Normaliser(
                    self.definitions,
                    lambda c: not c.backward and c.layer == d.layer and c.kind in INSIDE and c.name not in reads,
                )
                found, r = self._argument(inner, given)
                same, proof = same_polynomial(wanted, found)
                if same:
                    self._lemma(f"argument_{d.name}", d, given, term_of(found), r)
                    argue = chain(q, proof, f"(symm (argument_{d.name} L H))")
                    self._lemma(
                        f"again_{d.name}", d, d.term, value, chain(f"{d.name}_is", f"(cong A.{name} {argue})", last)
                    )
                    self.tidier.again[d.name] = value
                    return

    def _argument(self, normaliser: Normaliser, term: Term) -> tuple[Polynomial, Proof]:
        found, q = normaliser.of(term)
        simple, r = self.tidier.of(found)
        return simple, chain(q, r)

    def _values(self, name: str, f: Definition, d: Definition) -> Iterator[tuple[Term, Term, Proof]]:
        """Of the function `name` at arguments that f's makes: the argument, the value there, and why, from the left."""
        at = dict(zip(f.at, (("i", i) for i in d.at), strict=True))
        u, own = replaced(f.body[2], at), replaced(f.term, at)
        if f.body[1] == name:
            yield u, own, f"(symm {f.name}_is)"
            if name in ODD:
                odd = self.assumed.of_all(
                    f"{name}_odd", f"Same (A.{name} (A.mul A.minus x)) (A.mul A.minus (A.{name} x))",
                    f"{name}(-x) is -{name}(x)",
                )  # fmt: skip
                yield mul(MINUS, u), mul(MINUS, own), f"(trans ({odd} _) (mul_congr refl (symm {f.name}_is)))"
        elif (f.body[1], name) == ("erf", "exp"):
            square = mul(MINUS, ("mul", u, u))  # as the derivative of erf has it
            yield square, ("fn", "exp", square), None

    # -- ties --------------------------------------------------------------------------------------------------------

    def _halved(self, d: Definition) -> None:
        """(u = max(a, b) ? 1 : 0) / (v = max(a, b) ? 2 : 1) is [a > b] where u is a, and 1 - [a > b] where it is b."""
        _, first, (*_, second) = d.body
        share, count = self._tie(first, ONE, ZERO), self._tie(second, add(ONE, ONE), ONE)
        if share is None or count is None or share.largest != count.largest:
            return
        m = self.definitions[share.largest[1]]
        a, b = share.sides
        if (share.side, count.side) not in ((a, b), (b, a)):
            return
        general = {i: ("i", f"j{n}") for n, i in enumerate(m.at)}
        _, *sides = replaced(m.body, general)
        (x, _), (y, _) = (self.plain.atom(side) for side in sides)
        tie = self.assumed.ask(
            f"no_tie_{m.name}", share.largest[2], f"Same {shown(('gt', y, x))} (not {shown(('gt', x, y))})",
            f"the maximum of {m.loc} is not taken of two equal numbers",
        )  # fmt: skip
        one = self.assumed.ask("one", (), "Same (A.mul A.one (A.recip A.one)) A.one", "1/1 is 1")
        greater: Term = ("ind", ("gt", a, b))
        at_first = (share.side, count.side) == (a, b)
        value = greater if at_first else add(ONE, mul(MINUS, greater))
        opened = both("mul_congr", share.proof, f"(cong A.recip {count.proof})")
        last = f"(halved_{'first' if at_first else 'second'} L {tie} {one})"
        self._lemma(f"again_{d.name}", d, d.term, value, chain(f"{d.name}_is", opened, last))
        self.tidier.again[d.name] = value

    def _tie(self, term: Term, yes: Term, no: Term) -> Tie | None:
        """A term that is (side = max(a, b) ? yes : no)."""
        chosen, q = self.plain.atom(term)
        if chosen[0] != "ref" or chosen[1] not in self.definitions or self.definitions[chosen[1]].kind != "select":
            return None
        _, c, x, y = self.plain.body(chosen)
        (c, qc), (x, qx), (y, qy) = self.plain.truth(c), self.plain.atom(x), self.plain.atom(y)
        if c[0] != "tied" or (x, y) != (yes, no):
            return None
        maxima = [
            m for m in c[1:] if m[0] == "ref" and m[1] in self.definitions and self.definitions[m[1]].kind == "max"
        ]
        if not maxima:
            return None
        m = maxima[-1]
        side, turned = (c[1], None) if m == c[2] else (c[2], "tied_comm")
        _, a, b = self.plain.body(m)
        (a, qa), (b, qb) = self.plain.atom(a), self.plain.atom(b)
        same = chain(qc, turned, both("tied_congr", None, chain(f"{m[1]}_is", both("max_congr", qa, qb))))
        proof = chain(q, f"{chosen[1]}_is", f"(choose_all {same} {qx or 'refl'} {qy or 'refl'})")
        return Tie(side, m, (a, b), proof or "refl")

    # -- masks -------------------------------------------------------------------------------------------------------

    def _masked(self, d: Definition) -> None:
        """e = exp((c ? x : -inf) - m) is [c] e."""
        argument, to_difference = self.plain.atom(d.body[2])
        if argument[0] != "ref" or argument[1] not in self.definitions:
            return
        difference = self.definitions[argument[1]]
        if difference.kind != "sub":
            return
        chosen, to_choice = self.plain.atom(self.plain.body(argument)[1])
        if chosen[0] != "ref" or chosen[1] not in self.definitions or self.definitions[chosen[1]].kind != "select":
            return
        _, c, _, other = self.plain.body(chosen)
        (c, qc), (other, qo) = self.plain.truth(c), self.plain.atom(other)
        if other != LOWEST:
            return
        if c[0] == "and":  # past the sizes such a row may see nothing: what is assumed would contradict itself
            raise UnreadError(d.loc, "a mask of two conditions, which may leave a row empty")
        # at its own indices: of every number it would make all exp(y) = exp(-inf + (inf + y)) 0
        rest = replaced(self.plain.body(argument)[2], {i: ("i", f"j{n}") for n, i in enumerate(d.at)})
        zero = self.assumed.ask(
            f"masked_{d.name}", tuple(("i", i) for i in d.at), f"Same (A.exp (A.add A.lowest {shown(rest)})) A.zero",
            f"where {d.loc} masks, {d.name} is exp(-inf - m) = 0",
        )  # fmt: skip
        parts = f"(choose_all {qc or 'refl'} refl {qo or 'refl'})" if qc or qo else None
        inner = both("add_congr", chain(to_choice, f"{chosen[1]}_is", parts), None)
        opened = chain(f"{d.name}_is", f"(cong A.exp {chain(to_difference, f'{difference.name}_is', inner)})")
        proof = chain(both("mul_congr", None, opened), f"(masked L {zero})", back(opened))
        self._lemma(f"masked_{d.name}", d, mul(("ind", c), d.term), d.term, proof)
        self.tidier.masked[d.name] = c

    def _masked_max(self, d: Definition) -> None:
        """r = max(x, 0) is [x > 0] r."""
        _, a, b = d.body
        (a, qa), (b, qb) = self.plain.atom(a), self.plain.atom(b)
        if b != ZERO:
            return
        opened = chain(f"{d.name}_is", f"(max_congr {qa or 'refl'} {qb or 'refl'})")
        c: Term = ("gt", a, ZERO)
        proof = chain(both("mul_congr", None, opened), "(masked_max L)", back(opened))
        self._lemma(f"masked_{d.name}", d, mul(("ind", c), d.term), d.term, proof)
        self.tidier.masked[d.name] = c

    def _masked_product(self, d: Definition) -> None:
        """A product of which one factor is [c] of itself is so, too."""
        for place in (1, 2):
            factor, q = self.plain.atom(d.body[place])
            if factor[0] != "ref" or factor[1] not in self.tidier.masked:
                continue
            at = dict(zip(self.definitions[factor[1]].at, factor[2], strict=True))
            c = replaced(self.tidier.masked[factor[1]], at)
            own = f"(masked_{factor[1]} L H)"
            opened = chain(f"{d.name}_is", both("mul_congr", *((q, None) if place == 1 else (None, q))))
            rule = f"(masked_mul L {own})" if place == 1 else f"(trans (mul_left L) (mul_congr refl {own}))"
            proof = chain(both("mul_congr", None, opened), rule, back(opened))
            self._lemma(f"masked_{d.name}", d, mul(("ind", c), d.term), d.term, proof)
            self.tidier.masked[d.name] = c
            return
