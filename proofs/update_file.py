"""What was compared of an optimizer's update, and how a file has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netc.proofs.assumed import Assumptions
from netc.proofs.exported import Exported
from netc.proofs.file import definition, point_line, sizes_of, unfolding
from netc.proofs.update import Variant


@dataclass(frozen=True)
class Compared:
    """One result, its statement in Lean of so many indices, and the lemmas that show it."""

    name: str
    statement: str
    lemmas: tuple[str, ...]
    indices: int


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


def _shown_by(c: Compared) -> str:
    names = [f"i{n}" for n in range(c.indices)]
    given = " ".join((*(f"({i} := {i})" for i in names), "L H"))
    function = f"fun {' '.join(names)} => " if names else ""
    return f"{function}trans (emitted_{c.name} {given}) (symm (stated_{c.name} {given}))"


def part(proof: UpdateProof) -> str:
    """A part of a file, in a namespace of its own."""
    exported, name = proof.exported, proof.variant.name
    values = exported.definitions.values()
    body = [*(definition(d) for d in values)]
    lemmas = [*(unfolding(d) for d in values)]
    given = [f"  {n} : {claim}  -- {said}" for n, (claim, said) in proof.assumed.found.items()]
    shows = [_shown_by(c) for c in proof.compared]
    said = (*body, *given, *proof.lemmas, *(c.statement for c in proof.compared))
    read = set(re.findall(r"\bS\.(\w+)", "\n".join(said)))
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
