"""A training step with bf16 products beside the float32 one, and beside PyTorch's autocast, in turns.

    python scripts/bench_precision.py [NET:BATCH ...] [--seconds N] [--write]

Each contestant has a process of its own, two threads, the same batch and, but for the nets whose peers are written by
hand, the same first parameters. netc on the CPU through IREE and through XLA; PyTorch eager, images channels last.
`--write`, of all nets, puts the table in docs/measurements/precision_steps.md.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from netc.netspec.check import check
from netc.netspec.find import find
from netc.proofs_oracle.peers.contestants import torch_step
from netc.runtime.measure import bench
from netc.runtime.measure.bench import Contestant, Job, Start, Step
from netc.runtime.measure.race import race
from netc.runtime.versions import versions

DEFAULT = ("mnist-mlp:128", "mnist-cnn:128", "resnet34-cifar:32", "tiny-gpt:12", "vit_tiny_patch4_32:32")
THREADS, ROUNDS = 2, 60
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "precision_steps.md"
COLUMNS = "| net | contestant | f32: median ms | fastest | bf16: median ms | fastest | bf16 / f32 | third losses |"


def at(job: Job, precision: str, make: Start) -> tuple[Step, dict[str, Any]]:
    """A contestant's step at a precision."""
    return make(replace(job, precision=precision))


def lines_of(item: str, seconds: float) -> list[str]:
    """A net's lines of the table."""
    name, _, batch = item.partition(":")
    if not batch.isdecimal() or not int(batch):
        raise SystemExit(f"wants NET:BATCH, got {item!r}; for example mnist-mlp:128")
    job = Job(check(find(name)), int(batch), THREADS)
    images = any(len(p.shape) == 4 for p in job.net.params)
    peer = Contestant("torch eager", partial(torch_step, compiled=False, last=images))
    contestants = (bench.ours("cpu"), bench.ours("xla"), peer)
    both = [
        Contestant(f"{c.name} {p}", partial(at, precision=p, make=c.make), same_start=c.same_start and p == "f32")
        for c in contestants
        for p in ("f32", "bf16")
    ]
    found = {t.name: t for t in bench.unbroken(race(job, both, ROUNDS, seconds))}
    lines = []
    for c in contestants:
        wide, narrow = (found[f"{c.name} {p}"] for p in ("f32", "bf16"))
        numbers = [f"{1e3 * spent:.2f}" for t in (wide, narrow) for spent in (t.median, t.fastest)]
        ratio, losses = f"{narrow.median / wide.median:.2f}", f"{wide.losses[-1]:.4f}, {narrow.losses[-1]:.4f}"
        lines.append("| " + " | ".join([f"{name} b{batch}", c.name, *numbers, ratio, losses]) + " |")
    return lines


def has_bf16() -> str:
    """Whether this processor multiplies bf16 numbers itself: yes, no, or unknown off Linux."""
    try:
        return "yes" if "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8") else "no"
    except OSError:
        return "unknown"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET:BATCH")
    parser.add_argument("--seconds", type=float, default=60, help="of turns, for each net")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/measurements")
    options = parser.parse_args()
    if options.write and options.nets != list(DEFAULT):
        parser.error("--write is for the table of all nets; leave the names out")
    lines = [COLUMNS, "|" + "---|" * 8]
    print("\n".join(lines), flush=True)
    for item in options.nets:
        found = lines_of(item, options.seconds)
        print("\n".join(found), flush=True)
        lines += found
    if options.write:
        shown = ", ".join(f"{n} {v}" for n, v in (versions() | {"torch": torch.__version__}).items())
        head = [
            "# Steps with bf16 products, beside float32", "",
            f"Printed by `scripts/bench_precision.py` on {time.strftime('%Y-%m-%d')}: {platform.machine()}, {THREADS} "
            f"threads, AVX512-BF16: {has_bf16()}; {shown}. Adam, weights and moments in float32. A shared "
            "machine: read the ratios. On `cpu` some convolutions have another form in bf16 "
            "(docs/convolution-forms.md).", "",
        ]  # fmt: skip
        PAGE.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
