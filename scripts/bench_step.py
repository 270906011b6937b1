"""One training step of netc beside JAX jit, PyTorch eager and torch.compile: same net, batch, Adam, float32, threads.

    python scripts/bench_step.py [NET[@SIDE][:BATCH] ...] [--rounds N] [--seconds S] [--targets T,T]
        [--write] [--page NAME]

SIDE is that of square colour images, or the number of tokens; images of 64 pixels or fewer get 10 classes. Each
contestant lives in its own process and they take turns (runtime/measure/race.py), in groups where memory does not hold
all; the table shows medians over the rounds, the ratios to the best peer and to PyTorch eager, and what part of the
machine's own rate of a product of matrices the step's mathematics reaches. A contestant that fails is a dash with its
reason. Every step runs forward, loss, backward and Adam on a batch that already lies on the device, and waits for the
loss.
`--write` puts each net's rows under docs/measurements/ as soon as it is measured; other nets keep theirs and the date.
Another machine's go to a page of their own, `--page bench_step_xeon`.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from functools import partial
from typing import Any

from bench_nets import parse
from merged_pages import cell, keep, one_by_one

from netc.runtime.measure.bench import Job, flops_of, ours, surroundings
from netc.runtime.measure.race import race

THREADS = 2
os.environ.update(surroundings(THREADS))  # before jax is imported, which the ceilings need

from netc.proofs_oracle.peers.contestants import WORDS, contestants  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.measure.ceilings import ceilings  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402

DEFAULT = (
    "mnist-mlp:128", "mnist-cnn:128", "resnet34-cifar:32", "resnet34:8", "mobilenet_v2@32:32", "vit_tiny_patch4_32:32",
    "tiny-gpt:12", "resnet18@64:32", "resnet50:4", "efficientnet_b0:8", "mobilenet_v3_large:8", "convnext_tiny:4",
    "swin_t:4", "densenet121@64:32", "unet@128:4", "vit_small_patch16_224:4", "gpt2@256:1", "tiny-mamba:12",
)  # fmt: skip
EAGER = "torch eager"
SUMMED = ("netc cpu", "netc xla", "JAX jit", EAGER)


def bench(word: str, rounds: int, seconds: float, targets: list[str], against: list[str]) -> dict[str, Any]:
    """One net: all contestants started, then taking turns."""
    name, net, batch = parse(word)
    job = Job(net, batch, THREADS)

    def doing(said: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {name}: {said}", file=sys.stderr, flush=True)

    timings = race(job, [*map(ours, targets), *contestants(against, net)], rounds, seconds, doing)
    flops = flops_of(job)
    rate = max((ceilings(parse_target(t), Cache()).flops for t in targets if t != "reference"), default=math.inf)
    fair = {t.name: t.fair for t in timings if not math.isnan(t.fair)}
    best = min((n for n in fair if not n.startswith("netc")), key=lambda n: fair[n], default=None)
    rows = [
        {"name": t.name, "failed": str(t.failed)} if t.failed else
        {
            "name": t.name, "median_ms": t.median * 1e3, "min_ms": t.fastest * 1e3, "pace": t.pace,
            "ratio": fair[t.name] / fair[best] if best in fair and t.name in fair else None,
            "to_eager": fair[t.name] / fair[EAGER] if EAGER in fair and t.name in fair else None,
            "gflops": flops / t.median / 1e9, "gemm_share": flops / t.median / rate, "resident_mb": t.resident,
            "peak_mb": t.peak,
        }
        for t in timings
    ]  # fmt: skip
    notes = {t.name: t.notes for t in timings if t.notes}
    return {
        "net": name, "batch": batch, "rounds": min(len(t.times) for t in timings if not t.failed), "best_peer": best,
        "flops": flops, "gemm_gflops": rate / 1e9, "rows": rows, "notes": notes,
    }  # fmt: skip


# the key of a row, its heading, how it is written
COLUMNS = (
    ("median_ms", "median ms", ".2f"),
    ("min_ms", "fastest ms", ".2f"),
    ("ratio", "median / best peer's", ".2f"),
    ("to_eager", "median / torch eager's", ".2f"),
    ("gflops", "GFLOP/s", ".1f"),
    ("gemm_share", "of the product's rate", ".0%"),
    ("resident_mb", "resident MB", ".0f"),
    ("peak_mb", "peak MB", ".0f"),
)


def table(results: list[dict[str, Any]]) -> str:
    """Markdown. What was not measured shows as a dash."""
    lines = []
    for r in results:
        lines += [f"### {r['net']}, batch {r['batch']} ({r['rounds']} rounds)", ""]
        if "flops" in r:
            lines += [
                f"A step is {r['flops'] / 1e9:.2f} GFLOP of mathematics; a product of matrices reached "
                f"{r['gemm_gflops']:.0f} GFLOP/s.",
                "",
            ]
        lines += ["| | " + " | ".join(head for _, head, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
        for row in r["rows"]:
            figures = [format(v, form) if (v := row.get(key)) is not None else "-" for key, _, form in COLUMNS]
            lines.append(f"| {row['name']} | " + " | ".join(figures) + " |")
        for row in r["rows"]:
            if "failed" in row:
                lines += ["", f"{row['name']}: {row['failed']}."]
            elif math.isnan(row.get("pace", 1.0)):
                lines += ["", f"{row['name']} had its turns after {r['rows'][0]['name']} failed, so it has no ratios."]
            elif row.get("pace", 1.0) != 1.0:
                lines += [
                    "",
                    f"{row['name']} had its turns in a later group, with {r['rows'][0]['name']} again, which took "
                    f"{row['pace']:.2f} of its time in the first; its ratios are at the first group's pace.",
                ]
        for name, note in r["notes"].items():
            how = "from the cache" if note["cached"] else "cold"
            ahead = parse_target(name.removeprefix("netc ")).ahead  # else the first step compiles
            took = f", IREE {note['compile_s']:.1f} s ({how})" if ahead else ""
            lines += ["", f"{name}: emitted in {note['emission_s']:.2f} s{took}."]
        lines.append("")
    return "\n".join(lines)


def summary(results: list[dict[str, Any]]) -> str:
    """One row a net, as the README has it, and the geometric means."""
    lines = [
        "| net | netc `cpu` | netc `xla` | JAX jit | torch eager | best peer | `cpu` / best peer | `cpu` / torch eager "
        "| `xla` / JAX | `cpu`, of the GEMM rate | measured |",
        "|---" * 11 + "|",
    ]
    ratios: dict[str, list[float]] = {"cpu": [], "xla": []}
    for r in results:
        rows = {row["name"]: row for row in r["rows"] if "failed" not in row}
        cpu, xla, jax, eager, best = (rows.get(n, {}) for n in (*SUMMED, r["best_peer"]))
        to_jax = xla["ratio"] / jax["ratio"] if xla and jax else None
        for target, ratio in (("cpu", cpu.get("ratio")), ("xla", to_jax)):
            ratios[target] += [] if ratio is None else [ratio]
        cells = [f"{r['net']}, b{r['batch']}", *(cell(row.get("median_ms"), ".1f", " ms") for row in (cpu, xla, jax))]
        cells += [cell(eager.get("median_ms"), ".1f", " ms")]
        cells += [f"{r['best_peer']} {best['median_ms']:.1f} ms" if best else "-"]
        cells += [cell(cpu.get("ratio"), ".2f"), cell(cpu.get("to_eager"), ".2f"), cell(to_jax, ".2f")]
        lines.append("| " + " | ".join([*cells, cell(cpu.get("gemm_share"), ".0%"), r["where"]["date"]]) + " |")
    means = [
        f"`{target}` {statistics.geometric_mean(found):.2f} of {peer} over {len(found)} nets"
        for (target, found), peer in zip(ratios.items(), ("the best peer", "JAX"), strict=True)
        if found
    ]
    return "\n".join([*lines, "", f"Geometric means: {', '.join(means)}.", "", ""])


def page(results: list[dict[str, Any]]) -> str:
    """A row for each net, and its own table below."""
    return summary(results) + table(results)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET[@SIDE][:BATCH]")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60, help="at most so long for each net")
    parser.add_argument("--targets", default="cpu,xla")
    parser.add_argument("--against", default=",".join(WORDS), help="empty for none")
    parser.add_argument("--write", action="store_true", help="merge into docs/measurements/PAGE.{md,json}")
    parser.add_argument("--page", default="bench_step", metavar="NAME")
    options = parser.parse_args()
    targets, against = options.targets.split(","), [w for w in options.against.split(",") if w]
    given = options.rounds, options.seconds, targets, against
    for result in one_by_one((item, partial(bench, item, *given)) for item in options.nets):
        print(table([result]), flush=True)
        if options.write:
            said = "Printed by `python scripts/bench_step.py --write`; a shared machine, so read the ratios."
            keep(options.page, result, THREADS, "Training steps beside their peers", said, page)


if __name__ == "__main__":
    main()
