"""`netc cost --mesh`: what a training step costs on a mesh of devices."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netc.netspec.errors import UserError

if TYPE_CHECKING:
    from netc.codegen.analysis.mesh_cost import Link, MeshCost
    from netc.codegen.analysis.step_cost import Ceiling
    from netc.programs import ProgramRequest

LINK, LATENCY = "50GB/s", "5us"
_BANDWIDTHS = {"GB/s": 1e9, "MB/s": 1e6, "TB/s": 1e12, "Gb/s": 1e9 / 8, "Gbit/s": 1e9 / 8}
_TIMES = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
RULE = "computing: the roofline, no exchange hidden; overlapped: what goes over `data` hides behind computing"


def quantity(name: str, text: str, units: dict[str, float]) -> float:
    """`200GB/s` or `5us` in bytes a second or seconds; raises UserError."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(\S+)", text.strip())
    if not found or found[2] not in units or not float(found[1]):
        example = LINK if "GB/s" in units else LATENCY
        raise UserError(
            f"`{name}` wants a number and one of {', '.join(units)}, got {text!r}; write for example {example}"
        )
    return float(found[1]) * units[found[2]]


def link_of(bandwidth: str | None, latency: str | None) -> Link:
    """The link that the options state, or a port of 400 Gb/s."""
    from netc.codegen.analysis.mesh_cost import Link

    first = quantity("link", bandwidth or LINK, _BANDWIDTHS)
    return Link(first, quantity("latency", latency or LATENCY, _TIMES))


def chip_ceiling(chip: str, precision: str) -> tuple[Ceiling, str, float]:
    """The ceilings of a chip for a recipe's precision, a sentence on where they are from, and the bytes it holds."""
    from netc.codegen.analysis.chips import CHIPS
    from netc.codegen.analysis.step_cost import Ceiling

    row = CHIPS.get(chip)
    if row is None:
        raise UserError(f"`chip` wants one of {', '.join(CHIPS)}, got {chip!r}; or give `peak` and `bandwidth`")
    if not row.flops(precision):
        other = "f32" if row.f32 else "bf16"
        raise UserError(
            f"`chip={chip}` has no published peak of `precision={precision}`; give `precision={other}`, or `peak` and "
            "`bandwidth`"
        )
    said = f"{row.flops(precision) / 1e12:g} TFLOP/s of {precision} and {row.bandwidth / 1e9:g} GB/s: {row.source}"
    return Ceiling(row.flops(precision), row.bandwidth), said, row.memory


def cost_on_mesh(asked: ProgramRequest, ceiling: Ceiling, link: Link) -> MeshCost:
    """The cost of a step of the request on its mesh. Raises UserError where the mesh does not divide it."""
    from netc.codegen.analysis.mesh_cost import mesh_cost
    from netc.codegen.rewrite.lower import lower
    from netc.codegen.sharding.layout import misfits

    sharding = asked.sharding
    assert sharding is not None  # there is a mesh
    parts = sharding.mesh.count("data")
    if sharding.mesh.count("sequence") > 1 and (sharding.mesh.count("model") > 1 or asked.batch != parts):
        raise UserError(
            "`cost` counts an axis `sequence` of a `mesh` without `model`, and with one example on each device along "
            f"`data`, got a `batch` of {asked.batch} and {sharding.mesh}; give batch={parts}, or leave `sequence` out "
            "(docs/distributed.md says what XLA exchanges for several)"
        )
    local = replace(asked, batch=max(asked.batch // parts, 1), sharding=None).build()
    if problems := [*misfits(replace(local, batch=asked.batch), sharding)]:
        raise UserError("\n".join(problems))
    lowered = lower(local.module, "xla", scan=local.recipe.scan_blocks)
    return mesh_cost(local, lowered, sharding, ceiling, link)


def facts(asked: ProgramRequest, found: MeshCost, ceilings: str, capacity: float) -> dict[str, Any]:
    """As JSON has it."""
    assert asked.sharding is not None
    keys = found.exchanged
    return {
        "net": asked.net.spec.name, "batch": asked.batch, "mesh": dict(asked.sharding.mesh.axes),
        "shard": asked.sharding.shard, "ceilings_from": ceilings,
        "computing_ms": found.computing * 1e3, "step_ms": found.step * 1e3, "overlapped_ms": found.overlapped * 1e3,
        "examples_per_s": asked.batch / found.step,
        "exchanges": [
            {"axis": axis, "kind": kind, "ms": keys[axis, kind] * 1e3, "sent_bytes": found.moved[axis, kind]}
            for axis, kind in keys
        ],
        "memory": dict(found.memory), "memory_total": sum(found.memory.values()), "memory_of_chip": capacity or None,
    }  # fmt: skip


def show(found: dict[str, Any]) -> None:
    """As tables."""
    from netc.cli.views.table import Column, print_line, print_table

    mesh = ",".join(f"{axis}={count}" for axis, count in found["mesh"].items())
    split = f", {found['shard']}" if found["shard"] else ""
    print_line(f"{found['net']}, batch {found['batch']} over {mesh}{split}, as lowered for xla", "bold")
    print_line(f"ceilings: {found['ceilings_from']}")
    print_line(RULE, "dim")
    print_line("")
    columns = [Column("a step", fit="cut", style="cyan"), Column("MB sent", right=True), Column("ms", right=True)]
    rows = [("computing", "", f"{found['computing_ms']:.3f}")]
    rows += [
        (f"{e['kind']} over {e['axis']}", f"{e['sent_bytes'] / 1e6:.2f}", f"{e['ms']:.3f}") for e in found["exchanges"]
    ]
    print_table(columns, rows, ("sum", "", f"{found['step_ms']:.3f}"))
    print_line(f"overlapped: {found['overlapped_ms']:.3f} ms")
    print_line("")
    columns = [Column("a device holds", fit="cut", style="cyan"), Column("MB", right=True)]
    held = [(name, f"{size / 1e6:.2f}") for name, size in found["memory"].items()]
    print_table(columns, held, ("sum", f"{found['memory_total'] / 1e6:.2f}"))
    if capacity := found["memory_of_chip"]:
        print_line(f"{found['memory_total'] / capacity:.2f} of the chip's {capacity / 1e9:g} GB")
