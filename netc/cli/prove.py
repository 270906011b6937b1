"""`netc prove`: a theorem, for all sizes and numbers, that gradients are derivatives of the loss."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.lean_config import config_option
from netc.cli.options import complete_net, given, json_option, net_options, print_json
from netc.cli.program import program_request
from netc.cli.prove_update import prove_update
from netc.cli.recipe_options import recipe_options
from netc.cli.sections import Sectioned
from netc.netspec.errors import UserError

if TYPE_CHECKING:
    from netc.proofs.lean import Checked
    from netc.proofs.prove import Proof


@click.command(cls=Sectioned)
@click.argument("net", metavar="[NET]", required=False, shell_complete=complete_net)
@net_options
@click.option("--batch", type=click.IntRange(min=1), default=3, show_default=True, help="Batch size; a variable there.")
@config_option
@recipe_options
@click.option("--check", "ask", is_flag=True, help="Let Lean check the file.")
@json_option
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the Lean file here.  [default: NET.lean]")
def prove(net: str | None, ask: bool, as_json: bool, out: Path | None, **words: Any) -> None:
    """Write a proof, for Lean 4, that NET's emitted gradients are the derivative of its emitted loss.

    The theorem holds for all sizes and over every commutative ring, with the assumptions that the file names. The file
    imports nothing; --check lets Lean's kernel check it, by `lean` on PATH or by the extra `lean`. The exit code is 1
    if Lean refuses it.

    Without NET, --optimizer KIND: that the update that netc emits is the one that the optimizer's paper states, for all
    inputs and options.
    """
    from netc.proofs.lean import lean
    from netc.proofs.prove import checked, prove
    from netc.runtime.files import write_whole

    if ask:
        lean()  # before any work
    if net is None:
        prove_update(_optimizer(), ask, as_json, out)
        return
    program = program_request(net, 3).build()
    proof = prove(program)
    if out is None and ask:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "proof.lean"
            path.write_text(proof.text, encoding="utf-8")
            answer: Checked | None = checked(proof, path)
    else:
        path = out or Path(f"{proof.subject}.lean")
        write_whole(path, proof.text)
        answer = checked(proof, path) if ask else None
    if as_json:
        print_json(proof.to_json(answer))
    else:
        _show(proof, answer, None if out is None and ask else path)
    if answer is not None and not answer.holds:
        click.get_current_context().exit(1)


def _optimizer() -> str:
    """What is to be proven without a net."""
    stated = {name: value for name, value in given().items() if name not in ("ask", "as_json", "out")}
    if [*stated] == ["optimizer"]:
        return str(stated["optimizer"])
    beside = ", ".join(f"`{name}`" for name in stated) or "nothing else"
    raise UserError(f"prove wants a NET, or `optimizer` alone, got no NET and {beside}; netc ls shows nets")


def _show(proof: Proof, answer: Checked | None, path: Path | None) -> None:
    from netc.cli.views.table import print_line
    from netc.proofs.prove import places

    counted = (
        f"{len(proof.gradients)} gradients, {len(proof.proved.exported.definitions)} operations, {proof.sizes} sizes"
    )
    print_line(f"{proof.subject}: {counted}; {proof.lines:,} lines of Lean in {proof.seconds:.1f} s")
    for sentence in proof.assumptions:
        print_line(f"assumed: {sentence}")
    if path is not None:
        print_line(f"written to {path}")
    if answer is None:
        print_line("not checked; --check lets Lean check it")
    elif answer.holds:
        print_line(
            f"the gradients are the derivative: Lean's kernel takes it, without an axiom, in {answer.seconds:.1f} s"
        )
    else:
        for place in places(proof, answer.messages):
            say(f"not shown at: {place}")
        print_line(answer.messages[:2000])
        print_line(f"Lean refuses it after {answer.seconds:.1f} s")
