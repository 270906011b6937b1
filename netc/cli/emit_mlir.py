"""`netc emit-mlir`: a network's training program as text, with its manifest."""

from __future__ import annotations

from pathlib import Path

import click

from netc.cli.options import complete_net, net_options, resolve_net
from netc.cli.recipe_options import recipe_of, recipe_options


@click.command("emit-mlir")
@click.argument("net", metavar="NET", shell_complete=complete_net)
@net_options
@click.option("--target", default="cpu", show_default=True, help="Choose the forms that are fast there.")
@click.option("--batch", type=int, default=32, show_default=True, help="Examples a step.")
@recipe_options
@click.option("-o", "--out", type=click.Path(path_type=Path), help="A folder for NET.mlir and NET.json.")
def emit_mlir(
    net: str, classes: int | None, input_: str | None, target: str, batch: int, out: Path | None, **recipe: object
) -> None:
    """Write the module of NET: init, train_step, eval_step and predict in StableHLO.

    Without -o the text goes to standard output. The manifest names every argument and result in order, so that a
    host without Python can drive the compiled module.
    """
    import hashlib

    from netc.codegen.program import build
    from netc.runtime.files import write_whole
    from netc.runtime.session import emit_text, write_manifest
    from netc.runtime.target import parse_target

    where = parse_target(target)
    program = build(resolve_net(net, classes, input_), recipe_of(recipe), batch)
    source = emit_text(program, where)
    if out is None:
        click.echo(source.text, nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    name = source.module.name
    digest = hashlib.sha256(source.text.encode()).hexdigest()
    write_whole(out / f"{name}.mlir", source.text)
    write_manifest(out / f"{name}.json", program, digest, target)
    click.echo(f"{out / name}.mlir  {len(source.text):,} bytes, sha256 {digest[:16]}")
    click.echo(f"{out / name}.json  its arguments and results, in order")
