"""`netc emit-c`: a network's training program as C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.lean_config import config_option
from netc.cli.options import BATCH, complete_net, net_options
from netc.cli.out_path import OutPath
from netc.cli.program import built_program
from netc.cli.recipe_options import recipe_options, steps_per_call_option
from netc.cli.sections import Sectioned

if TYPE_CHECKING:
    from netc.netspec.batch import Batch


PLACE = OutPath(folder=lambda words: not words["web"])


@click.command("emit-c", cls=Sectioned)
@click.argument("net", metavar="NET", shell_complete=complete_net)
@net_options
@click.option("--batch", type=BATCH, default=32, show_default=True, help="Batch size.")
@config_option
@recipe_options
@steps_per_call_option
@click.option("--static", is_flag=True, help="Write net_static.c too: the state and the arena in static storage.")
@click.option("--no-stdio", is_flag=True, help="Leave out main.c, which reads files and allocates.")
@click.option("--ram", metavar="SIZE", help="RAM of the device, such as 256kB or 4MB; refuse what does not fit.")
@click.option("--web", is_flag=True, is_eager=True, help="Write one HTML page that trains in a browser, -o FILE.html.")
@click.option("-o", "--out", type=PLACE, required=True, help="Folder for the C files.")
def emit_c(
    net: str, batch: Batch, static: bool, no_stdio: bool, ram: str | None, web: bool, out: Path, **words: Any
) -> None:
    """Write NET's training program as C11: net.h and net.c, which need only a C compiler and libm.

    Its functions are net_init, net_train_step, net_eval_step and net_predict; the caller provides all memory. A main.c
    trains on IDX files, a table or raw numbers, prints netc's trace and keeps the state as safetensors. The manifest
    net.json names every argument and result in order. For a device without files and malloc, give --static --no-stdio,
    with --batch 1 --optimizer sgd --momentum 0 for the least memory. --web compiles the C to WebAssembly with clang and
    wasm-ld, in a page that learns digits and recognises one that you draw. With --batch dynamic, or a range, evaluation
    and prediction take any number of examples, and there is no train step.
    """
    import json

    from netc.codegen.c.folder import Origin, c_files, stale
    from netc.codegen.c.source import room_at
    from netc.codegen.c.static import refuse_room, room_of, static_files
    from netc.codegen.symbolic.program import AnyBatchProgram
    from netc.netspec.batch import BatchRange
    from netc.netspec.errors import UserError
    from netc.runtime.cache.limit import bytes_of
    from netc.runtime.files import write_whole
    from netc.runtime.manifest import write_manifest
    from netc.runtime.prepare import program_sha256, sha256_of_text
    from netc.runtime.run.records import written
    from netc.runtime.target import parse_target, refuse_replicas
    from netc.runtime.versions import versions

    if isinstance(batch, BatchRange) and (static or no_stdio or web or ram is not None):
        raise UserError(
            f"`batch={batch}` makes a program without training, got a device option or --web; leave that out, "
            "or give a number"
        )
    if web:
        _write_page(net, out, other=static or no_stdio or ram is not None)
        return
    if static and not no_stdio:
        raise UserError("--static is for a program without main.c, which allocates its own memory; add --no-stdio")
    size = None if ram is None else bytes_of(ram, "--ram")
    program = built_program(net, sampler=False, ranges=True)
    refuse_replicas(parse_target("c"), program.replicas)
    origin = Origin(program_sha256(program), json.dumps(written(program.recipe)), versions().get("netc", ""))
    files, source = c_files(program, origin, main=not no_stdio)
    room = None if isinstance(program, AnyBatchProgram) else room_of(program, source)
    if size is not None and room is not None:
        refuse_room(room, size, str(ram), program.net.spec.name)
    if static:
        files |= static_files(source)
    if taken := [name for name in files if (out / name).exists() and not (out / "net.json").exists()]:
        raise UserError(f"-o wants a folder of its own, got {out}, which has {', '.join(taken)}; name another one")
    for path in stale(out, files) if (out / "net.json").exists() else ():
        path.unlink()
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_whole(out / name, text)
    write_manifest(out / "net.json", program, sha256_of_text(source.text), "c")
    lines = sum(text.count("\n") for text in files.values())
    say(f"{out}  {', '.join(files)}: {lines:,} lines of C11")
    say(f"{out / 'net.json'}  its arguments and results, in order")
    if room is None:
        say(f"arena {room_at(source.sizes, 1):,} bytes for one example; net_work_bytes tells it for more")
        return
    say(f"state {room.state:,} bytes; arena {source.arena:,} bytes, of which {source.live:,} are live at once")


def _write_page(net: str, out: Path, *, other: bool) -> None:
    from netc.netspec.errors import UserError
    from netc.reports.web import web_page
    from netc.runtime.target import parse_target, refuse_replicas

    if other:
        raise UserError("--web writes a page, got a device option; leave out --static, --no-stdio and --ram")
    program = built_program(net, sampler=False)
    refuse_replicas(parse_target("c"), program.replicas)
    page = web_page(program, out)
    say(f"wrote {page} ({page.stat().st_size / 1e3:,.0f} kB); it loads nothing, so a browser opens it as it is")
