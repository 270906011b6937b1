"""`netc cost`: what a training step costs, before anything is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netc.cli import mesh_cost
from netc.cli.lean_config import config_option
from netc.cli.mesh_cost import chip_ceiling
from netc.cli.options import given, json_option, net_argument, net_options, print_json, tuned_choices, tuned_option
from netc.cli.program import program_request
from netc.cli.recipe_options import mesh_option, recipe_options, shard_option
from netc.cli.sections import Sectioned

if TYPE_CHECKING:
    from netc.codegen.analysis.step_cost import Ceiling, CostRow

RULE = "bytes: elementwise work is fused into one pass; a product or a transpose is a pass of its own; no cache"


@click.command(cls=Sectioned)
@net_argument
@net_options
@click.option("--target", default="cpu", show_default=True, help="Target: cpu, xla, cuda:sm_89, ..")
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Batch size.")
@click.option(
    "--depth", type=click.IntRange(min=0), default=0, show_default=True, help="Levels of nested layers in the table."
)
@click.option("--measure", is_flag=True, help="Measure this machine's ceilings again.")
@click.option(
    "--peak", type=click.FloatRange(min=0, min_open=True), metavar="GFLOP/s", help="Peak throughput to assume."
)
@click.option(
    "--bandwidth", type=click.FloatRange(min=0, min_open=True), metavar="GB/s", help="Memory bandwidth to assume."
)
@click.option("--chip", metavar="h100|..", help="Assume the published peaks of a chip.")
@mesh_option
@shard_option
@click.option("--link", metavar="GB/s", help="Bandwidth between two devices, of --mesh.  [default: 50GB/s]")
@click.option("--latency", metavar="us", help="Latency between two devices, of --mesh.  [default: 5us]")
@config_option
@recipe_options
@tuned_option
@json_option
def cost(
    *,
    net: str,
    target: str,
    batch: int,
    depth: int,
    measure: bool,
    peak: float | None,
    bandwidth: float | None,
    chip: str | None,
    mesh: str | None,
    shard: str | None,
    link: str | None,
    latency: str | None,
    tuned: bool,
    as_json: bool,
    **words: Any,
) -> None:
    """Estimate the cost of a training step of NET, layer by layer: FLOPs, bytes moved and roofline time.

    The net is not compiled. The roofline's two ceilings, matrix-multiply throughput and memory bandwidth, are measured
    once for each target and kept in the cache. For a device that is not on this machine, give --chip, or --peak and
    --bandwidth. With --mesh: the time of a step on many devices, what they exchange, and the memory of each.
    """
    from netc.cli.views.waiting import watched_cache
    from netc.codegen.analysis.block_cost import step_rows
    from netc.codegen.analysis.step_cost import Ceiling
    from netc.codegen.rewrite.lower import lower
    from netc.netspec.errors import UserError
    from netc.runtime.measure.ceilings import ceilings
    from netc.runtime.prepare import in_use
    from netc.runtime.target import parse_target, refuse_mesh

    if (peak is None) != (bandwidth is None):
        raise UserError("--peak and --bandwidth go together, got one; give the other too, or neither")
    if peak is not None and measure:
        raise UserError("cost wants --measure or given ceilings, got both; leave one out")
    if chip is not None and (peak is not None or measure):
        raise UserError("--chip states ceilings, got --peak or --measure too; leave one out")
    if mesh is None and (idle := [n for n, v in (("link", link), ("latency", latency)) if v is not None]):
        raise UserError(f"--{idle[0]} wants a --mesh of devices, got none; give one such as data=8")
    asked, where = program_request(net, batch), parse_target("xla" if mesh and "target" not in given() else target)
    if asked.sharding:
        refuse_mesh(where)
    capacity = 0.0
    if chip is not None:
        ceiling, source, capacity = chip_ceiling(chip, asked.recipe.precision)
    elif peak is None or bandwidth is None:
        measured = ceilings(where, watched_cache(), again=measure)
        ceiling, source = measured.ceiling, measured.sentence()
    else:
        ceiling, source = Ceiling(peak * 1e9, bandwidth * 1e9), f"{peak:g} GFLOP/s and {bandwidth:g} GB/s, as given"
    if asked.sharding:
        joined = mesh_cost.link_of(link, latency)
        on_mesh = mesh_cost.facts(asked, mesh_cost.cost_on_mesh(asked, ceiling, joined), source, capacity)
        return print_json(on_mesh) if as_json else mesh_cost.show(on_mesh)
    choices = tuned_choices(target, tuned=tuned)
    rows, useful = step_rows(
        *(asked.net, asked.recipe, asked.batch),
        lambda p: lower(where.suited(p.module), where.profile, in_use(p, where, choices)),
        *(ceiling, depth),
    )
    found = facts(rows, ceiling) | {
        "net": asked.net.spec.name, "target": target, "batch": asked.batch, "ceilings_from": source,
        "useful_flops": useful,
    }  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _show(found, rows)


def facts(rows: tuple[CostRow, ...], ceiling: Ceiling) -> dict[str, Any]:
    """The rows and their sums, as JSON has them."""
    return {
        "ceiling": {"flops_per_s": ceiling.flops, "bytes_per_s": ceiling.bytes},
        "flops": sum(r.flops for r in rows),
        "bytes": sum(r.bytes for r in rows),
        "roofline_ms": sum(r.seconds for r in rows) * 1e3,
        "rows": [
            {"layer": r.layer, "phase": r.phase, "flops": r.flops, "bytes": r.bytes, "roofline_ms": r.seconds * 1e3,
             "bound": r.bound}
            for r in rows
        ],
    }  # fmt: skip


def _show(found: dict[str, Any], rows: tuple[CostRow, ...]) -> None:
    from netc.cli.views.table import Column, print_line, print_table
    from netc.codegen.analysis.step_cost import by_layer
    from netc.codegen.location import phases_of

    print_line(f"{found['net']}, batch {found['batch']}, as lowered for {found['target']}", "bold")
    print_line(f"ceilings: {found['ceilings_from']}")
    print_line(RULE, "dim")
    print_line("")
    columns = [Column("layer", fit="cut", style="cyan"), Column("GFLOP", right=True), Column("MB", right=True)]
    shown_phases = phases_of(r.phase for r in rows)
    columns += [Column(f"{phase} ms", right=True) for phase in shown_phases]
    columns += [Column("roofline ms", right=True), Column("bound by")]
    shown = []
    for layer, phases in by_layer(rows).items():
        own = list(phases.values())
        times = [f"{phases[p].seconds * 1e3:.3f}" if p in phases else "" for p in shown_phases]
        shown.append((layer, *_sums(own), *times, f"{sum(r.seconds for r in own) * 1e3:.3f}", _bound(own)))
    phases_total = [f"{sum(r.seconds for r in rows if r.phase == p) * 1e3:.3f}" for p in shown_phases]
    total = ("total", *_sums(rows), *phases_total, f"{found['roofline_ms']:.3f}", _bound(rows))
    print_table(columns, shown, total)
    least = found["useful_flops"] / found["ceiling"]["flops_per_s"] * 1e3
    print_line("")
    print_line(f"the mathematics alone: {found['useful_flops'] / 1e9:.3f} GFLOP, {least:.3f} ms at the first ceiling")


def _sums(rows: list[CostRow] | tuple[CostRow, ...]) -> tuple[str, str]:
    return f"{sum(r.flops for r in rows) / 1e9:.4f}", f"{sum(r.bytes for r in rows) / 1e6:.2f}"


def _bound(rows: list[CostRow] | tuple[CostRow, ...]) -> str:
    return "flops" if 2 * sum(r.arithmetic for r in rows) > sum(r.seconds for r in rows) else "bytes"
