"""`netc cost --mesh` beside what is measured on 1, 2 and 4 devices of this machine's CPU.

    python scripts/check_cost.py [NET:BATCH ...] [--meshes data=2,data=4,..] [--rounds N] [--write]

First the "chip" of the predictions is measured, for each number of devices, with all of them at work, since they
share the cores: a product of matrices and a triad on each (runtime/measure/ceilings.py's programs), and sums over
them of 4 KB and of 16 MB, from which follow the latency and the bandwidth of the ring that the model has. Nothing of
the nets is fitted. Then each net's step is predicted and measured, BATCH examples on each device along `data`, in
turns: one step of each, again and again. `measured / predicted` is above 1, as no step reaches a peak; `growth` is a
step's time over that of one device, so where `predicted` and `measured` growth are near each other the model tells
how a step scales.
`--write` puts the tables in docs/measurements/cost_check.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from netc.runtime.measure.bench import surroundings

os.environ.update(surroundings(os.cpu_count() or 1))  # before anything that reads it is imported

import numpy as np

from netc.codegen.analysis.mesh_cost import Link, MeshCost, mesh_cost
from netc.codegen.analysis.step_cost import Ceiling
from netc.codegen.builder import Builder
from netc.codegen.distribute.buckets import buckets
from netc.codegen.ir import Function
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.codegen.sharding.layout import misfits
from netc.codegen.sharding.mesh import Mesh, Sharding, parse_mesh
from netc.codegen.text import text_of
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import Adam, Recipe
from netc.netspec.types import TensorType
from netc.runtime.backends import check_device, load
from netc.runtime.backends.protocol import Source
from netc.runtime.cache.store import Cache
from netc.runtime.measure import ceilings
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer
from netc.runtime.versions import versions

DEFAULT = ("mnist-mlp:128", "cifar-bn:16", "tiny-gpt:4")
MESHES = ("data=2", "data=4", "model=2", "data=2,model=2")
SMALL, LARGE = 1 << 10, 4 << 20  # floats of the two sums
TARGET = parse_target("xla")
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "cost_check.md"
HEADS = ("net", "mesh", "computing", "exchanges", "predicted ms", "measured ms", "measured / predicted",
         "growth predicted", "growth measured")  # fmt: skip


@dataclass(frozen=True)
class Chip:
    """One of so many devices at work together: its ceilings, and the ring that joins them."""

    ceiling: Ceiling
    link: Link


def summing(count: int, devices: int) -> Function:
    """The sum of a vector over all devices, and its first number, to wait for."""
    b = Builder(f"sum{count}")
    total = b.over_replicas(b.parameter("x", TensorType((count,))), devices)
    return b.finish([("total", total), ("first", b.slice(total, (0,), (1,)))])


def probed(devices: int) -> Chip:
    """What one of so many devices does at most while the others do the same, and what a sum over them takes."""
    module = ceilings.programs()
    if devices > 1:
        sums = [summing(count, devices) for count in (SMALL, LARGE)]
        module = buckets(replace(module, functions=(*module.functions, *sums), replicas=devices))
    module = lower(module, TARGET.profile)
    loaded = load(Source(module, text_of(module, TARGET.profile)), TARGET)

    def fastest(name: str, *shapes: tuple[int, ...]) -> float:
        args = [loaded.put(np.ones(shape, np.float32)) for shape in shapes]
        return ceilings.best_time(lambda: loaded.get(loaded.call(name, args)[1]))

    flops = max(2 * n**3 / fastest(f"gemm{n}", (n, n), (n, n)) for n in ceilings.GEMMS)
    size = (ceilings.ELEMENTS,)
    ceiling = Ceiling(flops, 12 * ceilings.ELEMENTS / fastest("triad", size, size))
    if devices == 1:
        return Chip(ceiling, Link(1.0, 0.0))
    short, long = (fastest(f"sum{count}", (count,)) for count in (SMALL, LARGE))
    turns = 2 * (devices - 1)
    return Chip(ceiling, Link(turns / devices * 4 * (LARGE - SMALL) / max(long - short, 1e-9), short / turns))


def predicted(name: str, own: int, mesh: Mesh, chip: Chip) -> MeshCost:
    """As `netc cost` has it."""
    local = build(check(find(name)), Recipe(Adam(), norms=False), own)
    return mesh_cost(local, lower(local.module, "xla"), Sharding(mesh), chip.ceiling, chip.link)


def stepping(name: str, own: int, mesh: Mesh) -> Callable[[], float]:
    """A step on a random batch, which lies on the devices."""
    net, batch = check(find(name)), own * mesh.count("data")
    sharding = Sharding(mesh) if mesh.size > 1 else None
    program = build(net, Recipe(Adam(), norms=False), batch).on(sharding)
    rng, classes = np.random.default_rng(0), net.out.shape[-1]
    shape = (batch, *net.x.shape)
    x = rng.integers(0, classes, shape, np.int32) if net.x.dtype == "i32" else rng.standard_normal(shape, np.float32)
    y = rng.integers(0, classes, (batch, *net.out.shape[:-1]), np.int32)
    trainer = Trainer(prepare(program, TARGET, Cache()))
    trainer.init(0)
    return trainer.repeated(x, y, 1e-3)


def compared(item: str, meshes: list[Mesh], chips: dict[int, Chip], rounds: int) -> list[tuple[str, ...]]:
    """The rows of a net."""
    name, _, given = item.partition(":")
    program = build(check(find(name)), Recipe(Adam(), norms=False), int(given))
    fit = [m for m in meshes if not [*misfits(replace(program, batch=int(given) * m.count("data")), Sharding(m))]]
    costs = [predicted(name, int(given), mesh, chips[mesh.size]) for mesh in fit]
    runs = [stepping(name, int(given), mesh) for mesh in fit]
    times: list[list[float]] = [[] for _ in runs]
    for number in range(rounds + 2):
        for run, seen in zip(runs, times, strict=True):
            begin = time.perf_counter()
            run()
            if number > 1:  # the first ones compile and warm up
                seen.append(time.perf_counter() - begin)
    taken = [statistics.median(seen) for seen in times]
    rows = []
    for mesh, cost, seconds in zip(fit, costs, taken, strict=True):
        ms = [1e3 * cost.computing, 1e3 * (cost.step - cost.computing), 1e3 * cost.step, 1e3 * seconds]
        ratios = [seconds / cost.step, cost.step / costs[0].step, seconds / taken[0]]
        where = str(mesh) if mesh.size > 1 else "one device"
        rows.append((name, where, *(f"{v:.2f}" for v in ms), *(f"{v:.2f}" for v in ratios)))
    return rows


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """As Markdown has it."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ("---",) * len(heads), *rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET:BATCH")
    parser.add_argument("--meshes", default=" ".join(MESHES), help="with spaces between")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/measurements")
    options = parser.parse_args()
    meshes = [parse_mesh("data=1"), *map(parse_mesh, options.meshes.split())]
    sizes = sorted({mesh.size for mesh in meshes})
    check_device(TARGET, max(sizes))  # before jaxlib's first use
    chips = {size: probed(size) for size in sizes}
    probes = [
        (str(n), f"{c.ceiling.flops / 1e9:.1f}", f"{c.ceiling.bytes / 1e9:.2f}",
         *(("", "") if n == 1 else (f"{c.link.bandwidth / 1e9:.2f}", f"{c.link.latency * 1e6:.0f}")))
        for n, c in chips.items()
    ]  # fmt: skip
    rows = [row for item in options.nets for row in compared(item, meshes, chips, options.rounds)]
    probe_heads = ("devices at work", "GFLOP/s of each", "GB/s of each", "ring GB/s", "ring us")
    shown = ", ".join(f"{n} {v}" for n, v in versions().items())
    text = f"""# `netc cost --mesh` beside measured steps

Printed by `scripts/check_cost.py` on {time.strftime("%Y-%m-%d")}: {platform.machine()}, {os.cpu_count()} cores at a
load of {os.getloadavg()[0]:.1f};
{shown}.
Medians of {options.rounds} steps, taken in turns. The devices share the cores: what each does at most was measured with
all at work, and nothing was fitted to the nets. Adam, float32.

{table(probe_heads, probes)}

`growth` is a step's time over that of one device, as predicted and as measured.

{table(HEADS, rows)}
"""
    print(text)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
