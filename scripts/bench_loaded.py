"""What a busy neighbour costs: a training step alone and with other processes at work, netc beside its peers.

    python scripts/bench_loaded.py [NET[@SIDE][:BATCH] ...] [--busy N] [--rounds N] [--seconds S] [--targets T,T]
        [--write]

The contestants, nets and threads are those of scripts/bench_step.py. In every second round N processes (1) count as
fast as they can, and the system shares the processors among them and the contestant as it likes. The table has the
median step of the quiet rounds and of the busy ones, and what netc's is of the best peer's in both. `--write` merges
the nets into docs/measurements/loaded.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench_nets import parse
from merged_pages import cell, keep, one_by_one

from netc.runtime.measure.bench import Job, ours, surroundings
from netc.runtime.measure.race import race

THREADS = 2
os.environ.update(surroundings(THREADS))  # before jax is imported

from netc.proofs_oracle.peers.contestants import WORDS, contestants  # noqa: E402

DEFAULT = ("mnist-mlp:128", "mnist-cnn:128", "tiny-gpt:12", "mobilenet_v2@32:32")
SETTLE = 0.2  # seconds after the neighbours start or stop: the scheduler moves threads


@contextmanager
def neighbours(count: int) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Processes that count for ever, stopped to begin with; they end with the block."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        say(started, signal.SIGSTOP)
        yield started
    finally:
        for one in started:
            one.kill()
            one.wait()


def say(processes: Sequence[subprocess.Popen[bytes]], word: int) -> None:
    """Send them a signal, and let the scheduler settle."""
    for one in processes:
        one.send_signal(word)
    time.sleep(SETTLE)


def bench(word: str, busy: int, rounds: int, seconds: float, targets: list[str], against: list[str]) -> dict[str, Any]:
    """One net: quiet and busy rounds in turns."""
    name, net, batch = parse(word)

    def doing(said: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {name}: {said}", file=sys.stderr, flush=True)

    with neighbours(busy) as others:
        timings = race(
            Job(net, batch, THREADS), [*map(ours, targets), *contestants(against, net)], 2 * rounds, seconds, doing,
            lambda count: say(others, signal.SIGCONT if count % 2 else signal.SIGSTOP),
        )  # fmt: skip
    alive = [t for t in timings if not t.failed and len(t.times) > 1]
    rows = [
        {"name": t.name, "quiet_ms": statistics.median(t.times[::2]) * 1e3,
         "busy_ms": statistics.median(t.times[1::2]) * 1e3}
        for t in alive
    ]  # fmt: skip
    best: dict[str, float | None] = {}
    for key in ("quiet_ms", "busy_ms"):
        best[key] = min((float(row[key]) for row in rows if not str(row["name"]).startswith("netc")), default=None)
    return {
        "net": name, "batch": batch, "busy": busy, "rounds": min((len(t.times) // 2 for t in alive), default=0),
        "rows": rows, "best": best, "failed": {t.name: str(t.failed) for t in timings if t.failed},
    }  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each contestant."""
    lines = [
        "| net | contestant | quiet ms | busy ms | busy / quiet | of the best peer, quiet | busy |",
        "|---" * 7 + "|",
    ]
    for r in results:
        for row in r["rows"]:
            quiet, busy = row["quiet_ms"], row["busy_ms"]
            ratios = [
                row[key] / r["best"][key] if r["best"][key] is not None else None for key in ("quiet_ms", "busy_ms")
            ]
            lines.append(
                f"| {r['net']}, b{r['batch']} | {row['name']} | {quiet:.2f} | {busy:.2f} | {busy / quiet:.2f} | "
                + " | ".join(cell(ratio, ".2f") for ratio in ratios)
                + " |"
            )
        lines += [f"| {r['net']}, b{r['batch']} | {name} | - | - | - | - | - |" for name in r["failed"]]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET[@SIDE][:BATCH]")
    parser.add_argument("--busy", type=int, default=1, help="processes that count beside the contestants")
    parser.add_argument("--rounds", type=int, default=40, help="quiet ones, and as many busy ones")
    parser.add_argument("--seconds", type=float, default=60, help="at most so long for each net")
    parser.add_argument("--targets", default="cpu,xla")
    parser.add_argument("--against", default=",".join(WORDS), help="empty for none")
    parser.add_argument("--write", action="store_true", help="merge into docs/measurements/loaded.{md,json}")
    options = parser.parse_args()
    given = (
        options.busy, options.rounds, options.seconds, options.targets.split(","),
        [w for w in options.against.split(",") if w],
    )  # fmt: skip
    for result in one_by_one((item, partial(bench, item, *given)) for item in options.nets):
        print(table([result]), flush=True)
        if options.write:
            said = (
                "Printed by `python scripts/bench_loaded.py --write`. In every second round one process more counts as "
                "fast as it can. Three threads then share two processors, so that a step that keeps both busy takes "
                "1.5 times as long; one that leaves a part of them idle takes less."
            )
            keep("loaded", result, THREADS, "Training steps beside a busy neighbour", said, table)


if __name__ == "__main__":
    main()
