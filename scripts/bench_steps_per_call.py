"""The time of a training step where K steps are one call: K = 1, 8, 64, in turns on the same batches.

    python scripts/bench_steps_per_call.py [NET:BATCH ...] [--targets cpu,xla] [--counts 1,8,64] [--rounds N] [--write]

A round takes 64 steps with each K: 64 calls, or 8, or one. The batches lie on the host; a step's time has the upload
of its batch in it, forward, loss, backward and Adam, and the metrics. The table shows milliseconds for each step: the
median and the fastest round, and the processor's time in the fastest. Two threads. `--write` puts it in
docs/measurements/steps_per_call.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from netc.runtime.measure.bench import surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before anything that reads it is imported

import numpy as np  # noqa: E402

from netc.codegen.program import build  # noqa: E402
from netc.netspec.check import CheckedNet, check  # noqa: E402
from netc.netspec.find import find  # noqa: E402
from netc.netspec.recipe import Recipe  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.prepare import prepare  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402
from netc.runtime.trainer import Trainer  # noqa: E402
from netc.runtime.versions import versions  # noqa: E402

DEFAULT = ("mnist-mlp:128", "mnist-cnn:32", "tiny-gpt:12")
STEPS = 64
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "steps_per_call.md"


def batches_of(net: CheckedNet, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """STEPS random batches x [STEPS, B, ..] and class ids y."""
    rng = np.random.default_rng(0)
    shape, classes = (STEPS, batch, *net.x.shape), net.out.shape[-1]
    ids = net.x.dtype == "i32"
    x = rng.integers(0, classes, shape).astype(np.int32) if ids else rng.standard_normal(shape, np.float32)
    return x, rng.integers(0, classes, (STEPS, batch, *net.out.shape[:-1])).astype(np.int32)


def round_of(net: CheckedNet, batch: int, word: str, count: int, x: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """STEPS steps, `count` in each call."""
    program = build(net, Recipe(norms=False), batch, steps_per_call=count)
    session = Trainer(prepare(program, parse_target(word), Cache()))
    session.init(0)
    rates = np.full(STEPS, 1e-3, np.float32)

    def run() -> None:
        for at in range(0, STEPS, count):
            part = slice(at, at + count)
            if count == 1:
                session.train_step(x[at], y[at], 1e-3)
            else:
                session.train_steps(x[part], y[part], rates[part])

    return run


def measure(item: str, targets: list[str], counts: list[int], rounds: int) -> list[str]:
    """The lines of one net's table."""
    name, _, batch = item.partition(":")
    net = check(find(name))
    x, y = batches_of(net, int(batch))
    runs = {(t, k): round_of(net, int(batch), t, k, x, y) for t in targets for k in counts}
    times: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in runs}
    for number in range(rounds + 1):
        for key, run in runs.items():
            wall, busy = time.perf_counter(), time.process_time()
            run()
            spent = time.perf_counter() - wall, time.process_time() - busy
            if number:  # the first one compiles and warms up
                times[key].append(spent)
    lines = [
        f"### {name}, batch {batch} ({rounds} rounds)", "",
        "| target | K | median ms | fastest ms | processor ms | median / K = 1's |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for (target, count), spent in times.items():
        median, fastest, busy = (
            1e3 / STEPS * f
            for f in (statistics.median(w for w, _ in spent), min(w for w, _ in spent), min(c for _, c in spent))
        )
        alone = times.get((target, 1))
        ratio = f"{median / (1e3 / STEPS * statistics.median(w for w, _ in alone)):.2f}" if alone else "-"
        lines.append(f"| {target} | {count} | {median:.3f} | {fastest:.3f} | {busy:.3f} | {ratio} |")
    return [*lines, ""]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET:BATCH")
    parser.add_argument("--targets", default="cpu,xla")
    parser.add_argument("--counts", default="1,8,64", help=f"divisors of {STEPS}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/measurements")
    options = parser.parse_args()
    counts = [int(k) for k in options.counts.split(",")]
    if any(k < 1 or STEPS % k for k in counts):
        raise SystemExit(f"--counts wants divisors of {STEPS}, got {options.counts}")
    lines = []
    for item in options.nets:
        found = measure(item, options.targets.split(","), counts, options.rounds)
        print("\n".join(found), flush=True)
        lines += found
    if options.write:
        shown = ", ".join(f"{n} {v}" for n, v in versions().items())
        head = [
            "# K steps in one call", "",
            f"Printed by `scripts/bench_steps_per_call.py` on {time.strftime('%Y-%m-%d')}: {platform.machine()}, "
            f"{THREADS} threads; {shown}.", "",
            "On `xla` the K steps of a call are handed over one after the other (docs/steps.md).", "",
        ]  # fmt: skip
        PAGE.write_text("\n".join([*head, *lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
