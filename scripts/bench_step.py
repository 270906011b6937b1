"""One training step of netc beside JAX jit, PyTorch eager and torch.compile: same net, batch, Adam, float32, threads.

    python scripts/bench_step.py [NET[@SIDE][:BATCH] ...] [--rounds N] [--seconds S] [--targets T,T] [--write]

SIDE is that of square colour images; nets at 64 pixels or fewer get 10 classes. Each contestant lives in its own
process and they take turns (runtime/measure/bench.py); the table shows medians over the rounds, the ratios to the best
peer and to PyTorch eager, and what part of the machine's own rate of a product of matrices the step's mathematics
reaches. Every step runs forward, loss, backward and Adam on a batch that already lies on the device, and waits for the
loss.
`--write` puts the table under docs/measurements/.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

from netc.runtime.measure.bench import Job, flops_of, ours, race, surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before jax is imported, which the ceilings need

from netc.netspec.check import CheckedNet, check  # noqa: E402
from netc.netspec.find import find  # noqa: E402
from netc.proofs_oracle.peers.contestants import WORDS, contestants  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.measure.ceilings import ceilings  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402
from netc.runtime.versions import versions  # noqa: E402

DEFAULT = (
    "mnist-mlp:128", "mnist-cnn:128", "resnet34-cifar:32", "resnet34:8", "mobilenet_v2@32:32", "vit_tiny_patch4_32:32",
    "tiny-gpt:12",
)  # fmt: skip
SMALL = 64  # pixels a side
EAGER = "torch eager"


def parse(word: str) -> tuple[str, CheckedNet, int]:
    """`mobilenet_v2@32:32` -> its name in the table, the net, the batch."""
    matched = re.fullmatch(r"([^@:]+)(?:@(\d+))?(?::(\d+))?", word)
    if matched is None:
        raise SystemExit(f"wants NET, NET@SIDE or NET@SIDE:BATCH, got {word!r}; write for example mobilenet_v2@32:32")
    spec = find(matched[1])
    if matched[2]:
        side = int(matched[2])
        spec = spec.with_input((side, side, 3))
        spec = spec.with_classes(10) if side <= SMALL else spec
    return word.partition(":")[0], check(spec), int(matched[3] or 32)


def bench(word: str, rounds: int, seconds: float, targets: list[str], against: list[str]) -> dict[str, Any]:
    """One net: all contestants started, then taking turns."""
    name, net, batch = parse(word)
    job = Job(net, batch, THREADS)
    timings = race(job, [*map(ours, targets), *contestants(against, net)], rounds, seconds)
    flops = flops_of(job)
    rate = max((ceilings(parse_target(t), Cache()).flops for t in targets if t != "reference"), default=math.inf)
    medians = {t.name: t.median * 1e3 for t in timings}
    peers = {n: t for n, t in medians.items() if not n.startswith("netc")}
    best = min(peers, key=lambda n: peers[n], default=None)
    rows = [
        {
            "name": t.name, "median_ms": t.median * 1e3, "min_ms": t.fastest * 1e3,
            "ratio": None if best is None else medians[t.name] / peers[best],
            "to_eager": medians[t.name] / medians[EAGER] if EAGER in medians else None,
            "gflops": flops / t.median / 1e9, "gemm_share": flops / t.median / rate, "resident_mb": t.resident,
        }
        for t in timings
    ]  # fmt: skip
    notes = {t.name: t.notes for t in timings if t.notes}
    return {
        "net": name, "batch": batch, "rounds": len(timings[0].times), "best_peer": best, "flops": flops,
        "gemm_gflops": rate / 1e9, "rows": rows, "notes": notes,
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
        for name, note in r["notes"].items():
            how = "from the cache" if note["cached"] else "cold"
            lines += ["", f"{name}: emitted in {note['emission_s']:.2f} s, IREE {note['compile_s']:.1f} s ({how})."]
        lines.append("")
    return "\n".join(lines)


def summary(results: list[dict[str, Any]]) -> str:
    """One row a net, as the README has it."""
    lines = [
        "| net | netc `cpu` | netc `xla` | JAX jit | torch eager | best peer | `cpu` / best peer | `cpu` / torch eager "
        "| `xla` / JAX | `cpu`, of the GEMM rate |",
        "|---" * 10 + "|",
    ]
    for r in results:
        rows = {row["name"]: row for row in r["rows"]}
        if not {"netc cpu", "netc xla", "JAX jit", EAGER} <= set(rows):
            continue  # measured with fewer contestants
        cpu, xla, jax, eager = (rows[n] for n in ("netc cpu", "netc xla", "JAX jit", EAGER))
        peer = r["best_peer"]
        cells = [f"{r['net']}, b{r['batch']}", *(f"{row['median_ms']:.1f} ms" for row in (cpu, xla, jax, eager))]
        cells += [f"{peer} {rows[peer]['median_ms']:.1f} ms", f"{cpu['ratio']:.2f}", f"{cpu['to_eager']:.2f}"]
        cells += [f"{xla['median_ms'] / jax['median_ms']:.2f}", f"{cpu['gemm_share']:.0%}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", ""])


def processor() -> str:
    """The CPU's name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET[@SIDE][:BATCH]")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60, help="at most so long for each net")
    parser.add_argument("--targets", default="cpu,xla")
    parser.add_argument("--against", default=",".join(WORDS), help="empty for none")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/bench_step.{md,json}")
    options = parser.parse_args()
    results = []
    for item in options.nets:
        targets, against = options.targets.split(","), [w for w in options.against.split(",") if w]
        results.append(bench(item, options.rounds, options.seconds, targets, against))
        print(table(results[-1:]), flush=True)
    if options.write:
        write(results)


def write(results: list[dict[str, Any]]) -> None:
    """Merge the results into docs/measurements: nets not measured now keep what was measured before."""
    import torch

    where = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": processor(),
        "threads": THREADS,
        "versions": versions() | {"torch": torch.__version__},
    }
    folder = Path(__file__).parent.parent / "docs" / "measurements"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bench_step.json"
    done = {r["net"] for r in results}
    kept = [r for r in json.loads(path.read_text())["results"] if r["net"] not in done] if path.exists() else []
    results = sorted([*kept, *results], key=lambda r: r["net"])
    path.write_text(json.dumps({"where": where, "results": results}, indent=1) + "\n")
    shown = ", ".join(f"{k} {v}" for k, v in where["versions"].items())
    head = f"# Training steps beside their peers\n\n{where['date']}, {where['cpu']}, {THREADS} threads; {shown}.\n"
    head += "Printed by `python scripts/bench_step.py --write`; a shared machine, so read the ratios.\n\n"
    (folder / "bench_step.md").write_text(head + summary(results) + table(results))


if __name__ == "__main__":
    main()
