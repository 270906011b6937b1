"""Whether the forms of convolutions, and bf16, carry over to older processors: code for their levels, run here.

    python scripts/form_levels.py [NET[@SIDE]:BATCH ...] [--levels LEVEL,LEVEL] [--write]

For every level of x86-64 each form of each convolution is measured as `netc tune` does, and the whole step with the
shipped table's forms, with the fastest that help, and with bf16 products. The code is the level's; the caches and the
clock are this machine's. `--write` merges the rows into docs/measurements/form_levels.md.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from typing import Any

from netc.runtime.measure.bench import Job, surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before NumPy is imported

from bench_nets import parse  # noqa: E402
from merged_pages import keep, one_by_one  # noqa: E402

from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.measure.tune import convolutions, measure, measure_steps, step_of, take_turns  # noqa: E402
from netc.runtime.prepare import prepare  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402

DEFAULT = ("mnist-mlp:128", "tiny-gpt:12", "mnist-cnn:128", "mobilenet_v2@32:32", "resnet34@64:8")
LEVELS = "cpu,cpu:x86-64-v4,cpu:x86-64-v3,cpu:generic"
CLEAR = 0.9  # a form that takes at most this part of the table's time is named
PRECISIONS = ("f32", "bf16")
ROUNDS, BUDGET = 7, 5.0  # of turns of whole steps, and seconds for each


def forms(word: str, level: str) -> dict[str, Any]:
    """One net's code for one level: milliseconds of its convolutions and of its steps."""
    name, net, batch = parse(word)
    target, cache, job = parse_target(level), Cache(), Job(net, batch, THREADS)
    measured = [measure(each, target) for each in convolutions(job.program)]
    sums = [
        sum(m.convolution.count * m.ms[form(m)] for m in measured) for form in (lambda m: m.table, lambda m: m.best)
    ]
    choices = {m.convolution.key: m.best for m in measured if m.best != m.table}
    steps = measure_steps(job.program, target, cache, choices) if choices else None
    both = {p: step_of(prepare(replace(job, precision=p).program, target, cache)) for p in PRECISIONS}
    turns = take_turns(both, "wall", ROUNDS, BUDGET)
    return {
        "net": f"{name} b{batch}, {level}", "table_ms": sums[0], "best_ms": sums[1],
        "tuned": steps.best.ms / steps.trials[0].ms if steps else 1.0,
        "step_ms": {p: turns[p][0] * 1e3 for p in PRECISIONS},
        "clear": [
            f"{m.convolution.count} x {m.convolution.key}: {m.table} {m.ms[m.table]:.2f}, {m.best} {m.ms[m.best]:.2f}"
            for m in measured if m.ms[m.best] <= CLEAR * m.ms[m.table]
        ],
    }  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each net and level, and below it what another form computes clearly faster."""
    lines = [
        "| net and level | convolutions, ms | in the fastest forms | ratio | step, ms | with forms that help | "
        "bf16 / f32 |",
        "|---" * 7 + "|",
    ]
    for r in results:
        step, sums = r["step_ms"], (r["table_ms"], r["best_ms"])
        cells = [f"{sums[0]:.2f}", f"{sums[1]:.2f}", f"{sums[1] / sums[0]:.2f}"] if sums[0] else ["-"] * 3
        cells += [f"{step['f32']:.2f}", f"{r['tuned']:.2f}", f"{step['bf16'] / step['f32']:.2f}"]
        lines.append(f"| {r['net']} | " + " | ".join(cells) + " |")
    for r in (r for r in results if r["clear"]):
        lines += ["", f"{r['net']}, the table's form and the fastest, ms:", "", *(f"- {line}" for line in r["clear"])]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET[@SIDE]:BATCH")
    parser.add_argument("--levels", default=LEVELS)
    parser.add_argument("--write", action="store_true", help="merge into docs/measurements/form_levels.{md,json}")
    options = parser.parse_args()
    pairs = [(word, level) for word in options.nets for level in options.levels.split(",")]
    for result in one_by_one((f"{word} {level}", partial(forms, word, level)) for word, level in pairs):
        print(table([result]), flush=True)
        if options.write:
            said = (
                "Printed by `python scripts/form_levels.py --write`. `cpu` is this machine, x86-64-v4 has AVX-512 "
                "without bf16, x86-64-v3 AVX2, generic SSE2."
            )
            keep("form_levels", result, THREADS, "Forms and bf16 for older processors", said, table)


if __name__ == "__main__":
    main()
