"""A budget of memory beside what a step takes: the chosen blocks, the compiler's plan, and how much a process grows.

    python scripts/memory_budget.py [NET:BATCH:SHARE ..] [--targets T,T] [--write]

SHARE is the budget as a part of the plan without recomputing. Growth is what one step adds to a process that holds the
state and the compiled program, each in a process of its own (memory_table.py). `--write` puts the table into
docs/measurements/memory_budget.md.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from memory_table import M_MMAP_THRESHOLD, growth, net_of, table

from netc.codegen.program import Program, build
from netc.netspec.recipe import Recipe
from netc.runtime.backends import iree
from netc.runtime.cache.store import Cache
from netc.runtime.measure.budget import fit_blocks, ranges
from netc.runtime.measure.memory import compiled_peak
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer
from netc.runtime.versions import versions

DEFAULT = ("tiny-gpt:12:0.75", "tiny-gpt:12:0.6", "small-resnet:16:0.8")
FILE = Path(__file__).parents[1] / "docs" / "measurements" / "memory_budget.md"
HEADS = (
    "net", "batch", "target", "budget MB", "recomputed", "plan MB", "plan without", "growth MB", "growth without",
    "more time, predicted",
)  # fmt: skip


def program_of(name: str, batch: int, recipe: Recipe) -> Program:
    """The program of a net of memory_table.py."""
    return build(net_of(name), recipe, batch)


def child(name: str, batch: int, word: str, blocks: tuple[str, ...]) -> None:
    """Print by how many bytes one step grows this process."""
    iree.MALLOPT.clear()  # what is freed goes back to the system, and so is counted anew
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 20)
    program = program_of(name, batch, Recipe(remat_blocks=blocks))
    session = Trainer(prepare(program, parse_target(word), Cache()))
    session.init(1)
    rng, net = np.random.default_rng(0), program.net
    shape, classes = (batch, *net.x.shape), net.out.shape[-1]
    x = rng.integers(0, classes, shape).astype(np.int32) if net.x.dtype == "i32" else rng.random(shape, np.float32)
    y = rng.integers(0, classes, (batch, *net.out.shape[:-1])).astype(np.int32)
    if word == "xla":  # which compiles in the first call
        session.train_step(x, y, 1e-3)
    print(json.dumps(growth(libc, lambda: session.train_step(x, y, 1e-3))), flush=True)


def row(words: str, word: str) -> tuple[str, ...]:
    """A line of the table."""
    name, batch, share = words.split(":")
    target = parse_target(word)
    plain = compiled_peak(program_of(name, int(batch), Recipe()), target).total
    budget = int(float(share) * plain)
    found = fit_blocks(lambda recipe: program_of(name, int(batch), recipe), Recipe(), target, budget)

    def grown(blocks: tuple[str, ...]) -> float:
        command = [sys.executable, __file__, f"{name}:{batch}", "--targets", word, "--child", ",".join(blocks)]
        return float(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)) / 1e6

    chosen = f"{len(found.blocks)} of {found.known}: {', '.join(ranges(found.blocks))}"
    numbers = [f"{v:.1f}" for v in (found.peak / 1e6, found.without / 1e6, grown(found.blocks), grown(()))]
    return (name, batch, word, f"{budget / 1e6:.1f}", chosen, *numbers, f"{found.share:.0%}")


def main() -> None:
    """See the head of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=DEFAULT)
    parser.add_argument("--targets", default="cpu,xla")
    parser.add_argument("--write", action="store_true", help=f"into {FILE.name}")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        name, batch = options.nets[0].split(":")
        child(name, int(batch), options.targets, tuple(filter(None, options.child.split(","))))
        return
    rows = []
    for word in options.targets.split(","):
        for words in options.nets:
            rows.append(row(words, word))
            print(*rows[-1], flush=True)
    by = ", ".join(f"{name} {version}" for name, version in versions().items())
    text = [
        "# A budget of memory", "",
        f"Made by scripts/memory_budget.py on {datetime.date.today().isoformat()}; Adam, float32; {by}.", "",
        "`--memory-budget` chose the blocks. The plan is that of `netc memory`; it has the state, which the process",
        "held before the step that it grew by. [Memory of a training step](../memory.md) has the rest.", "",
        table(HEADS, rows), "",
    ]  # fmt: skip
    if options.write:
        FILE.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
