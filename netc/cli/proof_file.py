"""A proof's file, and what Lean says of it, as `netc prove` ends."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from netc.cli.console import say

if TYPE_CHECKING:
    from netc.proofs.lean import Checked
    from netc.proofs.optimizer import OptimizerProof
    from netc.proofs.prove import Proof

P = TypeVar("P", "Proof", "OptimizerProof")
UNCHECKED = "not checked: these are statements for Mathlib; without --mathlib the file has the proof, for --check"


def written(text: str, path: Path | None, check: Callable[[Path], Checked] | None) -> Checked | None:
    """Write the file, or one that goes again where no path is given; Lean's answer to it, if `check` asks."""
    from netc.runtime.files import made_for, write_whole

    if path is not None:
        write_whole(made_for(path), text)
        return check(path) if check else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "proof.lean"
        path.write_text(text, encoding="utf-8")
        return check(path) if check else None


def file_of(name: str, mathlib: bool) -> Path:
    """The file's name where none is asked for."""
    return Path(f"{name}.mathlib.lean" if mathlib else f"{name}.proof.lean")


def over_mathlib(proof: P) -> P:
    """The same with the text for Mathlib."""
    from netc.proofs.mathlib import of_proof

    return replace(proof, text=of_proof(proof.text))


def write_library(as_json: bool, out: Path | None) -> None:
    """Write the library's statements over Mathlib, and say where."""
    from netc.cli.options import print_json
    from netc.cli.views.table import print_line
    from netc.proofs.mathlib import of_library

    path, text = out or file_of("netc", True), of_library()
    written(text, path, None)
    if as_json:
        print_json({"format": 1, "subject": "the library", "lines": text.count("\n"), "checked": None})
        return
    theorems = len(re.findall("^(?:protected )?theorem ", text, re.MULTILINE))
    print_line(f"the library: {theorems} theorems; {text.count(chr(10)):,} lines of Lean")
    print_line(f"written to {path}")
    print_line(
        "not checked: these are statements for Mathlib; proofs/lean has them with proofs, which each file starts with"
    )


def show_answer(
    answer: Checked | None, path: Path | None, claim: str, places: Callable[[str], Iterable[str]],
    *, mathlib: bool = False,
) -> None:  # fmt: skip
    """Where the file is, and whether Lean takes the claim; `places` are those that its messages are about."""
    from netc.cli.views.table import print_line

    if path is not None:
        print_line(f"written to {path}")
    if answer is None:
        print_line(UNCHECKED if mathlib else "not checked; --check lets Lean check it")
    elif answer.holds:
        print_line(f"{claim}: Lean's kernel takes it, without an axiom, in {answer.seconds:.1f} s")
    else:
        for place in places(answer.messages):
            say(f"not shown at: {place}")
        print_line(answer.messages[:2000])
        print_line(f"Lean refuses it after {answer.seconds:.1f} s")
