"""Prove that an optimizer's emitted update is the one that its paper states, for all inputs and options."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netc.codegen.ir import Value
from netc.netspec.errors import NetcError, UserError
from netc.netspec.optimizers import OPTIMIZERS
from netc.proofs.assumed import Assumptions
from netc.proofs.equal import Equal
from netc.proofs.export import export
from netc.proofs.exported import Definition, Field
from netc.proofs.file import library
from netc.proofs.iterates import Stated
from netc.proofs.lean import Checked
from netc.proofs.normal import back, chain, term_of
from netc.proofs.papers import PAPERS, Kept
from netc.proofs.prove import LAWS, told
from netc.proofs.published import Published, published, text
from netc.proofs.terms import MINUS, ONE, ZERO, Term, add, mul, names_in, replaced, restart, shown
from netc.proofs.update import Variant, begin_function, update_function, variants
from netc.proofs.update_file import Compared, UpdateProof, part

LARGEST_DEGREE = 24  # of what is opened to see whether it is a local name of the paper's
AFTER = 8  # operations after one term of a sequence among which the next is looked for
T: Term = ("named", "t")
NEXT: Term = ("succ", T)


def without_bias(option: Term, n: Term) -> Term:
    """1 - b^n."""
    return add(ONE, mul(MINUS, ("pow", option, n)))


@dataclass(frozen=True)
class OptimizerProof:
    """Everything about some optimizers, in one file."""

    words: tuple[str, ...]
    parts: tuple[UpdateProof, ...]
    text: str
    seconds: float

    @property
    def lines(self) -> int:
        """Of the file."""
        return self.text.count("\n")

    @property
    def operations(self) -> int:
        """How many the file has."""
        return sum(len(p.exported.definitions) for p in self.parts)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """One sentence each."""
        found = {said: None for p in self.parts for _, said in p.assumed.found.values()}
        return (LAWS, *found)

    def to_json(self, checked: Checked | None) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": 1, "subject": ", ".join(self.words), "variants": [p.variant.name for p in self.parts],
            "operations": self.operations, "lines": self.lines,
            "assumptions": list(self.assumptions), "seconds": round(self.seconds, 2),
            "checked": None if checked is None else {"holds": checked.holds, "seconds": round(checked.seconds, 2)},
        }  # fmt: skip


def prove_optimizers(words: Sequence[str]) -> OptimizerProof:
    """One file on the updates of these optimizers. Raises UserError for one that has no proof yet."""
    start = time.perf_counter()
    with told(", ".join(words)):
        parts = tuple(_Comparison(v).run() for word in words for v in variants(word) if _known(word))
    whole = "\n".join((library(), text(), *(part(p) for p in parts)))
    return OptimizerProof(tuple(words), parts, whole, time.perf_counter() - start)


def _known(word: str) -> bool:
    if word in proven():
        return True
    raise UserError(f"prove wants an optimizer with a row in PAPERS, {', '.join(proven())}, got {word}; add its row")


def proven() -> tuple[str, ...]:
    """The words of the optimizers that have a proof."""
    return tuple(word for word, row in OPTIMIZERS.items() if row.cls in PAPERS)


class _Comparison:
    """One variant."""

    def __init__(self, variant: Variant) -> None:
        restart()
        self.variant, self.assumed = variant, Assumptions()
        self.paper = PAPERS[type(variant.optimizer)]
        update = update_function(variant.optimizer, variant.shape)
        begin = begin_function(variant.optimizer, variant.shape)
        self.begins = dict(zip(begin.result_names, begin.results, strict=True))
        self.function = replace(update, ops=(*update.ops, *begin.ops))
        self.literals = self.paper.literals(variant)
        words = {x.value: ("ref", f"P.{n}", ()) for n, x in self.literals.items()}
        kept = dict(zip(update.names, update.params, strict=True))
        self.exported = export(
            replace(
                self.function,
                results=(*update.results, *begin.results),
                result_names=(*update.result_names, *(f"first {name}" for name in self.begins)),
            ),
            (),
            named={**variant.named, **words},
            equal=[(value, kept[name]) for name, value in self.begins.items()],
        )
        for name, value in variant.options.items():
            if value:
                self.exported.fields[f"P.{name}"] = Field(f"P.{name}", (), "K", False, f"the option {name}")
        for name, x in self.literals.items():
            if x.known is None:
                self.exported.fields[f"P.{name}"] = Field(f"P.{name}", (), "K", False, x.said)
        for name, v in zip(self.function.names, self.function.params, strict=True):
            lean = f"P.{name}"
            if lean not in self.exported.fields:  # a scalar that this variant does not read
                self.exported.fields[lean] = Field(lean, self.exported.axes.flat(v), "K", False, name)
        self.sizes = self.exported.axes.flat(self.function.params[0])
        self.at: tuple[Term, ...] = tuple(("i", f"i{n}") for n in range(len(self.sizes)))
        self.results = dict(zip(self.function.result_names, self.function.results, strict=True))
        self.equal = Equal(self.exported.definitions, self.at, self._rewrites(), self._inverses())
        self.sequences: list[Stated] = []
        self.count = 0
        self.lemmas: list[str] = []

    def _rewrites(self) -> dict[str, tuple[Term, str]]:
        found: dict[str, tuple[Term, str]] = {}
        for scalar, option in self.paper.unbiased.items():
            it = without_bias(self.variant.option(option), T)
            said = f"after t updates {scalar} is 1 - {option}^t; that it begins so and stays so is shown"
            found[f"P.{scalar}"] = it, self.assumed.ask(scalar, (), f"Same P.{scalar} {shown(it)}", said)
        for name, literal in self.literals.items():
            if literal.meaning is not None:
                it, statement = literal.meaning, f"Same P.{name} {shown(literal.meaning)}"
                found[f"P.{name}"] = it, self.assumed.ask(name, (), statement, f"{name} is {literal.said}")
        if self.paper.above:
            for d in self.exported.definitions.values():
                if d.kind == "max" and self._constant(d.op.operands[1]):
                    _, x, _ = d.body
                    named = {i: ("i", f"j{n}") for n, i in enumerate(d.at)}
                    statement = f"Same {shown(replaced(d.body, named))} {shown(replaced(x, named))}"
                    self.assumed.ask("above", tuple(("i", i) for i in d.at), statement, self.paper.above)
                    found[d.name] = x, "H.above" if d.at else "(H.above)"
        return found

    def _constant(self, value: Value) -> bool:
        made = {op.result: op for op in self.function.ops}
        while value in made and made[value].kind == "broadcast":
            value = made[value].operands[0]
        return value in made and made[value].kind == "constant"

    def _inverses(self) -> dict[str, str]:
        found = {}
        for name, (x, said) in self.paper.not_zero.items():
            found[shown(x)] = self._not_zero(f"{name}_not_zero", x, said)
        return found

    def _not_zero(self, name: str, x: Term, said: str) -> str:
        return self.assumed.ask(name, (), f"Same (A.mul {shown(x)} (A.recip {shown(x)})) A.one", said)

    def run(self) -> UpdateProof:
        """Every result of the paper that is kept, and every scalar that is none of the paper's."""
        own = published()[self.paper.definition(self.variant)]
        given, arguments = self._arguments(own)
        wanted = own.of(given)
        self._locals(wanted.values())
        compared = [
            self._compared(name, self._after(name), wanted[name], f"({own.name} A {arguments}).{name}", True)
            for name in own.results
            if name in self.results or name in self.paper.views
        ]
        for scalar, option in self.paper.unbiased.items():
            base = self.variant.option(option)
            stated = without_bias(base, NEXT)
            compared.append(self._compared(scalar, self._value(scalar), stated, shown(stated), False))
            first = without_bias(base, ("n", 0))
            compared.append(self._compared(f"{scalar}_begins", self._first(scalar), first, shown(first), False))
        compared += self._begun(own)
        lemmas = (*(s.definition for s in self.sequences), *self.lemmas)
        return UpdateProof(self.variant, self.exported, self.assumed, lemmas, tuple(compared))

    def _begun(self, own: Published) -> Iterator[Compared]:
        """Every number of the paper's that is kept, before the first update."""
        for name in dict.fromkeys((*own.results, *self.paper.views)):
            if name in self.begins or name in self.paper.views:
                stated = self.paper.first[name](self.variant, self._before) if name in self.paper.first else ZERO
                emitted = self._kept(name, ("n", 0), self._first)
                yield self._compared(f"{name}_begins", emitted, stated, shown(stated), True)

    def _first(self, name: str) -> Term:
        """A kept number as `init` gives it; of the parameter, itself."""
        return self._at(self.begins[name]) if name in self.begins else self._before(name)

    # -- what is followed --------------------------------------------------------------------------------------------

    def _locals(self, wanted: Iterable[Term]) -> None:
        """A lemma for each name of the paper's that is an emitted value, which is not opened from there on."""
        found: dict[int, tuple[tuple[Term, ...], Term]] = {}
        for term in wanted:
            found |= {n: (where, a) for n, where, a in _lets(term)}
        for n in sorted(found.keys() - self.equal.known.keys()):
            where, stated = found[n]
            stated = replaced(stated, {i: ("i", f"i{k}") for k, (_, i) in enumerate(where)})
            if (d := self._emitted(n, stated, len(where))) or (d := self._quotient(n, stated)):
                self.equal.known[n] = d, f"local_{n}"

    def _emitted(self, n: int, stated: Term, indices: int) -> Definition | None:
        form, r = self.equal.of(stated)
        degrees: dict[str, int] = {}
        for d in self.exported.definitions.values():
            degrees[d.name] = self._degree(d, degrees)
            if d.alias or d.type != "K" or (indices and len(d.at) != indices) or degrees[d.name] > LARGEST_DEGREE:
                continue
            emitted = ("ref", d.name, self.at[: len(d.at)])
            other, q = self.equal.of(emitted)
            if other == form and len(form) + sum(len(m.factors) for m in form) > 2:
                self._local(n, d, emitted, stated, chain(q, back(r)) or "refl")
                return d
        return None

    def _degree(self, d: Definition, known: Mapping[str, int]) -> int:
        """Of how many factors a value's products are at most; a value that is not opened is one."""
        if d.name in self.equal.rewrites or any(d is k for k, _ in self.equal.known.values()):
            return 1

        def of(term: Term) -> int:
            if term[0] == "ref":
                return known.get(term[1], 1)
            parts = [of(x) for x in term[1:] if isinstance(x, tuple) and x and isinstance(x[0], str)]
            return sum(parts) if term[0] == "mul" else max(parts, default=1)

        return of(d.body)

    def _local(self, n: int, d: Definition, emitted: Term, stated: Term, proof: str) -> None:
        self.lemmas.append(
            f"theorem local_{n} {_binder(d.at)}(L : Laws A) (H : Given A S P t) :\n"
            f"    Same {shown(emitted)} {shown(stated)} :=\n  {proof}"
        )

    def _quotient(self, n: int, stated: Term) -> Definition | None:
        """q (1/t), where netc has 1/w and t = w q."""
        match stated:
            case ("mul", q, ("fn", "recip", total)):
                for name in self.paper.quotients:
                    w = self._value(name)
                    for d in self.exported.definitions.values():
                        if d.kind == "div" and d.body[2] == ("fn", "recip", w):
                            break
                    else:
                        continue
                    product: Term = ("mul", w, q)
                    (form, r), (other, s) = self.equal.of(total), self.equal.of(product)
                    if form == other:
                        one = self._not_zero(f"{name}_not_zero", w, f"the new {name} is not 0")
                        total_one = self._not_zero("total_not_zero", total, "the sum that it is a share of is not 0")
                        proof = f"(share_of L {one} {total_one} {chain(r, back(s)) or 'refl'})"
                        self._local(n, d, ("ref", d.name, ()), stated, proof)
                        return d
        return None

    def _sequence(self, name: str, make: Callable[..., Iterator[Stated]], arguments: Sequence[Any]) -> Any:
        """Each term of a sequence is the value that is emitted next; gives the last as a function of indices."""
        self.count += 1
        name = f"{name}{self.count}_"
        definitions = [d for d in self.exported.definitions.values() if d.type == "K" and not d.alias]
        place = 0
        for s in make(name, *arguments):
            stated = s.value(*self.at)
            self._locals([stated])
            form, r = self.equal.of(stated)
            last = place + AFTER if place else len(definitions)
            for d in definitions[place:last]:
                if len(d.at) != 2:
                    continue
                emitted = ("ref", d.name, self.at)
                other, q = self.equal.of(emitted)
                if other == form:
                    break
            else:
                raise self._refused(
                    f"no value is shown to be {s.name} of the paper's sequence", definitions[place:last]
                )
            place = definitions.index(d) + 1
            self.sequences.append(s)
            self.lemmas.append(
                f"theorem {s.name}_is (L : Laws A) (H : Given A S P t) (i0 i1 : N) :\n"
                f"    Same {shown(emitted)} ({s.name} A S P t i0 i1) :=\n  {chain(q, back(r)) or 'refl'}"
            )
            self.equal.rewrites[d.name] = s.at(*(("i", i) for i in d.at)), f"{s.name}_is L H"
        return s.at

    # -- what is compared --------------------------------------------------------------------------------------------

    def _value(self, name: str) -> Term:
        """A result at the indices of the parameter that it has."""
        return self._at(self.results[name])

    def _at(self, value: Value) -> Term:
        sizes = self.exported.axes.flat(value)
        whole = len(sizes) == len(self.at)
        where = self.at if whole else tuple(self.at[self.sizes.index(s)] for s in sizes)
        return ("ref", self.exported.names[value], where)

    def _kept(self, name: str, n: Term, value: Kept) -> Term:
        """A number of the paper's, where n updates were made, from what is kept."""
        view = self.paper.views.get(name)
        return value(name) if view is None else view(self.variant, value, n)

    def _after(self, name: str) -> Term:
        return self._kept(name, NEXT, self._value)

    def _before(self, name: str) -> Term:
        return ("ref", f"P.{name}", self.at if self.exported.fields[f"P.{name}"].sizes else ())

    def _arguments(self, own: Published) -> tuple[dict[str, Any], str]:
        """What the paper's update is of: options, the parameter, its gradient and its moments, as terms and in Lean."""
        o, turn = self.variant.optimizer, -1 if self.variant.transposed else 1
        count = getattr(o, "iterations", getattr(o, "root_iterations", 0))
        whole: dict[str, Term] = {"t": T, "iterations": ("n", count)}
        whole |= dict(zip("ij", self.at[::turn], strict=False))
        for names in (("n", "m"), ("rows", "columns")):
            whole |= dict(zip(names, (("size", s) for s in self.sizes[::turn]), strict=False))
        given: dict[str, Any] = {
            name: lambda *arguments, name=name, make=make: self._sequence(name, make, arguments[1:])
            for name, make in self.paper.iterates.items()
        }
        words = []
        for name, kind in own.binders:
            if kind == "N":
                given[name] = whole[name]
            elif name in self.variant.options:
                given[name] = self.variant.option(name)
            elif name in self.literals:
                given[name] = self.literals[name].known or ("ref", f"P.{name}", ())
            elif name not in self.paper.views and f"P.{name}" not in self.exported.fields:
                given[name] = ZERO
            elif kind == "K":
                given[name] = self._kept(name, T, self._before)
            else:
                given[name] = lambda *at, own=f"P.{name}": ("ref", own, at[::turn])
            words.append(_word(given[name], f"P.{name}", self.variant.transposed and kind.count("→") == 2))
        return given, " ".join(words)

    def _refused(self, why: str, of: Sequence[Definition]) -> NetcError:
        """The error that a value is not the paper's, with the operations that it is or should be among."""
        places = ", ".join(dict.fromkeys(f"{d.kind} of {d.loc}" for d in of))
        return NetcError(f"{self.variant.name}: {why}{places and f'; the operations are {places}'}")

    def _compared(self, name: str, emitted: Term, stated: Term, lean: str, at: bool) -> Compared:
        (form, q), (other, r) = self.equal.of(emitted), self.equal.of(stated)
        if form != other:  # a name of the paper's that is an emitted value may hide what both are made of
            opened = Equal(self.exported.definitions, self.at, self.equal.rewrites, self.equal.inverses)
            (form, q), (other, r) = opened.of(emitted), opened.of(stated)
        if form != other:
            definitions = self.exported.definitions
            made = [definitions[n] for n in dict.fromkeys(names_in(emitted)) if n in definitions]
            raise self._refused(f"the emitted {name} is not shown to be the one that the paper states", made)
        indices = [i for _, i in self.at] if at else []
        said = f"({' '.join(indices)} : N) → " if at else ""
        common, assumed = shown(term_of(form)), f"{_binder(indices)}(L : Laws A) (H : Given A S P t)"
        lemmas = (
            f"theorem emitted_{name} {assumed} :\n    Same {shown(emitted)} {common} :=\n  {q or 'refl'}",
            f"theorem stated_{name} {assumed} :\n    Same {shown(stated)} {common} :=\n  {r or 'refl'}",
        )
        return Compared(name, f"{said}Same {shown(emitted)} {lean}", lemmas, len(indices))


def _binder(indices: Sequence[str]) -> str:
    return f"{{{' '.join(f'i{n}' for n in range(len(indices)))} : N}} " if indices else ""


def _word(given: Any, name: str, turned: bool) -> str:
    """An argument in Lean."""
    if isinstance(given, tuple):
        return shown(given)
    return f"(fun k l => {name} l k)" if turned else name


def _lets(term: Any) -> Iterator[tuple[int, tuple[Term, ...], Term]]:
    """The values of local names within a term."""
    if isinstance(term, tuple) and term:
        if term[0] == "let":
            yield term[1], term[2], term[3]
        for part in term:
            yield from _lets(part)
