"""`netc tune`: which form of each convolution is fastest on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import printable, say, write
from netc.cli.options import complete_net, json_option, net_options, print_json, resolve_net
from netc.cli.out_path import OUT_FILE
from netc.netspec.counting import counted

if TYPE_CHECKING:
    from netc.codegen.program import Program
    from netc.codegen.rewrite.form_overrides import FormOverrides
    from netc.runtime.cache.store import Cache
    from netc.runtime.measure.tune import Measured, Steps
    from netc.runtime.target import Target

_OF = {"wall": "", "cpu": " of CPU"}


@click.command("tune")
@click.argument("net", metavar="NET", required=False, shell_complete=complete_net)
@net_options
@click.option("--target", default="cpu", show_default=True, help="Target: cpu, xla, vulkan, or a GPU of this machine.")
@click.option("--batch", type=int, default=32, show_default=True, help="Batch size.")
@click.option(
    "--all", "negligible", is_flag=True, help="Also measure convolutions that take less than 0.5% of the time."
)
@click.option("--no-step", is_flag=True, help="Keep the fastest forms without timing the whole step.")
@click.option(
    "--by",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="Clock: wall time, or this process's CPU time for a busy machine.",
)
@click.option(
    "--to",
    "table_out",
    type=OUT_FILE,
    metavar="FILE",
    help="Write all that is kept for the target into a table that others can read.",
)
@click.option(
    "--from",
    "table_in",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the forms of another machine's table for the target; measure nothing.",
)
@click.option("--show", is_flag=True, help="Show what is kept for NET; measure nothing.")
@json_option
def tune(
    net: str | None,
    classes: int | None,
    input_: str | None,
    target: str,
    batch: int,
    negligible: bool,
    no_step: bool,
    by: str,
    show: bool,
    table_out: Path | None,
    table_in: Path | None,
    as_json: bool,
    **sizes: int | None,
) -> None:
    """Time every form of each distinct convolution in NET's train step, and keep the fastest.

    The forms of a convolution are timed in turns, and the fastest call of each counts. Then the whole step is timed
    with the target's default forms and with the fastest ones. If these do not make the step faster, subsets of them are
    tried, and the fastest choice is kept. `netc train`, `compile` and `emit-mlir` use it for this target unless
    --no-tuned is given. `netc cache clear tuned-TARGET` removes it.

    `netc tune --to FILE` writes what is kept as a table, and `netc tune --from FILE` keeps such a table here, also for
    a target that is not this machine: --target cpu:haswell.
    """
    from netc.codegen.program import build
    from netc.netspec.errors import UserError
    from netc.netspec.recipe import Recipe
    from netc.runtime.cache.store import Cache
    from netc.runtime.measure.tune import check_here
    from netc.runtime.target import parse_target

    where = parse_target(target)
    if table_in is not None and (net is not None or table_out is not None):
        raise UserError("--from measures nothing, got also NET or --to; leave them out")
    if net is None:
        if show or negligible or no_step:
            raise UserError("--show, --all and --no-step want a NET, got none; name one")
        return _share(where, table_in, table_out)
    if show and (negligible or no_step):
        raise UserError("--show measures nothing, got also --all or --no-step; leave them out")
    if not show:
        check_here(where, by)
    checked = resolve_net(net, classes, input_, sizes)
    program = build(checked, Recipe(), batch)
    store = Cache(on_damage=_damage)
    if show:
        _show(program, where, store, as_json)
    else:
        _measure(program, where, store, as_json, by, negligible=negligible, no_step=no_step)
    if table_out is not None:
        _share(where, None, table_out)


def _share(target: Target, table_in: Path | None, table_out: Path | None) -> None:
    """Read or write a table."""
    from netc.netspec.errors import UserError
    from netc.runtime.cache.folders import cache_root
    from netc.runtime.measure.tuned import adopt, nothing_for, read_table, write_table

    if table_in is not None:
        table, here = read_table(table_in), nothing_for(target)
        path = adopt(table, target, cache_root(), _damage)
        say(f"kept {counted(len(table.winners), 'convolution')} of {', '.join(table.nets)} for {target.word} in {path}")
        for what, there, ours in (("on", table.cpu, here.cpu), ("with", table.compiler, here.compiler)):
            if there != ours:
                say(f"netc: they were measured {what} {there}, and this machine has {ours}", err=True)
    elif table_out is not None:
        held = write_table(target, cache_root(), table_out, _damage)
        say(
            f"{table_out}: {counted(len(held.winners), 'convolution')} of {', '.join(held.nets)}, measured on "
            f"{held.cpu}"
        )
    else:
        raise UserError("tune wants a NET to measure, or --from or --to with a FILE; see `netc tune --help`")


def _damage(text: str) -> None:
    say(f"netc: {text}", err=True)


def _measure(
    program: Program, target: Target, store: Cache, as_json: bool, by: str, *, negligible: bool, no_step: bool
) -> None:
    from netc.netspec.errors import UserError
    from netc.runtime.measure.tune import convolutions, measure, measure_steps
    from netc.runtime.measure.tuned import keep

    found = convolutions(program, negligible=negligible)
    if not found:
        raise UserError(
            f"tune wants a net with convolutions, got {program.net.spec.name} with none; choose a net that has some"
        )
    measured: list[Measured] = []
    for number, each in enumerate(found, 1):
        _progress(f"{number} of {len(found)}: {each.key}")
        measured.append(measure(each, target, by))
    choices: FormOverrides = {m.convolution.key: m.best for m in measured if m.best != m.table}
    steps = None
    if choices and not no_step:
        steps = measure_steps(program, target, store, choices, by, _progress)
        choices = steps.best.choices
    _progress("")
    path = None
    if choices or steps is None:
        winners = {m.convolution.key: m.winner(choices.get(m.convolution.key, m.table)) for m in measured}
        path = keep(target, store.root, f"{program.net.spec.name} b{program.batch}", winners, _damage)
    if as_json:
        print_json(_facts(program, target, by, measured, steps, str(path) if path else None))
        return
    _print(measured, by)
    for line in _verdict(measured, steps, by):
        say(line)
    if path:
        say(f"kept in {path}; `netc train`, `compile` and `emit-mlir` for {target.word} use it")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        write(f"\r\033[K{printable(text[:100])}", err=True)


def _verdict(measured: list[Measured], steps: Steps | None, by: str) -> list[str]:
    changed = sum(m.best != m.table for m in measured)
    lines = [f"{changed} of {len(measured)} convolutions are faster in another form than the default"]
    if steps:
        lines.append(f"a whole step in ms{_OF[by]} (median of all turns in parentheses):")
        lines += [f"  {t.ms:9.2f} ({t.median_ms:.2f})  {t.name}" for t in steps.trials]
        if not steps.best.choices:
            lines.append("no forms make the step faster than the defaults: nothing is kept")
    return lines


def _print(measured: list[Measured], by: str) -> None:
    from netc.cli.views.table import Column, Styled, print_table
    from netc.runtime.measure.tune import gflops

    columns = (
        Column("convolution", style="cyan"),
        Column("times", right=True),
        Column(f"forms, ms{_OF[by]} (GFLOP/s)", fit="wrap"),
        Column("table"),
        Column("chosen"),
    )
    rows = []
    for m in measured:
        forms = [f"{f} {ms:.2f} ({gflops(m, f):.0f})" for f, ms in sorted(m.ms.items(), key=lambda item: item[1])]
        forms += [f"{f}: {why}" for f, why in m.failed.items()]
        chosen = Styled(m.best, "bold green" if m.best != m.table else "")
        rows.append((m.convolution.key, str(m.convolution.count), ", ".join(forms), m.table, chosen))
    print_table(columns, rows)


def _facts(
    program: Program, target: Target, by: str, measured: list[Measured], steps: Steps | None, path: str | None
) -> dict[str, Any]:
    import os

    from netc.runtime.measure.tune import gflops
    from netc.runtime.measure.tuned import nothing_for

    machine = nothing_for(target)
    return {
        "net": program.net.spec.name, "input": list(program.net.spec.input), "batch": program.batch,
        "target": target.word, "cpu": machine.cpu, "compiler": machine.compiler, "clock": by,
        "load": [round(v, 2) for v in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "convolutions": [
            {
                "key": m.convolution.key, "count": m.convolution.count, "flops": m.convolution.flops,
                "table": m.table, "chosen": m.best,
                "forms": {f: {"ms": round(ms, 4), "gflops": round(gflops(m, f), 1)} for f, ms in m.ms.items()},
                "failed": dict(m.failed),
            }
            for m in measured
        ],
        "step_ms": _trials(steps), "kept": path,
    }  # fmt: skip


def _trials(steps: Steps | None) -> list[dict[str, Any]]:
    trials = steps.trials if steps else ()
    return [
        {"name": t.name, "ms": round(t.ms, 3), "median_ms": round(t.median_ms, 3), "forms": dict(t.choices),
         "chosen": steps is not None and t is steps.best}
        for t in trials
    ]  # fmt: skip


def _show(program: Program, target: Target, store: Cache, as_json: bool) -> None:
    from netc.cli.views.table import Column, print_table
    from netc.runtime.measure.tune import convolutions
    from netc.runtime.measure.tuned import tuned_for

    held = tuned_for(target, store.root, _damage)
    found = [(c, held.winners[c.key]) for c in convolutions(program, negligible=True) if c.key in held.winners]
    if as_json:
        rows = [{"key": c.key, "count": c.count, **vars(w)} for c, w in found]
        print_json({"net": program.net.spec.name, "batch": program.batch, "target": target.word, "kept": rows})
        return
    if not found:
        say(f"nothing is kept for {program.net.spec.name} b{program.batch} on {target.word}; run it without --show")
        return
    columns = (Column("convolution", style="cyan"), Column("chosen"), Column("ms", right=True), Column("table"))
    cells = [(c.key, w.form, f"{w.ms:.2f}", f"{w.table} {w.table_ms:.2f}") for c, w in found]
    print_table((*columns[:3], Column("table's, ms")), cells)
