"""`netc doctor`: what works on this machine, and how to fix what does not."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from netc.cli import data
from netc.cli.console import terminal
from netc.cli.options import json_option, print_json
from netc.cli.spelling import parameters_of, spelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from netc.cli.machine import Machine
    from netc.cli.views.table import Cell


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check what works on this machine, and say how to fix what does not.

    A small program is compiled and run for each kind of target. The exit code is 1 if the cpu target does not work;
    everything else is optional.
    """
    from netc.cli.machine import examine
    from netc.netspec.errors import NetcError

    machine = _examined(examine)
    if as_json:
        print_json(facts(machine))
    else:
        _show(machine)
    main = machine.main
    if not main.runs:
        raise NetcError(f"--target cpu must run here, got {main.problem}; {main.fix}")


def _examined(examine: Callable[[], Machine]) -> Machine:
    """The answers, with a spinner on standard error meanwhile."""
    console = terminal(stderr=True)
    if not console.is_terminal:
        return examine()
    with console.status("asking every compiler and driver .."):
        return examine()


def fixes(machine: Machine) -> list[tuple[str, str]]:
    """What is missing, with what to do, the most needed first."""
    found = [("iree", machine.pair)] if machine.pair else []
    targets = sorted((t for t in machine.targets if not t.runs), key=lambda t: t.kind != "cpu")
    found += [(f"--target {t.kind}", t.fix) for t in targets]
    said = {fix for _, fix in found}
    found += [
        (p.name, f"{p.fix} ({p.use})" if p.use else p.fix) for p in machine.packages if p.fix and p.fix not in said
    ]
    found += [(f"data {d.name}", spelled(d.how, parameters_of(data.ls, ()))) for d in machine.data if d.where is None]
    return found


def facts(machine: Machine) -> dict[str, Any]:
    """The same as JSON."""
    versions = {"netc": machine.netc, "python": machine.python} | {p.name: p.version for p in machine.packages}
    return {
        "ok": machine.main.runs,
        "system": machine.system,
        "cpus": machine.cpus,
        "versions": versions,
        "iree_pair_matches": not machine.pair,
        "drivers": [asdict(d) for d in machine.drivers],
        "targets": [asdict(t) for t in machine.targets],
        "cache": asdict(machine.cache),
        "lean": machine.lean or None,
        "data": [asdict(d) for d in machine.data],
        "fixes": [{"what": what, "do": do} for what, do in fixes(machine)],
    }


def _show(machine: Machine) -> None:
    from netc.cli.views.figures import size
    from netc.cli.views.table import Column, print_line, print_table

    print_line(f"netc {machine.netc}, Python {machine.python}, {machine.system}, {machine.cpus} CPUs", "bold")
    print_line("")
    print_table(
        (Column("package", style="cyan"), Column("version"), Column("", fit="wrap", style="dim")),
        [(p.name, _or_missing(p.version), _remark(machine, p.name) or p.use) for p in machine.packages],
    )
    print_line("")
    columns = (
        Column("target", style="cyan"),
        Column("compiles"),
        Column("runs"),
        Column("device, or why not", fit="wrap"),
    )
    print_table(
        columns,
        [
            (t.form, _yes(t.compiles), _yes(t.runs), ", ".join(t.devices) if t.runs else _reason(t.problem))
            for t in machine.targets
        ],
    )
    print_line("")
    print_table(
        (Column("IREE driver", style="cyan"), Column("devices", fit="wrap")),
        [(d.name, ", ".join(d.devices) or _dim("none")) for d in machine.drivers],
    )
    print_line("")
    print_table(
        (Column("data", style="cyan"), Column("where", fit="wrap")),
        [(d.name, d.where or _dim("not here")) for d in machine.data],
    )
    print_line("")
    cache = machine.cache
    free = "" if cache.free is None else f"; {size(cache.free)} free on its disk"
    programs = f"{cache.programs} compiled programs ({size(cache.bytes)}), data {size(cache.data_bytes)}{free}"
    print_line(f"cache {cache.root}: {programs}")
    print_line(f"netc prove --check runs {machine.lean or 'no Lean, because none is installed'}")
    missing = fixes(machine)
    if missing:
        print_line("")
        print_table((Column("missing", style="yellow"), Column("what to do", fit="wrap")), missing)
    if machine.main.runs:
        print_line("")
        print_line("netc can train here: --target cpu compiles and runs. What is missing is optional.", "green")


def _reason(problem: str) -> str:
    """The first sentence; the JSON has all of it."""
    return re.split(r"; |: please", problem)[0]


def _remark(machine: Machine, package: str) -> str:
    if not package.startswith("iree"):
        return ""
    return "compiler and runtime do not match" if machine.pair else "compiler and runtime match"


def _yes(works: bool) -> Cell:
    from netc.cli.views.table import Styled

    return Styled("yes", "green") if works else Styled("no", "yellow")


def _dim(text: str) -> Cell:
    from netc.cli.views.table import Styled

    return Styled(text, "dim")


def _or_missing(version: str | None) -> Cell:
    from netc.cli.views.table import Styled

    return version or Styled("missing", "yellow")
