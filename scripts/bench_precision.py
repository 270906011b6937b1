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
from functools import partial
from pathlib import Path
from typing import Any

import torch

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.recipe import Recipe
from netc.netspec.zoo import find
from netc.proofs_oracle.peers.contestants import by_hand, torch_step
from netc.runtime.bench import RATE, Contestant, Job, Step, race
from netc.runtime.cache import Cache
from netc.runtime.session import Session, prepare
from netc.runtime.target import parse_target
from netc.runtime.train import versions

DEFAULT = ("mnist-mlp:128", "mnist-cnn:128", "tiny-gpt:12", "vit_tiny_patch4_32:32")
THREADS, ROUNDS = 2, 60
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "precision_steps.md"
COLUMNS = "| net | contestant | f32: median ms | fastest | bf16: median ms | fastest | bf16 / f32 | third losses |"


def ours(job: Job, word: str, precision: str) -> tuple[Step, dict[str, Any]]:
    """netc on a target at a precision."""
    program = build(job.net, Recipe(norms=False, precision=precision), job.batch)
    session = Session(prepare(program, parse_target(word), Cache()))
    session.init(0)
    session.restore(session.fetch() | job.start())
    return session.repeated(*job.data(), RATE), {}


def lines_of(item: str, seconds: float) -> list[str]:
    """A net's lines of the table."""
    name, _, batch = item.partition(":")
    if not batch.isdecimal() or not int(batch):
        raise SystemExit(f"wants NET:BATCH, got {item!r}; for example mnist-mlp:128")
    job = Job(check(find(name)), int(batch), THREADS)
    names = {"netc cpu": partial(ours, word="cpu"), "netc xla": partial(ours, word="xla")}
    images = any(len(p.shape) == 4 for p in job.net.params)
    peer = partial(torch_step, compiled=False, last=images)
    both = [
        Contestant(f"{who} {precision}", partial(make, precision=precision), twin=precision == "f32")
        for who, make in names.items()
        for precision in ("f32", "bf16")
    ]
    twin = not by_hand(job.net)
    both += [
        Contestant("torch eager f32", peer, twin=twin),
        Contestant("torch eager bf16", partial(peer, narrow=True), twin=False),
    ]
    found = {t.name: t for t in race(job, both, ROUNDS, seconds)}
    lines = []
    for who in (*names, "torch eager"):
        wide, narrow = (found[f"{who} {precision}"] for precision in ("f32", "bf16"))
        numbers = [f"{1e3 * spent:.2f}" for t in (wide, narrow) for spent in (t.median, t.fastest)]
        ratio, losses = f"{narrow.median / wide.median:.2f}", f"{wide.losses[-1]:.4f}, {narrow.losses[-1]:.4f}"
        lines.append("| " + " | ".join([f"{name} b{batch}", who, *numbers, ratio, losses]) + " |")
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
            "machine: read the ratios. On `cpu` some convolutions have another form in bf16 (docs/schedules.md).", "",
        ]  # fmt: skip
        PAGE.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
