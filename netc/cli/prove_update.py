"""`netc prove --optimizer KIND` without a net: that the emitted update is the one that the optimizer's paper states."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netc.cli.options import print_json
from netc.cli.proof_file import file_of, over_mathlib, show_answer, written

if TYPE_CHECKING:
    from netc.proofs.lean import Checked
    from netc.proofs.optimizer import OptimizerProof


def prove_update(word: str, ask: bool, as_json: bool, out: Path | None, *, mathlib: bool = False) -> None:
    """Write the file, let Lean check it if asked, and say what was found; the exit code is 1 if Lean refuses it."""
    from netc.proofs.optimizer import prove_optimizers
    from netc.proofs.prove import checked

    proof = prove_optimizers([word])
    path = None if out is None and ask else out or file_of(word, mathlib)
    if mathlib:
        proof = over_mathlib(proof)
    answer = written(proof.text, path, partial(checked, proof) if ask else None)
    if as_json:
        print_json(proof.to_json(answer))
    else:
        _show(proof, answer, path, mathlib)
    if answer is not None and not answer.holds:
        click.get_current_context().exit(1)


def _show(proof: OptimizerProof, answer: Checked | None, path: Path | None, mathlib: bool) -> None:
    from netc.cli.views.table import print_line
    from netc.proofs.blame import refused

    names = ", ".join(p.variant.name for p in proof.parts)
    print_line(f"{proof.words[0]}: {names}; {proof.lines:,} lines of Lean in {proof.seconds:.1f} s")
    for sentence in proof.assumptions:
        print_line(f"assumed: {sentence}")
    claim = "the update is the one that its paper states"
    show_answer(answer, path, claim, partial(refused, proof.text), mathlib=mathlib)
