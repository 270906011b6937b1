"""Prove that an optimizer's emitted update is the one that its paper states, for all inputs and options."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netc.netspec.errors import NetcError, UserError
from netc.netspec.optimizers import OPTIMIZERS, SGD, Adadelta, Adagrad, Adam, Lamb, Lion, NAdam, Optimizer, RMSProp
from netc.proofs.assumed import Assumptions
from netc.proofs.equal import Equal, Rewrites
from netc.proofs.export import export
from netc.proofs.exported import Exported, Field
from netc.proofs.file import definition, library, point_line, sizes_of, unfolding
from netc.proofs.lean import Checked, check
from netc.proofs.normal import back, chain, term_of
from netc.proofs.prove import LAWS, WITHOUT
from netc.proofs.published import Published, published, text
from netc.proofs.terms import MINUS, ONE, ZERO, Term, add, mul, replaced, restart, shown
from netc.proofs.update import Variant, update_function, variants

T: Term = ("named", "t")
NEXT: Term = ("succ", T)
View = Callable[[Term, Term], Term]


def power(x: Term, n: Term) -> Term:
    """x to the power n."""
    return ("pow", x, n)


def without_bias(option: Term, n: Term) -> Term:
    """1 - b^n."""
    return add(ONE, mul(MINUS, power(option, n)))


@dataclass(frozen=True)
class Paper:
    """How an optimizer's kept numbers stand to its paper's.

    `definition`: the name in updates.lean, of an optimizer. `unbiased`: scalars that are 1 - b^t, and b. `views`: of a
    paper's moment, what it is where x is kept of it and n updates were made. `above`: the sentence for a maximum with 0
    that no exact arithmetic needs.
    """

    definition: Callable[[Any], str]
    unbiased: Mapping[str, str] = field(default_factory=dict)
    views: Mapping[str, Callable[[Variant, Term, Term], Term]] = field(default_factory=dict)
    above: str = ""


MOMENTS = {"correction1": "beta1", "correction2": "beta2"}
PAPERS: Mapping[type[Optimizer], Paper] = {
    SGD: Paper(lambda o: "sgd_nesterov" if o.nesterov else "sgd"),
    Adam: Paper(lambda o: "adamw" if o.decoupled else "adam", MOMENTS),
    NAdam: Paper(lambda o: "nadamw" if o.decoupled else "nadam", MOMENTS),
    Lion: Paper(lambda o: "lion"),
    Lamb: Paper(lambda o: "lamb", MOMENTS),
    RMSProp: Paper(
        lambda o: f"rmsprop{'_centered' * o.centered}{'_inside' * o.inside}", {"correction1": "alpha"},
        {"v": lambda of, x, n: add(x, mul(of.option("initial"), power(of.option("alpha"), n)))},
        "the mean of the squares is at least the square of the mean, as it is without rounding",
    ),
    Adagrad: Paper(lambda o: "adagrad", views={"squares": lambda of, x, n: add(x, of.option("initial"))}),
    Adadelta: Paper(lambda o: "adadelta"),
}  # fmt: skip
REASONS = {
    "muon": "the products of Newton and Schulz are not compared yet; its vectors are updated by adamw's",
    "shampoo": "its roots are an iteration, which no formula of the paper equals; its vectors are updated by adamw's",
    "adafactor": "its power of the number of the step is made of exp and log, and its means of sizes",
    "schedulefree": "its share in the mean is a quotient by a sum of squares, which wants the laws of a field",
}


@dataclass(frozen=True)
class Compared:
    """One result, its statement in Lean, and the lemmas that show it."""

    name: str
    statement: str
    lemmas: tuple[str, ...]


@dataclass(frozen=True)
class UpdateProof:
    """What was compared of one variant, as a part of a file."""

    variant: Variant
    exported: Exported
    assumed: Assumptions
    lemmas: tuple[str, ...]
    compared: tuple[Compared, ...]

    @property
    def theorem(self) -> str:
        """Its name in the file."""
        return f"{self.variant.name}.holds"


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


def checked(proof: OptimizerProof, path: Path) -> Checked:
    """Lean's answer about the file that the proof was written to. Raises UserError without a Lean."""
    found = check(path)
    if found.holds and found.messages.count(WITHOUT) != len(proof.parts):
        return Checked(False, found.messages or "Lean did not print on which axioms the theorems rest", found.seconds)
    return found


def prove_optimizers(words: Sequence[str]) -> OptimizerProof:
    """One file on the updates of these optimizers. Raises UserError for one that has no proof yet."""
    start = time.perf_counter()
    parts = tuple(_Comparison(v).run() for word in words for v in variants(word) if _known(word))
    whole = "\n".join((library(), text(), *(_part(p) for p in parts)))
    return OptimizerProof(tuple(words), parts, whole, time.perf_counter() - start)


def _known(word: str) -> bool:
    if word in proven():
        return True
    reason = REASONS.get(word, "it has no row in PAPERS")
    raise UserError(f"prove wants an optimizer that it can, {', '.join(proven())}, got {word}; {reason}")


def proven() -> tuple[str, ...]:
    """The words of the optimizers that have a proof."""
    return tuple(word for word, row in OPTIMIZERS.items() if row.cls in PAPERS)


class _Comparison:
    """One variant."""

    def __init__(self, variant: Variant) -> None:
        restart()
        self.variant, self.assumed = variant, Assumptions()
        self.paper = PAPERS[type(variant.optimizer)]
        self.function = update_function(variant.optimizer)
        self.exported = export(self.function, (), named=variant.named)
        for name, value in variant.options.items():
            if value:
                self.exported.fields[f"P.{name}"] = Field(f"P.{name}", (), "K", False, f"the option {name}")
        for name, v in zip(self.function.names, self.function.params, strict=True):
            lean = f"P.{name}"
            if lean not in self.exported.fields:  # a scalar that this variant does not read
                self.exported.fields[lean] = Field(lean, self.exported.axes.flat(v), "K", False, name)
        self.at: tuple[Term, ...] = (("i", "i0"),)
        self.equal = Equal(self.exported.definitions, self.at, self._rewrites())
        self.results = dict(zip(self.function.result_names, self.function.results, strict=True))

    def _rewrites(self) -> Rewrites:
        found: dict[str, tuple[Term, str]] = {}
        for scalar, option in self.paper.unbiased.items():
            it = without_bias(self.variant.option(option), T)
            said = f"after t updates {scalar} is 1 - {option}^t; that it begins so and stays so is shown"
            found[f"P.{scalar}"] = it, self.assumed.ask(scalar, (), f"Same P.{scalar} {shown(it)}", said)
        if self.paper.above:
            for d in self.exported.definitions.values():
                if d.kind == "max":
                    _, x, _ = d.body
                    named = {i: ("i", f"j{n}") for n, i in enumerate(d.at)}
                    statement = f"Same {shown(replaced(d.body, named))} {shown(replaced(x, named))}"
                    self.assumed.ask("above", tuple(("i", i) for i in d.at), statement, self.paper.above)
                    found[d.name] = x, "H.above"
        return found

    def run(self) -> UpdateProof:
        """Every result of the paper that is kept, and every scalar that is none of the paper's."""
        own = published()[self.paper.definition(self.variant.optimizer)]
        given, arguments = self._arguments(own)
        wanted = own.of(given)
        lemmas = tuple(self._locals(wanted.values()))
        compared = [
            self._compared(name, self._after(name), wanted[name], f"({own.name} A {arguments}).{name}", True)
            for name in own.results
            if name in self.results
        ]
        for scalar, option in self.paper.unbiased.items():
            base = self.variant.option(option)
            stated = without_bias(base, NEXT)
            compared.append(self._compared(scalar, self._value(scalar), stated, shown(stated), False))
            first = without_bias(base, ("n", 0))
            compared.append(self._compared(f"{scalar}_begins", ZERO, first, shown(first), False))
        return UpdateProof(self.variant, self.exported, self.assumed, lemmas, tuple(compared))

    def _locals(self, wanted: Iterable[Term]) -> Iterator[str]:
        """A lemma for each name of the paper's that is an emitted value, which is not opened from there on."""
        found: dict[int, tuple[tuple[Term, ...], Term]] = {}
        for term in wanted:
            found |= {n: (at, a) for n, at, a in _lets(term)}
        for n in sorted(found):
            at, stated = found[n]
            new = {i: ("i", f"i{k}") for k, (_, i) in enumerate(at)}
            stated = replaced(stated, new)
            form, r = self.equal.of(stated)
            for d in self.exported.definitions.values():
                if d.alias or d.type != "K" or (at and len(d.at) != len(at)):
                    continue
                own = self.at[: len(d.at)]
                emitted = ("ref", d.name, own)
                other, q = self.equal.of(emitted)
                if other == form and len(form) + sum(len(m.factors) for m in form) > 2:
                    binder = "{i0 : N} " if d.at else ""
                    yield (
                        f"theorem local_{n} {binder}(L : Laws A) (H : Given A S P t) :\n"
                        f"    Same {shown(emitted)} {shown(stated)} :=\n  {chain(q, back(r)) or 'refl'}"
                    )
                    self.equal.known[n] = d, f"local_{n}"
                    break

    def _value(self, name: str) -> Term:
        value = self.results[name]
        return ("ref", self.exported.names[value], self.at if value.shape else ())

    def _view(self, name: str, kept: Term, n: Term) -> Term:
        view = self.paper.views.get(name)
        return kept if view is None else view(self.variant, kept, n)

    def _after(self, name: str) -> Term:
        return self._view(name, self._value(name), NEXT)

    def _arguments(self, own: Published) -> tuple[dict[str, Any], str]:
        """What the paper's update is of: options, the parameter, its gradient and its moments, as terms and in Lean."""
        given: dict[str, Any] = {}
        words = []
        (size,) = self.exported.axes.flat(self.function.params[0])
        for name, kind in own.binders:
            if name in ("t", "i", "n"):
                given[name] = {"t": T, "i": self.at[0], "n": ("size", size)}[name]
            elif name in self.variant.options:
                given[name] = self.variant.option(name)
            elif f"P.{name}" not in self.exported.fields:
                given[name] = ZERO
            elif kind == "K":
                at = self.at if self.exported.fields[f"P.{name}"].sizes else ()
                given[name] = self._view(name, ("ref", f"P.{name}", at), T)
            else:
                given[name] = lambda j, own=f"P.{name}": ("ref", own, (j,))
            words.append(shown(given[name]) if isinstance(given[name], tuple) else f"P.{name}")
        return given, " ".join(words)

    def _compared(self, name: str, emitted: Term, stated: Term, lean: str, at: bool) -> Compared:
        (form, q), (other, r) = self.equal.of(emitted), self.equal.of(stated)
        if form != other:  # a name of the paper's that is an emitted value may hide what both are made of
            opened = Equal(self.exported.definitions, self.at, self.equal.rewrites)
            (form, q), (other, r) = opened.of(emitted), opened.of(stated)
        if form != other:
            raise NetcError(f"{self.variant.name}: the emitted {name} is not shown to be the one that the paper states")
        common, binder, said = shown(term_of(form)), *(("{i0 : N} ", "(i0 : N) → ") if at else ("", ""))
        assumed = "(L : Laws A) (H : Given A S P t)"
        lemmas = (
            f"theorem emitted_{name} {binder}{assumed} :\n    Same {shown(emitted)} {common} :=\n  {q or 'refl'}",
            f"theorem stated_{name} {binder}{assumed} :\n    Same {shown(stated)} {common} :=\n  {r or 'refl'}",
        )
        return Compared(name, f"{said}Same {shown(emitted)} {lean}", lemmas)


def _lets(term: Any) -> Iterator[tuple[int, tuple[Term, ...], Term]]:
    """The values of local names within a term."""
    if isinstance(term, tuple) and term:
        if term[0] == "let":
            yield term[1], term[2], term[3]
        for part in term:
            yield from _lets(part)


def _part(proof: UpdateProof) -> str:
    """A part of a file, in a namespace of its own."""
    exported, name = proof.exported, proof.variant.name
    values = exported.definitions.values()
    body = [*(definition(d) for d in values)]
    lemmas = [*(unfolding(d) for d in values)]
    given = [f"  {n} : {claim}  -- {said}" for n, (claim, said) in proof.assumed.found.items()]
    shows = [f"{'fun _ => ' * c.statement.startswith('(')}trans (emitted_{c.name} L H) (symm (stated_{c.name} L H))"
             for c in proof.compared]  # fmt: skip
    read = set(re.findall(r"\bS\.(\w+)", "\n".join((*body, *(c.statement for c in proof.compared)))))
    options = ", ".join(f"{n} {v}" for n, v in proof.variant.options.items() if not v) or "none"
    return "\n".join((
        f"-- {name}, as netc emits it; options that are 0: {options} {'-' * 40}\n", f"namespace {name}",
        sizes_of(exported, read), "/-- What the update reads, and the options, which may be any numbers. -/",
        "structure Point (K : Type) where", *map(point_line, exported.fields.values()), "", *body,
        "\nsection\nvariable {K : Type} {A : Arith K} {S : Sizes} {P : Point K} {t : N}\n", *lemmas,
        "\n/-- What is assumed besides the laws of a commutative ring. -/",
        "structure Given {K : Type} (A : Arith K) (S : Sizes) (P : Point K) (t : N) where", *given, "",
        *proof.lemmas, *(lemma for c in proof.compared for lemma in c.lemmas), "end\n",
        "/-- What is emitted is what the paper states, and what is kept once is what is assumed of it, at the next step"
        "\nand at the first. -/",
        "structure Holds {K : Type} (A : Arith K) (S : Sizes) (P : Point K) (t : N) where",
        *(f"  {c.name} : {c.statement}" for c in proof.compared), "",
        "theorem holds {K : Type} (A : Arith K) (L : Laws A) (S : Sizes) (P : Point K) (t : N) (H : Given A S P t) :",
        "    Holds A S P t where", *(f"  {c.name} := {s}" for c, s in zip(proof.compared, shows, strict=True)), "",
        f"end {name}", f"#print axioms {proof.theorem}\n",
    ))  # fmt: skip
