"""How long a training program compiles for IREE's CPU into an empty cache, and where that time goes.

    python scripts/compile_parts.py [NET[@SIDE]:BATCH ...] [--write]

The program is that of scripts/bench_step.py: Adam, float32, without norms. Its compile is timed whole; then it is
compiled in pieces, as `netc compile --profile` does: until the kernels are known, on one processor, and each kernel by
itself. `--write` merges the nets into docs/measurements/compile_parts.md.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bench_nets import parse
from merged_pages import keep, one_by_one

from netc.runtime.cache.store import Cache
from netc.runtime.measure.bench import Job
from netc.runtime.measure.compile_profile import compile_profile
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target

THREADS = 2
GOALS = {  # a net -> the seconds in which it should compile on two processors; None where no number was set
    "tiny-gpt:12": 8, "mobilenet_v2@32:32": 15, "resnet34@64:8": 15, "vit_tiny_patch4_32:32": 20,
    "resnet50@64:8": None, "resnet152@64:8": None, "convnext_tiny:4": None, "swin_t:4": None,
    "mobilenet_v3_large:8": None, "efficientnet_b0:8": None, "densenet121@64:32": None,
}  # fmt: skip


def measure(word: str) -> dict[str, Any]:
    """One net: its compile, whole and in pieces."""
    name, net, batch = parse(word)
    target, program = parse_target("cpu"), Job(net, batch, THREADS).program
    with tempfile.TemporaryDirectory(prefix="netc-compile-") as folder:
        begin = children()
        prepared = prepare(program, target, Cache(Path(folder)))
        spent = children() - begin
    parts = compile_profile(prepared.source.text, prepared.source.module, target)
    slowest = max(parts.kernels, key=lambda kernel: kernel.seconds)
    return {
        "net": f"{name}, b{batch}", "goal_s": GOALS.get(word), "wall_s": prepared.compilation, "processor_s": spent,
        "lines": prepared.source.text.count("\n"), "front_s": parts.front, "kernels": len(parts.kernels),
        "kernels_s": parts.seconds, "slowest": slowest.function, "slowest_s": slowest.seconds,
    }  # fmt: skip


def children() -> float:
    """Processor seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each net."""
    lines = [
        "| net | lines of text | goal s | wall s | processor s | before the kernels | kernels | their processor s | "
        "slowest kernel | s |",
        "|---" * 10 + "|",
    ]
    lines += [
        f"| {r['net']} | {r['lines']:,} | {r['goal_s'] or '-'} | {r['wall_s']:.1f} | {r['processor_s']:.1f} | "
        f"{r['front_s']:.1f} | {r['kernels']} | {r['kernels_s']:.1f} | `{r['slowest']}` | {r['slowest_s']:.1f} |"
        for r in results
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(GOALS), metavar="NET[@SIDE]:BATCH")
    parser.add_argument("--write", action="store_true", help="merge into docs/measurements/compile_parts.{md,json}")
    options = parser.parse_args()
    for result in one_by_one((word, partial(measure, word)) for word in options.nets):
        print(table([result]), flush=True)
        if options.write:
            said = (
                "Printed by `python scripts/compile_parts.py --write`: a compile for `cpu` into an empty cache, and "
                "the processor seconds of its parts, each in a process of its own. What comes before the kernels runs "
                "on one processor. A kernel's seconds are those beyond the quickest kernel's."
            )
            keep("compile_parts", result, THREADS, "Where a compile's time goes", said, table)


if __name__ == "__main__":
    main()
