"""`netc emit-lean`: a network's specification as a Lean definition."""

from __future__ import annotations

from pathlib import Path

import click

from netc.cli.console import say, write
from netc.cli.options import net_argument, net_options, resolve_net


@click.command("emit-lean")
@net_argument
@net_options
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Output file, which must not exist.")
def emit_lean(net: str, classes: int | None, input_: str | None, out: Path | None, **sizes: int | None) -> None:
    """Write NET's specification as Lean 4: `def net : NetSpec where ..`.

    netc reads the result back as an equal specification. Without -o the text goes to standard output.
    """
    from netc.netspec.errors import UserError
    from netc.netspec.lean.write import to_lean
    from netc.runtime.files import write_whole

    if out is not None and out.exists():
        raise UserError(f"-o wants a new file, got {out}, which exists; give another name, or remove it first")
    text = to_lean(resolve_net(net, classes, input_, sizes).spec)
    if out is None:
        write(text)
        return
    write_whole(out, text)
    say(f"{out}  {len(text.encode()):,} bytes; view it with: netc show {out}")
