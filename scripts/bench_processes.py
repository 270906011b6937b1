"""Weak scaling by processes: the time of a step in 1, 2 and 4 processes of `netc launch`, each with its own cores.

    python scripts/bench_processes.py [NET:BATCH ...] [--processes 1,2,4] [--cores 1] [--rounds N] [--write]

BATCH is the batch of each process, which trains on one device and is bound to `--cores` processors, so N processes do N
times the work on N times the cores: a perfect step takes as long as that of one process. `efficiency` is that time over
that of N; where N processes have not their cores each, they share, and one process's time counts as many
times as each core has processes. A step's time is the median of a run's timing.jsonl but for its first steps; of a few
runs of each, taken in turns, the best counts. `--write` puts the table in docs/measurements/processes.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from netc.runtime.measure.ceilings import cores
from netc.runtime.versions import versions

DEFAULT = ("mnist-mlp:64", "mnist-cnn:16", "cifar-bn:16")
FIRST = 10  # steps that do not count: XLA compiles, caches warm up
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "processes.md"
HEADS = ("net", "a process's batch", "processes", "cores each", "ms a step", "beyond one process, ms", "efficiency")


def step_time(item: str, count: int, own_cores: int, steps: int) -> float:
    """Seconds of a step of a run in so many processes, and ends this script with what a run that failed said."""
    net, _, batch = item.partition(":")
    with tempfile.TemporaryDirectory(prefix="netc-bench-") as folder:
        run = Path(folder) / "run"
        train = ["train", net, "--target", "xla", "--batch", str(count * int(batch)), "--max-steps", str(steps)]
        command = [sys.executable, "-m", "netc", "launch", "-n", str(count), "--cores", str(own_cores), "--"]
        done = subprocess.run(
            [*command, *train, "--checkpoint-minutes", "0", "--quiet", "--out", str(run)],
            env={**os.environ, "OMP_NUM_THREADS": str(own_cores)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        lines = (run / "timing.jsonl").read_text(encoding="utf-8").splitlines()
    taken = [record["seconds"] for record in map(json.loads, lines) if record.get("step", 0) >= FIRST]
    return statistics.median(taken)


def rows(item: str, counts: list[int], own_cores: int, rounds: int, steps: int) -> list[tuple[str, ...]]:
    """The lines of a net."""
    best = dict.fromkeys(counts, float("inf"))
    for _ in range(rounds):
        for count in counts:
            best[count] = min(best[count], step_time(item, count, own_cores, steps))
    one, there = best[counts[0]], cores()
    found = []
    for count, seconds in best.items():
        sharing = max(count * own_cores / there, 1)
        each = f"{own_cores / sharing:g}"
        beyond = f"{1e3 * (seconds - one * sharing):.2f}" if count > 1 else ""
        net, _, batch = item.partition(":")
        found.append((net, batch, str(count), each, f"{1e3 * seconds:.2f}", beyond, f"{one * sharing / seconds:.2f}"))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET:BATCH")
    parser.add_argument("--processes", default="1,2,4", help="numbers, the first of which is 1")
    parser.add_argument("--cores", type=int, default=1, help="processors of each process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/measurements")
    options = parser.parse_args()
    counts = [int(n) for n in options.processes.split(",")]
    lines = [HEADS, ("---",) * len(HEADS)]
    for item in options.nets:
        lines += rows(item, counts, options.cores, options.rounds, options.steps)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    shown = ", ".join(f"{n} {v}" for n, v in versions().items())
    text = f"""# Several processes of one machine

Printed by `scripts/bench_processes.py` on {time.strftime("%Y-%m-%d")}: {platform.machine()}, {cores()} cores at a load
of {os.getloadavg()[0]:.1f};
{shown}.
`netc launch` over loopback, sums by Gloo, on the bundled digits; the best of {options.rounds} runs of {options.steps}
steps. A process's batch stays the same. Efficiency is the time of one process over that of N with the same part of a
core each; "beyond one process" is the rest of a step: the sum, and waiting for the slowest.

{table}
"""
    print(text)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
