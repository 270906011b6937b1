"""`netc ls`: the nets that netc knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netc.cli.options import complete_net, json_option, print_json

if TYPE_CHECKING:
    from netc.cli.views.table import Cell


@click.command()
@click.argument("pattern", required=False, shell_complete=complete_net)
@json_option
def ls(pattern: str | None, as_json: bool) -> None:
    """List the built-in nets, or the nets in a Lean file.

    PATTERN is part of a name (resnet), a glob (resnet*-cifar), or FILE.lean. Parameter counts are computed from the
    spec; a ! marks one that differs from the published count.
    """
    if pattern is not None and pattern.endswith(".lean"):
        from pathlib import Path

        from netc.cli.views.lean_list import print_list
        from netc.netspec.lean.file import load

        print_list(load(Path(pattern)), as_json=as_json)
        return
    rows = [_facts(name) for name in matching(pattern)]
    if as_json:
        print_json(rows)
    else:
        _show(rows)


def matching(pattern: str | None) -> list[str]:
    """The zoo's names that match; raises UserError with the nearest names if none does."""
    from fnmatch import fnmatchcase

    from netc.netspec.errors import UserError
    from netc.netspec.nearest import did_you_mean
    from netc.netspec.zoo import ZOO

    if pattern is None:
        return list(ZOO)
    wanted = pattern.lower()
    glob = any(c in wanted for c in "*?[")
    names = [n for n in ZOO if (fnmatchcase(n, wanted) if glob else wanted in n)]
    if not names:
        hint = did_you_mean(wanted.strip("*?"), ZOO, "`netc ls` shows all of them")
        raise UserError(f"PATTERN wants part of a net's name or a glob, got {pattern!r}, which matches none; {hint}")
    return names


def _facts(name: str) -> dict[str, Any]:
    from netc.netspec.check import check
    from netc.netspec.zoo import ZOO

    entry = ZOO[name]
    net = check(entry.make())
    return {
        "name": name,
        "input": list(net.x.shape),
        "output": list(net.out.shape),
        "parameters": net.count,
        "published": entry.parameters,
        "layers": len(net.spec.layers),
        "source": net.spec.source,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    from netc.cli.views.figures import shape
    from netc.cli.views.table import Column, Styled, print_line, print_table

    columns = (
        Column("net", style="cyan"),
        Column("input", right=True),
        Column("parameters", right=True),
        Column("layers", right=True),
        Column("source", fit="cut", style="dim"),
    )
    wrong = [row for row in rows if row["parameters"] != row["published"]]
    cells: list[tuple[Cell, ...]] = []
    for row in rows:
        count: Cell = f"{row['parameters']:,}"
        if row in wrong:
            count = Styled(f"!{count}", "bold red")
        cells.append((row["name"], shape(tuple(row["input"])), count, str(row["layers"]), row["source"]))
    print_table(columns, cells)
    for row in wrong:
        print_line(f"! {row['name']}: the published count is {row['published']:,}", "red")
