"""`netc emit-mlir`: a network's training program as text, with its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say, write
from netc.cli.lean_config import config_option
from netc.cli.options import (
    BATCH,
    complete_net,
    given,
    net_options,
    tuned_choices,
    tuned_line,
    tuned_option,
)
from netc.cli.out_path import OUT_FOLDER
from netc.cli.program import built_program, refuse_untuned_sampler, sampler_option
from netc.cli.recipe_options import (
    mesh_option,
    recipe_options,
    replicas_option,
    shard_option,
    steps_per_call_option,
)
from netc.cli.sections import Sectioned

if TYPE_CHECKING:
    from netc.netspec.batch import Batch


@click.command("emit-mlir", cls=Sectioned)
@click.argument("net", metavar="NET", shell_complete=complete_net)
@net_options
@click.option("--target", help="Write the text for this target.  [default: portable StableHLO]")
@click.option("--batch", type=BATCH, default=32, show_default=True, help="Batch size, of all replicas together.")
@tuned_option
@config_option
@recipe_options
@steps_per_call_option
@replicas_option
@mesh_option
@shard_option
@sampler_option
@click.option("--bytecode", is_flag=True, help="Write NET.mlirbc, a portable artifact of StableHLO, in place of text.")
@click.option("-o", "--out", type=OUT_FOLDER, help="Folder for NET.mlir and its manifest NET.json.")
def emit_mlir(
    net: str,
    target: str | None,
    batch: Batch,
    tuned: bool,
    sampler: bool,
    bytecode: bool,
    out: Path | None,
    **words: Any,
) -> None:
    """Write NET's training program as StableHLO: init, train_step, eval_step and predict.

    By default the text is portable StableHLO for any compiler. With --target it is the exact text that netc compiles
    for that target: convolutions may have other forms, IREE's targets use operations of other dialects, and XLA gets
    one module for each function. Without -o the text goes to standard output. With --bytecode the program is written in
    StableHLO's versioned binary form, which needs jaxlib. The manifest names every argument and result in order, so
    that a host without Python can drive the compiled module. With --mesh the text notes, in Shardy's dialect, over
    which axes of the mesh each argument and result is split.
    """
    from netc.codegen.rewrite.form_overrides import NO_OVERRIDES
    from netc.netspec.errors import UserError
    from netc.runtime.backends.xla import portable_artifact
    from netc.runtime.files import file_name, whole, write_whole
    from netc.runtime.manifest import write_manifest
    from netc.runtime.prepare import emit_text, in_use, sha256_of_text
    from netc.runtime.target import PLAIN, parse_target

    if bytecode and (target is not None or out is None):
        raise UserError("--bytecode wants -o and no --target: a portable artifact holds plain StableHLO")
    if bytecode and "mesh" in given():
        raise UserError("--bytecode writes plain StableHLO, got --mesh, which needs another dialect; leave one out")
    if not tuned and target is None:
        raise UserError("--no-tuned belongs to --target, got none; plain StableHLO has no forms that could be tuned")
    refuse_untuned_sampler(sampler=sampler, tuned=tuned)
    where = parse_target(target) if target is not None else PLAIN
    if where.profile == "c":
        raise UserError(f"emit-mlir writes StableHLO, got --target {target}; netc emit-c writes the C")
    program = built_program(net, sampler=sampler, target=where, ranges=True)
    choices = in_use(program, where, tuned_choices(target, tuned=tuned)) if target and not sampler else NO_OVERRIDES
    source = emit_text(program, where, choices)
    if choices:
        say(tuned_line(choices), err=True)
    if out is None:
        write(source.text)
        return
    out.mkdir(parents=True, exist_ok=True)
    name = file_name(program.net.spec.name) + (".sampler" if sampler else "")
    digest = sha256_of_text(source.text)
    if bytecode:
        artefact, version = portable_artifact(source.text)
        with whole(out / f"{name}.mlirbc") as file:
            file.write(artefact)
        say(f"{out / name}.mlirbc  {len(artefact):,} bytes of StableHLO {version}, its text's sha256 {digest[:16]}")
    else:
        write_whole(out / f"{name}.mlir", source.text)
        say(f"{out / name}.mlir  {len(source.text):,} bytes, sha256 {digest[:16]}")
    write_manifest(out / f"{name}.json", program, digest, target, choices)
    say(f"{out / name}.json  its arguments and results, in order")
