"""How training would scale to 1,024 devices, by the predictions of `netc cost --mesh`: a table and a plot.

    python scripts/mesh_scaling.py [--chip h100] [--link 50] [--latency 5] [--write]

The batch of a device stays the same (weak scaling), and `data` grows. `--link` is in GB/s, `--latency` in us. `--write`
puts both into docs/measurements/scaling.md and scaling.png. Nothing is compiled or run.
"""

from __future__ import annotations

import argparse
import datetime
from dataclasses import dataclass, replace
from pathlib import Path

from netc.codegen.analysis.chips import CHIPS
from netc.codegen.analysis.mesh_cost import Link, MeshCost, mesh_cost
from netc.codegen.analysis.step_cost import Ceiling
from netc.codegen.rewrite.lower import lower
from netc.codegen.sharding.layout import misfits
from netc.codegen.sharding.mesh import parse_sharding
from netc.programs import request_program

FOLDER = Path(__file__).parents[1] / "docs" / "measurements"
MOST = 1024
HEADS = ("net", "a device's batch", "mesh", "devices", "ms a step", "efficiency", "overlapped ms", "GB a device")


@dataclass(frozen=True)
class Curve:
    """A net, the examples of a step for each device along `data`, the axis `model`, and what is split."""

    net: str
    batch: int
    model: int
    shard: str

    @property
    def label(self) -> str:
        """As the table and the plot have it."""
        return (f"model={self.model}, " if self.model > 1 else "") + (self.shard or "data alone")


CURVES = (
    Curve("resnet50", 64, 1, ""),
    Curve("vit_base_patch16_224", 64, 1, ""),
    Curve("vit_base_patch16_224", 64, 1, "zero1"),
    Curve("gpt2-xl", 8, 1, "fsdp"),
    Curve("gpt2-xl", 8, 5, "tensor"),
)


def predicted(curve: Curve, ceiling: Ceiling, link: Link) -> dict[int, MeshCost]:
    """The cost by the number of devices, of those whose mesh `netc cost` takes: fsdp wants widths that it divides."""
    program = request_program(curve.net, batch=curve.batch, optimizer="adamw", precision="bf16").build()
    lowered = lower(program.module, "xla")
    found = {}
    for power in range(MOST.bit_length()):
        data, count = 1 << power, curve.model << power
        if count <= MOST:
            mesh = f"data={data}" + (f",model={curve.model}" if curve.model > 1 else "")
            sharding = parse_sharding(mesh, curve.shard or None)
            assert sharding is not None  # a mesh was given
            if not [*misfits(replace(program, batch=data * curve.batch), sharding)]:
                found[count] = mesh_cost(program, lowered, sharding, ceiling, link)
    return found


def rows(curve: Curve, costs: dict[int, MeshCost]) -> list[tuple[str, ...]]:
    """A line for each number of devices. Efficiency: the first one's step in the time of this one's, none hidden."""
    first = next(iter(costs.values())).step
    return [
        (curve.net, str(curve.batch), curve.label, str(count), f"{c.step * 1e3:.2f}", f"{first / c.step:.2f}",
         f"{c.overlapped * 1e3:.2f}", f"{sum(c.memory.values()) / 1e9:.2f}")
        for count, c in costs.items()
    ]  # fmt: skip


def page(lines: list[tuple[str, ...]], chip: str, link: Link) -> str:
    """The table with its heading."""
    shown = "\n".join(f"| {' | '.join(line)} |" for line in (HEADS, ("---",) * len(HEADS), *lines))
    return f"""# Scaling to 1,024 devices, as predicted

Made by scripts/mesh_scaling.py on {datetime.date.today().isoformat()}: predictions of `netc cost --mesh`, of which
nothing was run. Chip {chip} ({CHIPS[chip].source}), bf16 products at its published peak,
rings of {link.bandwidth / 1e9:g} GB/s and {link.latency * 1e6:g} us; AdamW; the batch of a device stays the same. No
step reaches a peak: a real one is longer, and what it exchanges is a smaller part of it.
Efficiency is with nothing hidden; overlapped, what goes over `data` hides behind computing as well as it can.

![Efficiency by devices](scaling.png)

{shown}
"""


def plot(found: dict[Curve, dict[int, MeshCost]], path: Path) -> None:
    """Efficiency over devices."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for curve, costs in found.items():
        first = next(iter(costs.values())).step
        heights = [first / c.step for c in costs.values()]
        axes.plot(list(costs), heights, marker="o", label=f"{curve.net}, {curve.label}")
    axes.set(xscale="log", xlabel="devices", ylabel="efficiency, nothing hidden", ylim=(0, 1.05))
    axes.set_xscale("log", base=2)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chip", default="h100", choices=list(CHIPS))
    parser.add_argument("--link", type=float, default=50)
    parser.add_argument("--latency", type=float, default=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    chip, link = CHIPS[options.chip], Link(options.link * 1e9, options.latency * 1e-6)
    found = {curve: predicted(curve, Ceiling(chip.flops("bf16"), chip.bandwidth), link) for curve in CURVES}
    lines = [line for curve, costs in found.items() for line in rows(curve, costs)]
    print(page(lines, options.chip, link))
    if options.write:
        (FOLDER / "scaling.md").write_text(page(lines, options.chip, link), encoding="utf-8")
        plot(found, FOLDER / "scaling.png")


if __name__ == "__main__":
    main()
