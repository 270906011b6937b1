"""How cost grows with batch, depth and width: time of a step, memory, emission, compile and certificate.

    python scripts/growth.py [--families mlp,resnet,gpt] [--axes batch,depth,width] [--targets cpu,xla]
        [--seconds S] [--write]

Three small families grow along one axis at a time. Of each size: processor seconds from the spec to the text and its
bytes, those of the compile of the whole module into an empty cache, the least time of a step in `--seconds`, what is
counted of its memory and what the compiler plans, and the processor seconds of a certificate of the text for `xla`, for
each point that it took: a deeper net may need a second one, where some element is 0 at the first. An exponent is the
slope of a straight line through the logarithms of the three largest sizes: what is small is mostly constant. `--write`
puts the page and the plot into docs/measurements/growth.md and growth.png.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netc.runtime.measure.bench import RATE, Job, surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before jax is imported

from merged_pages import processor  # noqa: E402

from netc.codegen.analysis.memory import memory_of  # noqa: E402
from netc.codegen.program import Program  # noqa: E402
from netc.netspec.check import CheckedNet, check  # noqa: E402
from netc.netspec.layers import (  # noqa: E402
    ConvBn,
    Dense,
    GlobalAvgPool,
    ResidualBlock,
    TiedHead,
    TokenPositionEmbed,
    TransformerEncoder,
)
from netc.netspec.spec import NetSpec  # noqa: E402
from netc.proofs_oracle.certificate.certify import certify_program  # noqa: E402
from netc.proofs_oracle.certificate.statement import Settings  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.measure.memory import STEP, compiled_peak  # noqa: E402
from netc.runtime.prepare import emit_text, prepare  # noqa: E402
from netc.runtime.target import Target, parse_target  # noqa: E402
from netc.runtime.trainer import Trainer  # noqa: E402
from netc.runtime.versions import versions  # noqa: E402

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "measurements"
LAST = 3  # sizes that an exponent is of
SLACK = 0.25  # by which an exponent may be above what it should be, for noise and what is constant
Row = dict[str, float]


def mlp(width: int, depth: int) -> NetSpec:
    """Dense layers of one width."""
    hidden = (Dense(width, activation="relu", name=f"hidden{n}") for n in range(depth))
    return NetSpec("mlp", (64,), (*hidden, Dense(10, name="head")))


def resnet(width: int, depth: int) -> NetSpec:
    """Residual blocks of one width on 16x16 images."""
    stem, stage = ConvBn(width, (3, 3), name="stem"), ResidualBlock(width, depth, name="stage")
    return NetSpec("resnet", (16, 16, 3), (stem, stage, GlobalAvgPool(), Dense(10, name="head")))


def gpt(width: int, depth: int) -> NetSpec:
    """A causal transformer on 32 tokens."""
    body = TransformerEncoder(4, 4 * width, depth, causal=True, name="body")
    return NetSpec("gpt", (32,), (TiedHead(TokenPositionEmbed(64, width, std=0.02), body, name="m"),), dtype="i32")


@dataclass(frozen=True)
class Family:
    """What makes a net of (width, depth), where it stands while one axis grows, and the sizes of each axis."""

    make: Callable[[int, int], NetSpec]
    base: Mapping[str, int]
    sizes: Mapping[str, Sequence[int]]


BATCHES = (1, 4, 16, 64, 256)
FAMILIES = {
    "mlp": Family(
        mlp, {"batch": 64, "depth": 4, "width": 128},
        {"batch": BATCHES, "depth": (2, 4, 8, 16, 32), "width": (64, 128, 256, 512, 1024)},
    ),
    "resnet": Family(
        resnet, {"batch": 16, "depth": 2, "width": 16},
        {"batch": BATCHES, "depth": (1, 2, 4, 8, 16), "width": (8, 16, 32, 64)},
    ),
    "gpt": Family(
        gpt, {"batch": 16, "depth": 2, "width": 32},
        {"batch": BATCHES, "depth": (1, 2, 4, 8, 16), "width": (16, 32, 64, 128, 256)},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """A measured quantity: its heading and form; `most`: the exponents that it should have at most, by axis."""

    head: str
    form: str
    most: Mapping[str, float]


TEXT = {"batch": 0.0, "depth": 1.0, "width": 0.0}  # what is written: a line for each operation
WORK = {"batch": 1.0, "depth": 1.0, "width": 2.0}  # what is computed or held: kernels are width x width
METRICS = {
    "emission": Metric("emission CPU-s", ".3f", TEXT),
    "text": Metric("text MB", ".3f", TEXT),
    "counted": Metric("counted MB", ".2f", WORK),
    **{f"planned {t}": Metric(f"planned {t} MB", ".2f", WORK) for t in ("cpu", "xla")},
    **{f"compile {t}": Metric(f"compile {t} CPU-s", ".2f", TEXT) for t in ("cpu", "xla")},
    **{f"step {t}": Metric(f"step {t} ms", ".3f", WORK) for t in ("cpu", "xla")},
    "certificate": Metric("certificate CPU-s/point", ".2f", WORK),
}


def measured(net: CheckedNet, batch: int, targets: Sequence[str], seconds: float, certified: bool) -> Row:
    """One size. `certified`: whether its certificate is made too."""
    program = Job(net, batch, THREADS).program
    begin = cpu_seconds()
    emitted = emit_text(Job(net, batch, THREADS).program, parse_target("cpu"))
    row: Row = {"emission": cpu_seconds() - begin, "text": len(emitted.text) / 1e6}
    row["counted"] = memory_of(program.state, emitted.module, STEP).total / 1e6
    for word in targets:
        target = parse_target(word)
        row[f"planned {word}"] = compiled_peak(program, target).total / 1e6
        row |= {f"{name} {word}": value for name, value in _run(program, target, seconds).items()}
    if certified:
        begin = cpu_seconds()
        found = certify_program(program, parse_target("xla"), Settings())
        row["certificate"] = (cpu_seconds() - begin) / max(s.points for s in found.statements)
        if not found.holds:
            print(f"its certificate does not hold: {found.sentence}", file=sys.stderr)
    return row


def _run(program: Program, target: Target, seconds: float) -> Row:
    """The processor seconds of a compile into an empty cache, and the least milliseconds of a step."""
    job = Job(program.net, program.batch, THREADS)
    with tempfile.TemporaryDirectory(prefix="netc-growth-") as folder:
        begin = cpu_seconds()
        prepared = prepare(program, target, Cache(Path(folder)))
        trainer = Trainer(prepared)
        trainer.init(0)
        step = trainer.repeated(*job.data(), RATE)
        step()  # XLA compiles what is called
        compiled = cpu_seconds() - begin
        times, end = list[float](), time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            begin = time.perf_counter()
            step()
            times.append(time.perf_counter() - begin)
    return {"compile": compiled, "step": min(times) * 1e3}


def cpu_seconds() -> float:
    """Of this process, its threads and the children that have ended: others on the machine enlarge it little."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log value over log size, by least squares, of the LAST sizes; NaN of fewer than two.

    >>> round(exponent([1, 2, 4, 8], [9, 8, 16, 32]), 6)
    1.0
    """
    points = [(math.log(s), math.log(v)) for s, v in zip(sizes, values, strict=True) if v > 0][-LAST:]
    if len(points) < 2:
        return math.nan
    x, y = (sum(column) / len(points) for column in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


Found = dict[tuple[str, str], dict[int, Row]]  # (family, axis) -> size -> row


def exponents(found: Found) -> dict[tuple[str, str, str], float]:
    """By family, axis and metric."""
    return {
        (family, axis, name): exponent(*zip(*points, strict=True))
        for (family, axis), rows in found.items()
        for name in METRICS
        if len(points := [(size, row[name]) for size, row in rows.items() if name in row]) > 1
    }


def above(fitted: Mapping[tuple[str, str, str], float]) -> list[str]:
    """A line for each exponent that is above what it should be."""
    return [
        f"{family}, {METRICS[name].head.rpartition(' ')[0]} over {axis}: {value:.2f}, should be at most "
        f"{METRICS[name].most[axis]:g}"
        for (family, axis, name), value in fitted.items()
        if value > METRICS[name].most[axis] + SLACK
    ]


def table(found: Found) -> list[str]:
    """The exponents, then every size."""
    fitted, lines = exponents(found), ["## Exponents", ""]
    heads = [m.head.rpartition(" ")[0] for m in METRICS.values()]
    lines += ["| family | axis | " + " | ".join(heads) + " |", "|---" * (2 + len(heads)) + "|"]
    for axis in WORK:
        most = " | ".join(f"{m.most[axis]:g}" for m in METRICS.values())
        lines.append(f"| at most | {axis} | {most} |")
        for family, own in found:
            if own == axis:
                values = (fitted.get((family, axis, name)) for name in METRICS)
                lines.append(
                    f"| {family} | {axis} | " + " | ".join("-" if v is None else f"{v:.2f}" for v in values) + " |"
                )
    lines += ["", "## Sizes", ""]
    for (family, axis), rows in found.items():
        base = ", ".join(f"{name} {size}" for name, size in FAMILIES[family].base.items() if name != axis)
        lines += [f"### {family} by {axis} ({base})", ""]
        lines += [
            f"| {axis} | " + " | ".join(m.head for m in METRICS.values()) + " |",
            "|---" * (1 + len(METRICS)) + "|",
        ]
        for size, row in rows.items():
            cells = (format(row[name], m.form) if name in row else "-" for name, m in METRICS.items())
            lines.append(f"| {size} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def page(found: Found, took: float) -> str:
    """docs/measurements/growth.md."""
    shown = ", ".join(f"{k} {v}" for k, v in versions().items())
    over = above(exponents(found)) or ["none"]
    return "\n".join([
        "# How cost grows", "",
        f"Made by scripts/growth.py on {datetime.date.today().isoformat()} in {took / 60:.0f} minutes: {processor()},",
        f"{THREADS} threads; {shown}.", "",
        "One axis grows at a time. An exponent is the slope of a line through the logarithms of the three largest",
        "sizes (1: twice the size costs twice as much; 0: the same). The rows `at most` are what it should be: the",
        "text has a line for each operation, so it grows with depth alone; work and memory grow with batch and depth,",
        "and with the square of the width. What is small is mostly constant, so an exponent below is no surprise. The",
        "machine did other work too.", "",
        "A convolution's text depends on its form ([forms](../convolution-forms.md)), and a form on the sizes. Over",
        "the batch resnet's text grows within bounds: a kernel gradient as outer products is written out for each",
        "block of pixels that a cache holds, at most 16, above which it has another form. Over the width it makes one",
        "step, to Winograd's form from 48 channels on. What was not measured is a dash.", "",
        "![Cost over batch, depth and width](growth.png)", "",
        f"Above what they should be by more than {SLACK:g}:", "", *(f"- {line}" for line in over), "",
        *table(found),
    ])  # fmt: skip


def plot(found: Found, path: Path) -> None:
    """A row for each axis, a column for each metric; the exponents stand in the legends."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [name for name in METRICS if any(name in row for rows in found.values() for row in rows.values())]
    axes_words = [axis for axis in WORK if any(own == axis for _, own in found)]
    fitted = exponents(found)
    figure, grid = plt.subplots(
        len(axes_words), len(names), figsize=(2.6 * len(names), 2.5 * len(axes_words)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for line, axis in zip(grid, axes_words, strict=True):
        for cell, name in zip(line, names, strict=True):
            for (family, own), rows in found.items():
                points = [(size, row[name]) for size, row in rows.items() if name in row]
                if own == axis and points:
                    slope = fitted.get((family, axis, name), math.nan)
                    cell.plot(*zip(*points, strict=True), marker="o", markersize=3, label=f"{family} {slope:.2f}")
            cell.set_xscale("log", base=2)
            cell.set_yscale("log")
            cell.set_xlabel(axis, fontsize=8)
            cell.set_title(METRICS[name].head, fontsize=8)
            cell.tick_params(labelsize=6)
            cell.grid(alpha=0.3)
            cell.legend(fontsize=6)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Measure, print and, with `--write`, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--axes", default=",".join(WORK))
    parser.add_argument("--targets", default="cpu,xla", help="'' for what needs no compiler alone")
    parser.add_argument("--seconds", type=float, default=0.3, help="for the steps of one size on one target")
    parser.add_argument("--largest", type=int, default=10**9, help="leave out sizes above")
    parser.add_argument("--certified", type=int, default=64, help="the largest batch whose text is certified")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    targets = [target for target in options.targets.split(",") if target]
    measured(check(mlp(8, 1)), 2, targets, 0.0, certified=True)  # what is imported and remembered
    begin, found = time.perf_counter(), Found()
    known: dict[Any, Row] = {}
    for family in options.families.split(","):
        row = FAMILIES[family]
        for axis in options.axes.split(","):
            for size in (s for s in row.sizes[axis] if s <= options.largest):
                at = {**row.base, axis: size}
                key = family, *at.values()
                if key not in known:
                    net = check(row.make(at["width"], at["depth"]))
                    certified = at["batch"] <= options.certified
                    known[key] = measured(net, at["batch"], targets, options.seconds, certified)
                found.setdefault((family, axis), {})[size] = known[key]
                shown = ", ".join(f"{name} {format(v, METRICS[name].form)}" for name, v in known[key].items())
                print(f"{time.perf_counter() - begin:5.0f} s {family} {axis} {size}: {shown}", flush=True)
    print("\n".join(table(found)))
    print("\n".join(above(exponents(found))) or "nothing is above what it should be")
    if options.write:
        (FOLDER / "growth.md").write_text(page(found, time.perf_counter() - begin).rstrip() + "\n", encoding="utf-8")
        plot(found, FOLDER / "growth.png")


if __name__ == "__main__":
    main()
