"""The time of a training step on 1, 2 and 4 devices of this machine's CPU in one process, in turns, and what they sum.

    python scripts/bench_replicas.py [NET:BATCH ...] [--devices 1,2,4] [--rounds N] [--write]

BATCH is the batch of each device, so that N devices do N times the work of one (weak scaling). They share the machine's
cores, so a perfect step of N devices takes as long as one device takes for the whole batch: `/ one device` is the
median step's ratio to that. `/ without sums` is the ratio to the same program with its sums over devices left out,
which trains nothing: what the collectives cost; `/ one vector` that to one that puts all gradients into one vector,
whatever their sizes. Bytes are those of one device's operands of all sums in the text of a step, beside the parameters'
bytes, which no data parallel step can do without. A round is a few steps of each, one after the other; two threads.
`--write` puts the table in docs/measurements/replicas.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from netc.runtime.measure.bench import surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before anything that reads it is imported

import numpy as np  # noqa: E402

from netc.codegen.distribute.buckets import buckets  # noqa: E402
from netc.codegen.ir import Function  # noqa: E402
from netc.codegen.program import Program, build  # noqa: E402
from netc.codegen.rewrite.walk import rewrite  # noqa: E402
from netc.netspec.check import CheckedNet, check  # noqa: E402
from netc.netspec.find import find  # noqa: E402
from netc.netspec.recipe import Recipe  # noqa: E402
from netc.runtime.backends import check_device  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.prepare import Prepared, prepare  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402
from netc.runtime.trainer import Trainer  # noqa: E402
from netc.runtime.versions import versions  # noqa: E402

DEFAULT = ("mnist-mlp:128", "cifar-bn:16", "tiny-gpt:4")
TARGET = parse_target("xla")
STEPS = 4  # of each in a round
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "replicas.md"


def without_sums(program: Program) -> Program:
    """The program in which no replica meets another."""

    def change(f: Function) -> Function:
        return rewrite(f, lambda b, op, operands: operands[0], ("all_reduce",))

    return replace(program, module=replace(program.module, functions=tuple(map(change, program.module))))


def summed(prepared: Prepared) -> int:
    """Bytes of one replica's operands of the sums in a step."""
    step = prepared.source.module.function("train_step")
    return sum(op.operands[0].type.bytes for op in step.ops if op.kind == "all_reduce")


def stepping(net: CheckedNet, prepared: Prepared) -> Callable[[], None]:
    """STEPS steps on one random batch that stays on the devices."""
    rng, batch, classes = np.random.default_rng(0), prepared.program.batch, net.out.shape[-1]
    ids = net.x.dtype == "i32"
    shape = (batch, *net.x.shape)
    x = rng.integers(0, classes, shape).astype(np.int32) if ids else rng.standard_normal(shape, np.float32)
    y = rng.integers(0, classes, (batch, *net.out.shape[:-1])).astype(np.int32)
    trainer = Trainer(prepared)
    trainer.init(0)
    step = trainer.repeated(x, y, 1e-3)

    def run() -> None:
        for _ in range(STEPS):
            step()

    return run


def measure(item: str, devices: Sequence[int], rounds: int, sync: Sequence[bool]) -> list[str]:
    """The lines of one net's table."""
    name, _, given = item.partition(":")
    net, own = check(find(name)), int(given)
    made: dict[tuple[int, bool, str], Prepared] = {}
    for n in devices:
        made[n, False, "one"] = prepare(build(net, Recipe(norms=False), n * own), TARGET, Cache())
        for joint in sync if n > 1 else ():
            program = build(net, Recipe(norms=False, sync_bn=joint), n * own, replicas=n)
            made[n, joint, "sums"] = prepare(program, TARGET, Cache())
            made[n, joint, "none"] = prepare(without_sums(program), TARGET, Cache())
            alone = replace(program, module=buckets(program.module, alone=1 << 60))
            made[n, joint, "alone"] = prepare(alone, TARGET, Cache())
    runs = {key: stepping(net, prepared) for key, prepared in made.items()}
    times: dict[tuple[int, bool, str], list[float]] = {key: [] for key in runs}
    for number in range(rounds + 1):
        for key, run in runs.items():
            begin = time.perf_counter()
            run()
            if number:  # the first one compiles and warms up
                times[key].append((time.perf_counter() - begin) / STEPS)
    least = sum(p.size for p in (s.type for s in made[devices[0], False, "one"].program.state[: len(net.params)])) * 4

    def ratio(a: tuple[int, bool, str], b: tuple[int, bool, str]) -> str:
        return f"{statistics.median(x / y for x, y in zip(times[a], times[b], strict=True)):.2f}"

    lines = [
        f"### {name}, {own} examples on each device ({rounds} rounds)", "",
        "| devices | batch norm | ms | / one device | / without sums | / one vector | sums | bytes summed | "
        "/ parameters |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for key, prepared in made.items():
        n, joint, kind = key
        if (kind == "one" and n > 1) or kind in ("none", "alone"):
            continue
        ms = f"{1e3 * statistics.median(times[key]):.2f}"
        if n == 1:
            lines.append(f"| 1 | {'its own' if net.state else '-'} | {ms} | 1 | - | - | 0 | 0 | 0 |")
            continue
        moved, count = summed(prepared), prepared.source.module.function("train_step").counts()["all_reduce"]
        norm = ("joint" if joint else "its own") if net.state else "-"
        against = [ratio(key, other) for other in ((n, False, "one"), (n, joint, "none"), (n, joint, "alone"))]
        lines.append(f"| {n} | {norm} | {ms} | {' | '.join(against)} | {count} | {moved:,} | {moved / least:.4f} |")
    return [*lines, ""]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET:BATCH")
    parser.add_argument("--devices", default="1,2,4")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/measurements")
    options = parser.parse_args()
    devices = [int(n) for n in options.devices.split(",")]
    check_device(TARGET, max(devices))  # before jaxlib's first use
    lines = []
    for item in options.nets:
        joint = (False, True) if check(find(item.partition(":")[0])).state else (False,)
        found = measure(item, devices, options.rounds, joint)
        print("\n".join(found), flush=True)
        lines += found
    if options.write:
        shown = ", ".join(f"{n} {v}" for n, v in versions().items())
        head = [
            "# Several devices of one machine", "",
            f"Printed by `scripts/bench_replicas.py` on {time.strftime('%Y-%m-%d')}: {platform.machine()}, "
            f"{os.cpu_count()} cores,",
            f"{shown}. The devices share the cores. Bytes are a step's, of one device's operands.", "",
        ]  # fmt: skip
        PAGE.write_text("\n".join([*head, *lines]).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
