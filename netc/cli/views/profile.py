"""How a profile is shown: as tables, as JSON, as nested boxes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netc.cli.options import print_json
from netc.cli.views.table import Column, print_line, print_table
from netc.codegen.location import OUTSIDE, location_of
from netc.runtime.measure.dispatches import Timed
from netc.runtime.measure.profile import LayerTime, Profile
from netc.traces.flame import Slice, Table, flame

MEASURED = ("place", "ms", "share", "cores", "GFLOP/s")
AT_ONCE = "of dispatches that ran at once each has an equal part"
WORDS = {"c": ("part", "parts", "threads that wait for others count among the cores")}
"""A target -> what its dispatches are called, one and several, and what is to be known of their times."""


def lines(p: Profile) -> list[str]:
    """What was run, and where the time is that no dispatch has."""
    _, several, known = _words(p)
    return [
        f"{p.net}, batch {p.batch}, {p.target}: {p.shown} takes {p.step * 1e3:.2f} ms; "
        f"{p.profiled * 1e3:.2f} ms with the profiler (medians of {p.steps})",
        f"{several} run in {p.busy * 1e3:.2f} ms of it: "
        + ", ".join(f"{phase} {seconds * 1e3:.2f}" for phase, seconds in p.phases().items()),
        f"{known}; GFLOP/s count products and convolutions only",
    ]


def _words(p: Profile) -> tuple[str, str, str]:
    return WORDS.get(p.target, ("dispatch", "dispatches", AT_ONCE))


def _rate(flops: int | None, seconds: float) -> str:
    return f"{flops / seconds / 1e9:.0f}" if flops and seconds else ""


def _layer(layer: LayerTime, phases: Iterable[str], busy: float) -> tuple[str, ...]:
    times = (f"{layer.seconds[p] * 1e3:.3f}" if p in layer.seconds else "" for p in phases)
    return (layer.layer, *times, _share(layer.total, busy), _rate(sum(layer.flops.values()), layer.total))


def _share(seconds: float, busy: float) -> str:
    return f"{100 * seconds / busy:.1f} %" if busy else ""


def _dispatch(d: Timed, busy: float) -> tuple[str, ...]:
    place = (d.site.loc or OUTSIDE) + (f" + {len(d.site.also)}" if d.site.also else "")
    cores = f"{d.core / d.seconds:.1f}" if d.seconds else ""
    return (d.site.function, place, f"{d.seconds * 1e3:.3f}", _share(d.seconds, busy), cores, _rate(d.flops, d.seconds))


def tables(p: Profile, depth: int, top: int) -> tuple[Table, Table]:
    """By layer, and the slowest dispatches."""
    phases = tuple(p.phases())
    one, several, _ = _words(p)
    heads = ("layer", *(f"{phase} ms" for phase in phases), "share", "GFLOP/s")
    layers = [_layer(layer, phases, p.busy) for layer in p.layers(depth)]
    return (
        Table("layers", heads, layers),
        Table(f"the {min(top, len(p.dispatches))} slowest of {len(p.dispatches)} {several}", (one, *MEASURED),
              [_dispatch(d, p.busy) for d in p.dispatches[:top]]),
    )  # fmt: skip


def show(p: Profile, depth: int, top: int) -> None:
    """Print the tables."""
    for line in lines(p):
        print_line(line)
    for table in tables(p, depth, top):
        print_line("")
        print_line(table.title, "bold")
        words = 2 if table.heads[1:] == MEASURED else 1
        columns = [Column(h, right=i >= words, fit="cut" if i < words else "keep") for i, h in enumerate(table.heads)]
        print_table(columns, table.rows)


def show_json(p: Profile, depth: int) -> None:
    """Print everything, times in milliseconds."""
    print_json(facts(p, depth))


def facts(p: Profile, depth: int) -> dict[str, Any]:
    """All of it, as JSON has it."""
    return {
        "net": p.net, "function": p.function, "target": p.target, "batch": p.batch, "steps": p.steps,
        "step_ms": p.step * 1e3, "profiled_ms": p.profiled * 1e3, "busy_ms": p.busy * 1e3,
        "layers": [
            {"layer": x.layer, "ms": {k: v * 1e3 for k, v in x.seconds.items()}, "flops": x.flops}
            for x in p.layers(depth)
        ],
        "dispatches": [
            {
                "function": d.site.function, "loc": d.site.loc, "also": list(d.site.also), "number": d.site.number,
                "ms": d.seconds * 1e3, "core_ms": d.core * 1e3, "flops": d.flops,
            }
            for d in p.dispatches
        ],
    }  # fmt: skip


def page(p: Profile, depth: int, top: int) -> str:
    """Boxes nested by the layers' paths, the dispatches innermost."""
    slices = []
    for d in p.dispatches:
        place = location_of(d.site.loc)
        note = d.site.loc + (f"\nand of {', '.join(d.site.also)}" if d.site.also else "")
        slices.append(Slice(place.path, d.site.function, d.seconds * 1e3, place.phase, note))
    return flame(f"{p.net}: {p.shown}", lines(p), slices, tuple(p.phases()), "ms", tables(p, depth, top))
