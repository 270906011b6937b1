"""`netc emit-lean`: a network's specification as a Lean definition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netc.cli.console import say, write
from netc.cli.options import net_argument, net_options, resolve_net
from netc.cli.out_path import OUT_FILE

if TYPE_CHECKING:
    from netc.proofs.lean import Checked


@click.command("emit-lean")
@net_argument
@net_options
@click.option("-o", "--out", type=OUT_FILE, help="Output file, which must not exist.")
@click.option("--check", is_flag=True, help="Let Lean check the text against netc's constructors and options.")
def emit_lean(
    net: str, classes: int | None, input_: str | None, out: Path | None, check: bool, **sizes: int | None
) -> None:  # fmt: skip
    """Write NET's specification as Lean 4: `def net : NetSpec where ..`.

    netc reads the result back as an equal specification. Without -o the text goes to standard output. --check lets Lean
    check the types of all that it states, by `lean` on PATH or by the extra `lean`; the exit code is 1 if it refuses.
    """
    from netc.netspec.errors import UserError
    from netc.netspec.lean.write import to_lean
    from netc.runtime.files import made_for, write_whole

    if out is not None and out.exists():
        raise UserError(f"-o wants a new file, got {out}, which exists; give another name, or remove it first")
    if check:
        from netc.proofs.lean import lean

        lean()  # before any work
    text = to_lean(resolve_net(net, classes, input_, sizes).spec)
    if out is None:
        write(text)
    else:
        write_whole(made_for(out), text)
        say(f"{out}  {len(text.encode()):,} bytes; view it with: netc show {out}")
    if check:
        _check(text)


def _check(text: str) -> None:
    """Say what Lean says of a text."""
    from netc.cli.proof_file import written
    from netc.netspec.lean.signatures import checkable
    from netc.proofs.lean import check

    answer = written(checkable(text), None, check)
    assert answer is not None
    say_answer(answer)


def say_answer(answer: Checked) -> None:
    """Say Lean's answer beside the output, with its messages where it refuses; then the exit code is 1."""
    if answer.holds:
        say(f"Lean takes it, in {answer.seconds:.1f} s", err=True)
        return
    for line in answer.messages[:2000].splitlines():
        say(line, err=True)
    say(f"Lean refuses it after {answer.seconds:.1f} s", err=True)
    click.get_current_context().exit(1)
