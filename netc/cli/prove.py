"""`netc prove`: a theorem, for all sizes and numbers, that gradients are derivatives of the loss."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.lean_config import config_option
from netc.cli.options import complete_net, given, json_option, net_options, print_json
from netc.cli.out_path import OUT_FILE
from netc.cli.program import program_request
from netc.cli.proof_file import file_of, over_mathlib, show_answer, write_library, written
from netc.cli.prove_update import prove_update
from netc.cli.recipe_options import recipe_options
from netc.cli.sections import Sectioned
from netc.cli.text_files import LossWord, file_options, is_text, refuse_unused
from netc.netspec.errors import UserError
from netc.netspec.loss import LOSSES

if TYPE_CHECKING:
    from netc.proofs.lean import Checked
    from netc.proofs.prove import Proof


OF_FILE = frozenset(("manifest", "function", "wrt", "updates"))
OF_FILES = frozenset(("ask", "mathlib", "as_json", "out"))
OF_BOTH = OF_FILES | {"net", "loss"}


@click.command(cls=Sectioned)
@click.argument("net", metavar="[NET|FILE.mlir]", required=False, shell_complete=complete_net)
@net_options
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Batch size of the text; a variable in the proof.",
)
@config_option
@recipe_options
@file_options("prove")
@click.option("--check", "ask", is_flag=True, help="Check the file with Lean.")
@click.option("--mathlib", is_flag=True, help="State the theorems over Mathlib, unchecked and without proofs.")
@json_option
@click.option(
    "-o", "--out", type=OUT_FILE,
    help="Write the Lean file here.  [default: NAME.proof.lean; none with --check]",
)  # fmt: skip
def prove(
    net: str | None, manifest: Path | None, function: str | None, wrt: tuple[str, ...], updates: tuple[str, ...],
    ask: bool, mathlib: bool, as_json: bool, out: Path | None, **words: Any,
) -> None:  # fmt: skip
    """Write a proof, for Lean 4, that a train step's gradients are the derivative of the loss that it computes.

    For NET, this is the step that netc emits. FILE.mlir may be any StableHLO, such as JAX's own lowering: --manifest,
    --wrt or --update say which results are gradients or updates; otherwise they are detected. --loss NUMBER names the
    loss.

    The theorem holds for all sizes and over every commutative ring, with the assumptions that the file names. The file
    imports nothing; --check lets Lean's kernel check it, by `lean` on PATH or by the extra `lean`. The exit code is 1
    if Lean refuses it.

    Without NET, --optimizer KIND proves that the update that netc emits is the one that the optimizer's paper states,
    for all inputs and all options that are real numbers.

    --mathlib writes the statements for use with Mathlib, over its `CommRing` and `Finset.sum`, without proofs; without
    NET and --optimizer those of the library that proofs are made of.
    """
    from netc.proofs.lean import lean
    from netc.proofs.prove import checked, prove

    if ask and mathlib:
        raise UserError(
            "--mathlib wants no --check, got both: there is no Mathlib here to check with; leave one of them out"
        )
    if ask:
        lean()  # before any work
    if net is None and mathlib and not _stated():
        write_library(as_json, out)
        return
    if net is None:
        prove_update(_optimizer(), ask, as_json, out, mathlib=mathlib)
        return
    refuse_unused(net, OF_FILE, OF_BOTH)
    _refuse_input(net, out)
    said = None
    if is_text(net):
        from netc.cli.prove_text import prove_file

        loss = words["loss"] if "loss" in given() else None
        proof, said = prove_file(
            Path(net), manifest=manifest, function=function, loss=loss, wrt=wrt, updates=updates
        )  # fmt: skip
    else:
        proof = prove(program_request(net, 3).build())
    path = None if out is None and ask else out or file_of(Path(proof.subject).stem, mathlib)
    _refuse_input(net, path)
    if mathlib:
        proof = over_mathlib(proof)
    answer = written(proof.text, path, partial(checked, proof) if ask else None)
    if as_json:
        print_json(proof.to_json(answer))
    else:
        if said is not None:
            say(said)
        _show(proof, answer, path, mathlib)
    if answer is not None and not answer.holds:
        click.get_current_context().exit(1)


next(p for p in prove.params if p.name == "loss").type = LossWord(LOSSES)


def _refuse_input(net: str, out: Path | None) -> None:
    """Raise UserError where the file to write is the one that NET is read from."""
    read = next((p for p in (Path(net), Path(net.rpartition(":")[0])) if p.is_file()), None)
    if out is not None and read is not None and out.exists() and out.samefile(read):
        raise UserError(f"-o wants a file other than the one that is proven, got {out}; give another name")


def _stated() -> dict[str, Any]:
    """What is asked for besides files."""
    return {name: value for name, value in given().items() if name not in OF_FILES}


def _optimizer() -> str:
    """What is to be proven without a net."""
    stated = _stated()
    if [*stated] == ["optimizer"]:
        return str(stated["optimizer"])
    beside = ", ".join(f"`{name}`" for name in stated) or "nothing else"
    raise UserError(f"prove wants a NET, or `optimizer` alone, got no NET and {beside}; netc ls shows nets")


def _show(proof: Proof, answer: Checked | None, path: Path | None, mathlib: bool) -> None:
    from netc.cli.views.table import print_line
    from netc.proofs.blame import refused

    counted = (
        f"{len(proof.gradients)} gradients, {len(proof.proved.exported.definitions)} operations, {proof.sizes} sizes"
    )
    print_line(f"{proof.subject}: {counted}; {proof.lines:,} lines of Lean in {proof.seconds:.1f} s")
    for sentence in proof.assumptions:
        print_line(f"assumed: {sentence}")
    show_answer(answer, path, "the gradients are the derivative", partial(refused, proof.text), mathlib=mathlib)
