"""The theorem of a net and its proof: the emitted gradients are the derivative of the emitted loss.

The derivative of the loss along any direction of the parameters is the ε-part of the emitted forward pass on dual
numbers. It is rewritten from the loss back to the parameters, value by value, always as a sum of pieces, each linear in
the derivative of one value. Where the emitted backward pass has the cotangent of a value, the piece is shown to be
<that cotangent, derivative>, and the proof goes on from there: so the proof is cut where the layers are, and a step
knows one layer's algebra only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netc.codegen.ir import Function
from netc.proofs.export import Definition, Exported, export
from netc.proofs.normal import (
    Monomial,
    Normaliser,
    Polynomial,
    Proof,
    append,
    back,
    both,
    chain,
    permuted,
    same_polynomial,
    term_of,
)
from netc.proofs.terms import HALF, MINUS, ONE, ZERO, Term, add, mul, replaced, restart, shown
from netc.proofs.tidy import Assumptions, Tidier

LARGEST_CONE = 32  # operations of a pullback between one cotangent and the next


class NotProvenError(Exception):
    """A gradient that could not be shown to be the derivative: whose, and where the proof stopped."""


@dataclass(frozen=True)
class Piece:
    """A number that is linear in the derivative of one value: a definition of the file."""

    name: str
    of: str
    poly: Polynomial


@dataclass
class Proved:
    """The parts of the file."""

    exported: Exported
    assumed: Assumptions
    lemmas: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    statement: str = ""


def proved(function: Function, trained: tuple[str, ...]) -> Proved:
    """The proof for a function whose results are the loss, then the gradient of each trained argument."""
    restart()
    exported = export(function, trained)
    return _Prover(exported, trained).run()


class _Prover:
    def __init__(self, exported: Exported, trained: tuple[str, ...]) -> None:
        self.exported, self.trained = exported, trained
        self.definitions = exported.definitions
        self.assumed = Assumptions()
        lengths = {a.name: a.size for a in exported.axes.sizes}
        self.tidier = Tidier(exported, self.assumed, lengths)
        self.out = Proved(exported, self.assumed)
        self.derivatives: dict[str, Term] = {}
        self.constant: set[str] = set()
        self.cotangents: dict[str, str] = {}  # matched ones: backward value -> the value whose cotangent it is
        self.state: list[Piece] = []
        self.count = 0
        loss, *grads = (exported.names[v] for v in exported.function.results)
        self.loss = loss
        self.gradients = dict(zip((self._field(n) for n in trained), grads, strict=True))

    def _field(self, name: str) -> str:
        at = self.exported.function.names.index(name)
        return self.exported.names[self.exported.function.params[at]]

    # -- derivatives -------------------------------------------------------------------------------------------------

    def _forward(self) -> list[Definition]:
        """The definitions that the loss needs, in order."""
        needed, kept = {self.loss}, []
        for d in reversed(self.definitions.values()):
            if d.name in needed:
                kept.append(d)
                needed.update(self.exported.names[v] for v in d.op.operands)
        return kept[::-1]

    def _lift(self, term: Term) -> tuple[str, Term, str]:
        """Of a term on dual numbers: proof of its real part, its ε-part, proof of that."""
        match term:
            case ("ref", name, at):
                if name.startswith("P."):
                    trained = self.exported.fields[name].trained
                    return "refl", ("t", name, at) if trained else ZERO, "refl"
                if name in self.constant:
                    return f"re_{name}", ZERO, f"(d_{name} L)"
                return f"re_{name}", ("t", name, at), "refl"
            case (("add" | "mul" | "max") as head, a, b):
                (ra, ta, ea), (rb, tb, eb) = self._lift(a), self._lift(b)
                real = f"({head}_re {ra} {rb})"
                if head == "add":
                    return real, ("add", ta, tb), f"(add_eps {ea} {eb})"
                new = ("add", ("mul", ta, b), ("mul", a, tb)) if head == "mul" else ("choose", ("gt", a, b), ta, tb)
                return real, new, f"({head}_eps {ra} {rb} {ea} {eb})"
            case ("sum", i, size, a):
                r, t, e = self._lift(a)
                return f"(sum_re (fun {i} => {r}))", ("sum", i, size, t), f"(sum_eps (fun {i} => {e}))"
            case ("largest", i, _, a):
                return f"(largest_re (fun {i} => {self._lift(a)[0]}))", ZERO, ""
            case ("choose", c, a, b):
                truth, (ra, ta, ea), (rb, tb, eb) = self._truth(c), self._lift(a), self._lift(b)
                return f"(choose_re {truth} {ra} {rb})", ("choose", c, ta, tb), f"(choose_eps {truth} {ea} {eb})"
            case ("ind", c):
                return f"(ind_re {self._truth(c)})", ZERO, "ind_eps"
            case ("fn", name, a):
                r, t, e = self._lift(a)
                return f"({name}_re {r})", ("mul", _slope(name, a), t), f"({name}_eps {r} {e})"
        return "refl", ZERO, "refl"

    def _truth(self, term: Term) -> str:
        match term:
            case ("ref", name, _):
                return "refl" if name.startswith("P.") else f"re_{name}"
            case ("gt", a, b):
                return f"(gt_re {self._lift(a)[0]} {self._lift(b)[0]})"
            case ("equal", i, j):
                return f"(cong2 equal {self._truth(i)} {self._truth(j)})"
        return "refl"

    def _lemmas(self, forward: list[Definition]) -> None:
        for d in forward:
            at = "".join(f" {i}" for i in d.at)
            binder = f" {{{at[1:]} : N}}" if d.at else ""
            run = f"{d.name} (dual A) S (along A P D){at}"
            plain = f"{d.name} A S P{at}"
            if d.type != "K":
                self.out.lemmas.append(f"theorem re_{d.name}{binder} : Same ({run}) ({plain}) := {self._truth(d.body)}")
                continue
            real, slope, proof = self._lift(d.body)
            if d.body[0] == "fn" and d.type == "K":  # exp' = exp is the value itself
                slope = ("mul", _slope(d.body[1], d.body[2], d.term), slope[2])
            self.out.lemmas.append(f"theorem re_{d.name}{binder} : Same ({run}).re ({plain}) := {real}")
            t = f"t_{d.name} A S P D{at}"
            arrows = "N → " * len(d.at)
            function = f"fun{at} => ({run}).eps" if at else f"({run}).eps"
            self.out.lemmas.append(
                f"noncomputable def t_{d.name} (A : Arith K) (S : Sizes) (P : Point K) (D : Direction K) : "
                f"{arrows}K := {function}"
            )
            if d.kind == "reduce_max":
                continue
            poly, q = self.tidier.normaliser.of(slope)
            if not poly:
                self.constant.add(d.name)
                slope, proof = ZERO, chain(proof, q) or "refl"
            self.derivatives[d.name] = slope
            self.out.lemmas.append(f"theorem d_{d.name}{binder} (L : Laws A) : Same ({t}) {shown(slope)} := {proof}")

    # -- the walk ----------------------------------------------------------------------------------------------------

    def run(self) -> Proved:
        """The whole proof."""
        forward = self._forward()
        self._lemmas(forward)
        first = self._piece(self.loss, (Monomial((), (("t", self.loss, ()),)),))
        self.state = [first]
        self._main("refl")
        for d in reversed(forward):
            if d.name in self.constant or d.type != "K":
                continue
            if not (mine := [p for p in self.state if p.of == d.name]):
                continue
            mine = self._gathered(d, mine)
            if mine and d.kind == "reduce_max":
                raise NotProvenError(f"{d.loc}: the derivative of {d.kind} does not vanish")
            if mine:
                self._opened(d, mine[0])
        for name in self.gradients:
            self._finished(name)
        self._sorted()
        return self.out

    def _piece(self, of: str, poly: Polynomial) -> Piece:
        piece = Piece(f"e{self.count}", of, poly)
        self.count += 1
        self.out.steps.append(
            f"noncomputable def {piece.name} (A : Arith K) (S : Sizes) (P : Point K) (D : Direction K) : K :=\n"
            f"  {shown(term_of(poly))}\n"
            f"theorem {piece.name}_is : Same ({piece.name} A S P D) {shown(term_of(poly))} := refl"
        )
        return piece

    @staticmethod
    def _named(pieces: list[Piece]) -> Term:
        return add(*(("piece", p.name) for p in pieces))

    def _flat(self, pieces: list[Piece]) -> tuple[Polynomial, Proof]:
        """The monomials of pieces, and the proof that their sum is these."""
        if not pieces:
            return (), None
        first, *rest = pieces
        own = f"{first.name}_is"
        if not rest:
            return first.poly, own
        poly, q = self._flat(rest)
        return (*first.poly, *poly), chain(both("add_congr", own, q), append(len(first.poly), len(poly)))

    def _step(self, before: list[Piece], after: list[Piece], proof: Proof, loc: str) -> None:
        """A theorem that the pieces `before` are those `after`, and the new state."""
        name = f"step{len(self.out.places)}"
        self.out.places[name] = loc
        self.out.steps.append(
            f"/-- {loc} -/\ntheorem {name} (L : Laws A) (H : Given A S P) : "
            f"Same {_sum(before)} {_sum(after)} :=\n  {proof or 'refl'}"
        )
        rest = [p for p in self.state if p not in before]
        order = [self.state.index(p) for p in (*before, *rest)]
        inside = f"({name} L H)"
        if rest:
            gather = back(append(len(before), len(rest))) if len(before) > 1 else None
            spread = append(len(after), len(rest))
            moved = chain(gather, both("add_congr", inside, None), spread)
        else:
            moved = inside
        full = chain(permuted(order, "add"), moved)
        self.state = [*after, *rest]
        self._main(chain("LAST", full) or "refl")

    def _main(self, proof: str) -> None:
        number = sum(s.startswith("theorem main") for s in self.out.steps)
        text = proof.replace("LAST", f"(main{number - 1} L H)", 1)
        self.out.steps.append(
            f"theorem main{number} (L : Laws A) (H : Given A S P) : "
            f"Same ({self.loss} (dual A) S (along A P D)).eps {_sum(self.state)} :=\n  {text}"
        )

    def _gathered(self, d: Definition, mine: list[Piece]) -> list[Piece]:
        """The pieces of one value as one: by the cotangent that the program has, or simplified; none if they vanish."""
        poly, flat = self._flat(mine)
        simple, q = self.tidier.of(poly)
        if simple and d.kind == "reduce_max":  # what its own cotangent says is needed
            appearing = {f[1] for m in simple for f in m.factors if f[0] == "ref" and f[1] in self.cotangents}
            opener = Normaliser(
                self.definitions, lambda c: c.backward and (c.name not in self.cotangents or c.name in appearing)
            )
            opened, r = opener.of(replaced(term_of(simple), {}))
            simple, t = self.tidier.of(opened)
            q = chain(q, r, t)
        if not simple:
            self._step(mine, [], chain(flat, q), d.loc)
            return []
        known = {f[1] for m in simple for f in m.factors if f[0] == "ref" and f[1] in self.cotangents}
        for candidate in () if d.alias else self._candidates(d, known):
            pair = self._pair(candidate.name, d.name, d.at, d.sizes)
            same, proof = self._equal_to_pair(simple, pair, candidate.name)
            if same:
                self.cotangents[candidate.name] = d.name
                piece = self._piece(d.name, pair)
                self._step(mine, [piece], chain(flat, q, proof, back(f"{piece.name}_is")), d.loc)
                return [piece]
        if len(mine) == 1 and simple == mine[0].poly:
            return mine
        piece = self._piece(d.name, simple)
        self._step(mine, [piece], chain(flat, q, back(f"{piece.name}_is")), d.loc)
        return [piece]

    def _candidates(self, d: Definition, known: set[str]) -> Iterator[Definition]:
        """Values of the backward pass that may be the cotangent of d: a few operations after those that are `known`."""
        for c in self.definitions.values():
            if not c.backward or c.alias or c.name in self.cotangents or c.sizes != d.sizes or c.type != "K":
                continue
            if self._from(c) == known:
                yield c

    def _from(self, c: Definition) -> set[str] | None:
        """The cotangents that c is made of, or None if it is many operations from them."""
        seen: set[str] = set()
        known: set[str] = set()
        todo = [c]
        while todo:
            d = todo.pop()
            if d.name in self.cotangents:
                known.add(d.name)
            elif d.backward and d.name not in seen:
                seen.add(d.name)
                if len(seen) > LARGEST_CONE:
                    return None
                todo += [
                    self.definitions[n] for v in d.op.operands if (n := self.exported.names[v]) in self.definitions
                ]
        return known

    def _pair(self, cotangent: str, of: str, at: tuple[str, ...], sizes: tuple[str, ...]) -> Polynomial:
        """<cotangent, derivative>."""
        indices = tuple(("i", f"{i}") for i in at)
        return (Monomial(tuple(zip(at, sizes, strict=True)), (("ref", cotangent, indices), ("t", of, indices))),)

    def _equal_to_pair(self, poly: Polynomial, pair: Polynomial, cotangent: str) -> tuple[bool, Proof]:
        opened = Normaliser(self.definitions, lambda d: d.backward and (d.name not in self.cotangents))
        if cotangent in self.cotangents:
            found, q = pair, None
        else:
            found, q = opened.of(replaced(term_of(pair), {}))
        simple, r = self.tidier.of(found)
        same, proof = same_polynomial(poly, simple)
        if not same or (shape := chain(q, r)) is None:
            return same, proof
        # a theorem of its own, whose two sides Lean is told: read backwards it would not find them
        name = f"shape{sum('theorem shape' in text for text in self.out.steps)}"
        self.out.steps.append(
            f"theorem {name} (L : Laws A) (H : Given A S P) : "
            f"Same {shown(term_of(pair))} {shown(term_of(simple))} :=\n  {shape}"
        )
        return same, chain(proof, f"(symm ({name} L H))")

    def _opened(self, d: Definition, piece: Piece) -> None:
        """A piece with the derivative of its value replaced by those of the operands."""
        opener = Normaliser(self.definitions, lambda _: False)
        opener.derivatives = {d.name: self.derivatives[d.name]}
        found, q = opener.of(replaced(term_of(piece.poly), {}))
        of: dict[str, list[int]] = {}
        for i, m in enumerate(found):
            of.setdefault(next(f[1] for f in m.factors if f[0] == "t"), []).append(i)
        pieces = [self._piece(name, tuple(found[i] for i in places)) for name, places in of.items()]
        order = [i for places in of.values() for i in places]
        _, flat = self._flat(pieces)
        self._step([piece], pieces, chain(f"{piece.name}_is", q, permuted(order, "add"), back(flat)), d.loc)

    def _finished(self, name: str) -> None:
        """The pieces of a parameter are <emitted gradient, direction>."""
        mine = [p for p in self.state if p.of == name]
        parameter = self.exported.fields[name]
        at = tuple(f"i{n}" for n in range(len(parameter.sizes)))
        pair = self._pair(self.gradients[name], name, at, parameter.sizes)
        loc = f"the gradient of {parameter.said}"
        poly, flat = self._flat(mine)
        simple, q = self.tidier.of(poly)
        same, proof = self._equal_to_pair(simple, pair, self.gradients[name])
        if not same or not mine:
            raise NotProvenError(
                f"{loc} ({self.definitions[self.gradients[name]].loc}) is not shown to be the derivative"
            )
        piece = self._piece(name, pair)
        self._step(mine, [piece], chain(flat, q, proof, back(f"{piece.name}_is")), loc)

    def _sorted(self) -> None:
        order = [next(i for i, p in enumerate(self.state) if p.of == name) for name in self.gradients]
        self.state = [self.state[i] for i in order]
        self._main(chain("LAST", permuted(order, "add")) or "refl")
        self.out.statement = shown(add(*(term_of(p.poly) for p in self.state)))


def _slope(name: str, a: Term, value: Term | None = None) -> Term:
    """The derivative of a function at a, as the library writes it; `value` is the function's there."""
    f = value or ("fn", name, a)
    recip = ("fn", "recip", a)
    return {
        "exp": f, "log": recip, "recip": mul(MINUS, ("mul", recip, recip)),
        "rsqrt": ("mul", ("mul", MINUS, HALF), mul(f, f, f)),
        "tanh": add(ONE, ("mul", MINUS, ("mul", f, f))), "logistic": mul(f, add(ONE, ("mul", MINUS, f))),
    }[name]  # fmt: skip


def _sum(pieces: list[Piece]) -> str:
    if not pieces:
        return "A.zero"
    texts = [f"({p.name} A S P D)" for p in pieces]
    text = texts[-1]
    for t in reversed(texts[:-1]):
        text = f"(A.add {t} {text})"
    return text
