"""The theorem of a net and its proof: the emitted gradients are the derivative of the emitted loss.

The derivative of the loss along any direction of the parameters is the ε-part of the emitted forward pass on dual
numbers. It is rewritten from the loss back to the parameters, value by value, always as a sum of pieces, each linear in
the derivative of one value. Where the emitted backward pass has the cotangent of a value, the piece is shown to be
<that cotangent, derivative>, and the proof goes on from there: so the proof is cut where the layers are, and a step
knows one layer's algebra only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from netc.codegen.ir import Function, Value
from netc.proofs.assumed import Assumptions
from netc.proofs.blame import NotProvenError, blamed, working_at
from netc.proofs.derivative import Derivatives
from netc.proofs.export import export
from netc.proofs.exported import Definition, Exported
from netc.proofs.known import Known
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
    rearranged,
    same_polynomial,
    term_of,
    under,
)
from netc.proofs.recurrences import Scans
from netc.proofs.terms import Term, add, replaced, restart, shown, sums
from netc.proofs.tidy import Tidier

LARGEST_CONE = 32  # operations of a pullback between one cotangent and the next


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


def proved(function: Function, trained: tuple[str, ...], layers: Mapping[Value, str] | None = None) -> Proved:
    """The proof for a function whose results are the loss, then the gradient of each trained argument.

    `layers`: of each value its layer, where the places do not say it.
    """
    restart()
    exported = export(function, trained, layers=layers)
    return _Prover(exported, trained).run()


class _Prover:
    def __init__(self, exported: Exported, trained: tuple[str, ...]) -> None:
        self.exported, self.trained = exported, trained
        self.definitions = exported.definitions
        self.assumed = Assumptions()
        lengths = {a.name: a.size for a in exported.axes.sizes}
        self.tidier = Tidier(exported, self.assumed, lengths)
        self.scans = Scans(exported, self.assumed)
        self.out = Proved(exported, self.assumed)
        self.order = {name: n for n, name in enumerate(self.definitions)}
        self.out.steps += [*self.tidier.corners.lemmas, *Known(exported, self.assumed, self.tidier).lemmas]
        self.cotangents: dict[str, str] = {}  # matched ones: backward value -> the value whose cotangent it is
        self.state: list[Piece] = []
        self.finished: list[Piece] = []
        self.count = 0
        loss, *grads = (exported.names[v] for v in exported.function.results)
        self.loss = loss
        self.gradients = dict(zip((self._field(n) for n in trained), grads, strict=False))

    def _field(self, name: str) -> str:
        at = self.exported.function.names.index(name)
        return self.exported.names[self.exported.function.params[at]]

    def _forward(self) -> list[Definition]:
        """The definitions that the loss needs, in order."""
        needed, kept = {self.loss}, []
        for d in reversed(self.definitions.values()):
            if d.name in needed:
                kept.append(d)
                needed.update(self.exported.names[v] for v in d.op.operands if v in self.exported.names)
        return kept[::-1]

    # -- the walk ----------------------------------------------------------------------------------------------------

    def run(self) -> Proved:
        """The whole proof."""
        forward = self._forward()
        self.derivatives = Derivatives(self.exported, forward)
        self.out.lemmas += self.derivatives.lemmas
        first = self._piece(self.loss, (Monomial((), (("t", self.loss, ()),)),))
        self.state = [first]
        self._main("refl")
        reader: dict[str, str] = {}  # of each parameter the first, where the walk back meets it last
        for d in forward:
            for v in d.op.operands:
                reader.setdefault(self.exported.names.get(v, ""), d.name)
        for d in reversed(forward):
            with working_at(d.loc):
                self._passed(d)
                for name in self.gradients:
                    if reader.get(name) == d.name:
                        self._finished(name)
        for name in self.gradients:
            if name not in reader:  # the loss does not depend on it
                self._finished(name)
        self.out.statement = shown(add(*(term_of(p.poly) for p in reversed(self.finished))))
        return self.out

    def _passed(self, d: Definition) -> None:
        """One value of the forward pass: its pieces are one, and that is in the derivatives of what it reads."""
        mine = [p for p in self.state if p.of == d.name]
        if not mine or d.name in self.derivatives.constant or d.type != "K":
            return
        mine = self._gathered(d, mine)
        if mine and d.kind == "reduce_max":
            raise NotProvenError(f"{d.loc}: the derivative of {d.kind} does not vanish")
        if mine and d.kind == "linear_scan":
            self._scanned(d, mine[0])
        elif mine:
            self._opened(d, mine[0])

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
            gather = gather if before else "(symm (zero_add L))"
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
        if simple and d.kind == "reduce_max":  # what the cotangents of its layer say is needed
            within = self._within(d, d.layer)
            dropped = self.exported.dropped(d)
            opener = self._opener(
                lambda c: within(c) or c.name in dropped or (c.kind == "dot" and not c.backward and c.layer == d.layer)
            )
            opened, r = opener.of(replaced(term_of(simple), {}))
            simple, t = self.tidier.of(opened)
            q = chain(q, r, t)
        if not simple:
            self._step(mine, [], chain(flat, q), d.loc)
            return []
        for candidate, order, inside in () if d.alias else self._candidates(d, simple):
            pair = self._pair(candidate.name, d.name, d.at, d.sizes, order)
            same, proof = self._equal_to_pair(simple, pair, candidate.name, inside)
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

    def _opener(self, opens: Callable[[Definition], bool]) -> Normaliser:
        return Normaliser(self.definitions, opens, self.tidier.again)

    def _within(self, d: Definition | None, layer: str) -> Callable[[Definition], bool]:
        """What is opened to see that a value of the layer's backward pass is the cotangent of d, or of its input.

        All of the backward pass but the cotangents that are known from other layers, and the layer's own sums after d.
        """
        first = self.order[d.name] if d else -1

        def opens(c: Definition) -> bool:
            if c.backward:
                return c.name not in self.cotangents or c.layer == layer
            return c.layer == layer and c.kind in ("add", "sub") and self.order[c.name] > first

        return opens

    def _candidates(
        self, d: Definition, simple: Polynomial
    ) -> Iterator[tuple[Definition, tuple[int, ...], Callable[[Definition], bool] | None]]:
        """Values of the backward pass that may be the cotangent of d: a few operations after those in `simple`.

        Also at which of d's indices each is, and what must be opened besides to see it, if anything.
        """
        found = []
        for c in self.definitions.values():
            if c.backward and not c.alias and c.name not in self.cotangents and c.type == "K":
                found += [(c, order) for order in _orders(d.sizes, c.sizes)]
        known = {f[1] for m in simple for f in m.factors if f[0] == "ref" and f[1] in self.cotangents}
        yield from ((c, order, None) for c, order in found if self._from(c, "") == known)
        for c, order in found:
            layer = c.layer
            wide = set().union(*(self._from(self.definitions[n], layer) or () for n in known))
            if wide and self._from(c, layer) == wide:
                yield c, order, self._within(d, layer)

    def _from(self, c: Definition, layer: str) -> set[str] | None:
        """The cotangents, but those of the layer itself, that c is made of; None if it is many operations from them."""
        seen: set[str] = set()
        known: set[str] = set()
        todo = [c]
        while todo:
            d = todo.pop()
            if d.name in self.cotangents and d.layer != layer:
                known.add(d.name)
            elif d.backward and d.name not in seen:
                seen.add(d.name)
                if len(seen) > LARGEST_CONE:
                    return None
                todo += [
                    self.definitions[n] for v in d.op.operands if (n := self.exported.names.get(v)) in self.definitions
                ]
        return known

    def _pair(
        self, cotangent: str, of: str, at: tuple[str, ...], sizes: tuple[str, ...], order: tuple[int, ...]
    ) -> Polynomial:
        """<cotangent, derivative>, the cotangent at the indices in `order`."""
        indices = tuple(("i", f"{i}") for i in at)
        factors = (("ref", cotangent, tuple(indices[n] for n in order)), ("t", of, indices))
        return (Monomial(tuple(zip(at, sizes, strict=True)), factors),)

    def _equal_to_pair(
        self, poly: Polynomial, pair: Polynomial, cotangent: str, inside: Callable[[Definition], bool] | None = None
    ) -> tuple[bool, Proof]:
        opener = self._opener(inside or (lambda d: d.backward and (d.name not in self.cotangents)))
        first: Proof = None
        if inside:
            opened, q = opener.of(replaced(term_of(poly), {}))
            poly, r = self.tidier.of(opened)
            first = chain(q, r)
        if cotangent in self.cotangents and inside is None:
            found, q = pair, None
        else:
            found, q = opener.of(replaced(term_of(pair), {}))
        simple, r = self.tidier.of(found)
        same, proof = same_polynomial(poly, simple)
        proof = chain(first, proof)
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
        opener.derivatives = {d.name: self.derivatives.of[d.name]}
        found, q = opener.of(replaced(term_of(piece.poly), {}))
        self._divided(d, piece, found, q)

    def _scanned(self, d: Definition, piece: Piece) -> None:
        """<w, dh> of a scan h replaced by what goes back through it."""
        through = self.scans.through(d, piece.poly, self.derivatives.of[d.name])
        if through is None:
            raise NotProvenError(f"{d.loc}: no scan from the end is shown to be what goes back through {d.kind}")
        self.out.steps.append(through.lemma)
        self.cotangents[through.back.name] = d.name
        (m,) = piece.poly
        last = [i for i, _ in m.bound].index(through.time)
        moved, q = rearranged(m, [*(i for i in range(len(m.bound)) if i != last), last], [0, 1])
        outer = moved.bound[:-1]
        found, r = self._opener(lambda _: False).of(sums(outer, through.right))
        self._divided(d, piece, found, chain(q, under(outer, through.proof), r))

    def _divided(self, d: Definition, piece: Piece, found: Polynomial, q: Proof) -> None:
        """A piece that is `found` as pieces, each of the derivative of one value."""
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
        pair = self._pair(self.gradients[name], name, at, parameter.sizes, tuple(range(len(at))))
        loc = f"the gradient of {parameter.said}"
        poly, flat = self._flat(mine)
        simple, q = self.tidier.of(poly)
        gradient = self.definitions.get(self.gradients[name])
        layer = gradient.layer if gradient else "the cotangent itself"
        for inside in (None, self._within(None, layer)):
            same, proof = self._equal_to_pair(simple, pair, self.gradients[name], inside)
            if same:
                break
        if not same:
            where = blamed(gradient, self.exported, self.cotangents)
            raise NotProvenError(f"{loc} is not shown to be the derivative{where}")
        piece = self._piece(name, pair)
        self._step(mine, [piece], chain(flat, q, proof, back(f"{piece.name}_is")), loc)
        self._added(piece, loc)

    def _added(self, piece: Piece, loc: str) -> None:
        """A finished piece is added to the sum of those before it, so that what a step is about stays short."""
        self.finished.append(piece)
        before = [piece, *(p for p in self.state if p.of == "")]
        total = Piece(f"sum{len(self.finished)}", "", ())
        self.out.steps.append(
            f"noncomputable def {total.name} (A : Arith K) (S : Sizes) (P : Point K) (D : Direction K) : K :=\n"
            f"  {_sum(before)}"
        )
        self._step(before, [total], None, loc)


def _orders(sizes: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """At which of the indices of `sizes` a value of the sizes `wanted` may be: as they stand, or permuted."""
    if sizes == wanted:
        return (tuple(range(len(sizes))),)
    if sorted(sizes) != sorted(wanted) or len(set(sizes)) < len(sizes):
        return ()
    return (tuple(sizes.index(n) for n in wanted),)


def _sum(pieces: list[Piece]) -> str:
    if not pieces:
        return "A.zero"
    texts = [f"({p.name} A S P D)" for p in pieces]
    text = texts[-1]
    for t in reversed(texts[:-1]):
        text = f"(A.add {t} {text})"
    return text
