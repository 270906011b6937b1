"""`netc prove --optimizer KIND` without a net: that the emitted update is the one that the optimizer's paper states."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netc.cli.options import print_json

if TYPE_CHECKING:
    from netc.proofs.lean import Checked
    from netc.proofs.optimizer import OptimizerProof


def prove_update(word: str, ask: bool, as_json: bool, out: Path | None) -> None:
    """Write the file, let Lean check it if asked, and say what was found; the exit code is 1 if Lean refuses it."""
    from netc.proofs.optimizer import checked, prove_optimizers
    from netc.runtime.files import write_whole

    proof = prove_optimizers([word])
    if out is None and ask:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "proof.lean"
            path.write_text(proof.text, encoding="utf-8")
            answer: Checked | None = checked(proof, path)
    else:
        path = out or Path(f"{word}.proof.lean")
        write_whole(path, proof.text)
        answer = checked(proof, path) if ask else None
    if as_json:
        print_json(proof.to_json(answer))
    else:
        _show(proof, answer, None if out is None and ask else path)
    if answer is not None and not answer.holds:
        click.get_current_context().exit(1)


def _show(proof: OptimizerProof, answer: Checked | None, path: Path | None) -> None:
    from netc.cli.views.table import print_line

    names = ", ".join(p.variant.name for p in proof.parts)
    print_line(f"{proof.words[0]}: {names}; {proof.lines:,} lines of Lean in {proof.seconds:.1f} s")
    for sentence in proof.assumptions:
        print_line(f"assumed: {sentence}")
    if path is not None:
        print_line(f"written to {path}")
    if answer is None:
        print_line("not checked; --check lets Lean check it")
    elif answer.holds:
        print_line(
            f"the update is the one that its paper states: Lean's kernel takes it, without an axiom, in "
            f"{answer.seconds:.1f} s"
        )
    else:
        print_line(answer.messages[:2000])
        print_line(f"Lean refuses it after {answer.seconds:.1f} s")
