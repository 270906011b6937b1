"""`netc memory`: what a training step holds, and what its compiler takes for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from netc.cli.lean_config import config_option
from netc.cli.options import json_option, net_argument, net_options, print_json, tuned_choices, tuned_option, warn
from netc.cli.program import program_request
from netc.cli.recipe_options import memory_budget_option, recipe_options
from netc.cli.sections import Sectioned

if TYPE_CHECKING:
    from netc.codegen.analysis.memory import Memory
    from netc.runtime.measure.memory import Peak


@click.command(cls=Sectioned)
@net_argument
@net_options
@click.option("--target", default="cpu", show_default=True, help="Target: cpu, xla, cuda:sm_89, ..")
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Batch size.")
@click.option(
    "--depth", type=click.IntRange(min=0), default=0, show_default=True, help="Levels of nested layers in the table."
)
@click.option("--top", type=click.IntRange(min=0), default=10, show_default=True, help="Number of layers to list.")
@config_option
@recipe_options
@memory_budget_option
@tuned_option
@json_option
def memory(
    *,
    net: str,
    target: str,
    batch: int,
    depth: int,
    top: int,
    tuned: bool,
    as_json: bool,
    **words: Any,
) -> None:
    """Show how much memory a training step of NET needs: counted from the program, and as the compiler allocates it.

    Nothing is run, so the device is not needed. Add --remat to see what recomputing activations would save, or
    --memory-budget to see which blocks have to be recomputed for it. With --target c the bytes of code and constants
    are shown too, as compiled by CC with CFLAGS.
    """
    from netc.cli.views.waiting import waiting
    from netc.codegen.analysis.memory import memory_of
    from netc.codegen.rewrite.lower import lower
    from netc.programs import within_budget
    from netc.runtime.measure.code_size import code_size
    from netc.runtime.measure.memory import STEP, compiled_peak
    from netc.runtime.prepare import emit_text, in_use
    from netc.runtime.target import parse_target

    where, forms = parse_target(target), tuned_choices(target, tuned=tuned)
    asked = program_request(net, batch, budgets=True)
    program = within_budget(asked, target, forms, warn).build()
    choices = in_use(program, where, forms)
    counted = memory_of(program.state, lower(where.suited(program.module), where.profile, choices), STEP)
    peak = compiled_peak(program, where, choices, watch=waiting(f"compiling for {target}", "compiled"))
    found = {"net": program.net.spec.name, "target": target, "batch": program.batch} | facts(counted, peak, depth)
    if where.engine == "c":
        found["flash"] = asdict(code_size(emit_text(program, where, choices).text))
    if as_json:
        print_json(found)
    else:
        _show(found, top)


def facts(counted: Memory, peak: Peak, depth: int) -> dict[str, Any]:
    """Both, in bytes, as JSON has them."""
    return {
        "parts": counted.rows,
        "sum": counted.total,
        "compiled": {"arguments": peak.arguments, "results": peak.results, "transient": peak.transient},
        "peak": peak.total,
        "ratio": peak.total / counted.total,
        "saved_by_layer": counted.layers(depth),
        "saved": [{"loc": s.loc, "type": str(s.type), "bytes": s.bytes} for s in counted.saved],
    }


def _show(found: dict[str, Any], top: int) -> None:
    from netc.cli.views.table import Column, print_line, print_table

    def megabytes(count: int) -> str:
        return f"{count / 1e6:.2f}"

    print_line(f"{found['net']}, batch {found['batch']}, as lowered for {found['target']}", "bold")
    columns = [Column("counted", fit="cut", style="cyan"), Column("MB", right=True)]
    print_table(columns, [(n, megabytes(v)) for n, v in found["parts"].items()], ("sum", megabytes(found["sum"])))
    print_line("")
    columns = [Column(f"compiled for {found['target']}", fit="cut", style="cyan"), Column("MB", right=True)]
    rows = [(n, megabytes(v)) for n, v in found["compiled"].items()]
    print_table(columns, rows, ("peak", megabytes(found["peak"])))
    print_line(f"{found['ratio']:.2f} of the sum")
    if flash := found.get("flash"):
        print_line("")
        columns = [Column("C, compiled for size", fit="cut", style="cyan"), Column("bytes", right=True)]
        print_table(columns, [(n, f"{flash[n]:,}") for n in ("code", "constants")])
        print_line(f"by {flash['compiler']}", "dim")
    if top:
        layers = list(found["saved_by_layer"].items())
        print_line("")
        columns = [Column("saved by", fit="cut", style="cyan"), Column("MB", right=True)]
        print_table(columns, [(n, megabytes(v)) for n, v in layers[:top]])
        rest = sum(v for _, v in layers[top:])
        if rest:
            print_line(f"and {megabytes(rest)} MB in {len(layers) - top} more", "dim")
