"""What a proof assumes besides the laws of a ring: each asked for where it is used."""

from __future__ import annotations

from dataclasses import dataclass, field

from netc.proofs.terms import Term, shown


@dataclass
class Assumptions:
    """What a proof assumes: field of the structure `Given` -> its type in Lean, and a sentence."""

    found: dict[str, tuple[str, str]] = field(default_factory=dict)

    def ask(self, name: str, at: tuple[Term, ...], statement: str, sentence: str) -> str:
        """Use one; `statement` is over indices j0, j1, ..; gives its proof at these indices."""
        bound = "".join(f"(j{n} : N) → " for n in range(len(at)))
        self.found.setdefault(name, (f"{bound}{statement}", sentence))
        return f"(H.{name}{''.join(f' {shown(i)}' for i in at)})"

    def of_all(self, name: str, statement: str, sentence: str) -> str:
        """Use one about all numbers x; gives its name."""
        self.found.setdefault(name, (f"(x : K) → {statement}", sentence))
        return f"H.{name}"
