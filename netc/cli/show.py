"""`netc show`: one net, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say, write
from netc.cli.options import json_option, net_argument, net_options, print_json, resolve_net
from netc.cli.views import lean_list

if TYPE_CHECKING:
    from netc.netspec.check import CheckedNet
    from netc.netspec.lean.found import LeanFile
    from netc.netspec.lean.meaning import Meaning

DISAGREE = "counted as it is written, and not to be trained, for its sizes disagree; FLOPs are not known"
COUNTED = "FLOPs are those of the forward pass on one example; a multiply-add counts 2"


@click.command()
@net_argument
@net_options
@click.option("--depth", type=click.IntRange(min=0), help="Levels of nested layers to show.")
@click.option("--toml", is_flag=True, help="Print the spec as TOML.")
@click.option("--dot", is_flag=True, help="Print the graph for Graphviz.")
@click.option("--mermaid", is_flag=True, help="Print the graph for Mermaid.")
@click.option("--check", is_flag=True, help="Let Lean itself check FILE.lean, if it finds the file's imports.")
@json_option
def show(
    *,
    net: str,
    classes: int | None,
    input_: str | None,
    depth: int | None,
    toml: bool,
    dot: bool,
    mermaid: bool,
    check: bool,
    as_json: bool,
    **sizes: int | None,
) -> None:
    """Show a net: its layers, shapes, parameters and FLOPs.

    NET is a name from `netc ls`, a .toml file, or FILE.lean:NAME for a net in a Lean file. FLOPs are counted for the
    forward pass on one example, 2 for each multiply-add. FILE.lean alone lists all its nets if it has several; one that
    cannot be read is listed with the reason, and the exit code is still 0; with --check it is 1 if Lean refuses a file.
    """
    if check:
        _check(net)
    forms = [
        word for word, given in (("--toml", toml), ("--dot", dot), ("--mermaid", mermaid), ("--json", as_json)) if given
    ]
    _check_forms(forms, depth)
    if forms in ([], ["--json"]) and (file := lean_list.several(net)) is not None:
        _show_list(file, as_json=as_json, options=(classes, input_, depth, *sizes.values()))
        return
    reading = None if toml else _reading(net)
    checked = resolve_net(net, classes, input_, sizes, reading.spec if reading else None)
    match forms:
        case ["--toml"]:
            from netc.netspec.toml import to_toml

            write(to_toml(checked.spec, readable=True))
        case ["--dot" | "--mermaid" as form]:
            from netc.cli.views import graph_text
            from netc.netspec.graph import graph_of

            drawn = graph_text.dot if form == "--dot" else graph_text.mermaid
            write(drawn(graph_of(checked, depth or 0)))
        case _:
            found = facts(checked, depth or 0)
            said = _said(reading) if reading else {}
            if "disagreements" in said:
                found["note"] = DISAGREE
            if as_json:
                print_json(found | said)
                return
            _show(checked, found)
            for sentence in (*said.get("disagreements", ()), *said.get("reading", ())):
                say(sentence)


def _check(net: str) -> None:
    """Say what Lean says of a .lean file; the exit code is 1 if it refuses it. Raises UserError for another net."""
    from netc.cli.emit_lean import say_answer
    from netc.netspec.errors import UserError
    from netc.netspec.lean.file import divided, is_lean, load
    from netc.proofs.source import check_source

    if not is_lean(net):
        raise UserError(f"--check wants FILE.lean, got {net}; leave it out, or see netc emit-lean --check")
    path, _ = divided(net)
    load(path)  # what netc cannot read either has its own error
    say_answer(check_source(path))


def _show_list(file: LeanFile, *, as_json: bool, options: tuple[object, ...]) -> None:
    from netc.netspec.errors import UserError
    from netc.netspec.lean.listing import choose

    if any(option is not None for option in options):
        first = choose(file, file.specs[0].name)
        raise UserError(f"--classes, --input, --depth and sizes want one net, got {len(file.specs)} of a file; {first}")
    lean_list.print_list(file, as_json=as_json)


def _reading(net: str) -> Meaning | None:
    """What a net of a .lean file means, sizes that disagree as the file states them; None for other nets."""
    from netc.netspec.lean.file import divided, is_lean, load, pick
    from netc.netspec.lean.meaning import counted

    if not is_lean(net):
        return None
    path, name = divided(net)
    return pick(load(path), name).read(counted)


def _said(reading: Meaning) -> dict[str, list[str]]:
    """What there is to say of a reading, as JSON has it: nothing where there is nothing."""
    from netc.netspec.lean.listing import at

    found = {"reading": list(reading.notes), "disagreements": [at(error) for error in reading.disagreements]}
    return {key: sentences for key, sentences in found.items() if sentences}


def _check_forms(forms: list[str], depth: int | None) -> None:
    from netc.netspec.errors import UserError

    if len(forms) > 1:
        raise UserError(f"show wants one form of output, got {' and '.join(forms)}; leave out all but one")
    if forms == ["--toml"] and depth is not None:
        raise UserError("--toml prints the whole spec and takes no --depth; leave --depth out")


def facts(net: CheckedNet, depth: int) -> dict[str, Any]:
    """All that the table shows, as JSON has it. `flops` is None for a net with a layer that cannot be emitted yet."""
    from netc.codegen.analysis.cost import forward_flops, with_parents
    from netc.netspec.errors import UserError

    note = COUNTED
    try:
        own = forward_flops(net)
    except UserError as error:
        own, note = None, f"FLOPs are not known: {error}"
    flops = None if own is None else with_parents(own)
    layers = [
        {
            "path": layer.path,
            "depth": layer.depth,
            "kind": layer.layer.kind,
            "label": layer.layer.label(),
            "input": list(layer.x.shape),
            "output": list(layer.signature.out.shape),
            "parameters": layer.signature.count,
            "flops": None if flops is None else flops.get(layer.path, 0),
        }
        for layer in net.walk()
        if layer.depth <= depth
    ]
    return {
        "name": net.spec.name,
        "source": net.spec.source,
        "sha256": net.digest,
        "input": list(net.x.shape),
        "output": list(net.out.shape),
        "parameters": net.count,
        "flops": None if own is None else sum(own.values()),
        "note": note,
        "layers": layers,
    }


def _show(net: CheckedNet, found: dict[str, Any]) -> None:
    from netc.cli.views import figures
    from netc.cli.views.table import Column, print_line, print_table

    def count(flops: int | None) -> str:
        return "?" if flops is None else figures.flops(flops)

    print_line(f"{net.spec.name}: {figures.shape(net.x.shape)} -> {figures.shape(net.out.shape)}", "bold")
    if net.spec.source:
        print_line(net.spec.source, "dim")
    print_line(found["note"], "dim")
    print_line("")
    columns = (
        Column("layer", style="cyan"),
        Column("kind", fit="cut"),
        Column("output", right=True),
        Column("parameters", right=True),
        Column("FLOPs", right=True),
    )
    rows = []
    for layer in found["layers"]:
        name = layer["path"] if layer["depth"] == 0 else layer["path"].rpartition(".")[2]
        output, parameters = figures.shape(tuple(layer["output"])), f"{layer['parameters']:,}"
        rows.append(("  " * layer["depth"] + name, layer["label"], output, parameters, count(layer["flops"])))
    total = ("total", "", "", f"{net.count:,}", count(found["flops"]))
    print_table(columns, rows, total)
