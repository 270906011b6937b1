"""What the training loop itself costs a step: all that `netc train` does between two calls of the device.

    python scripts/loop_cost.py [NET:BATCH:TARGET:STEPS ...] [--rounds N] [--write]

A round is an epoch of `netc.runtime.train.train` with the bar of a terminal, on random images: batches made and
uploaded by the thread that is ahead, a record of the trace and of the wall times for each step. Beside it, in turns,
the bare loop: the same session's step on one batch that stays on the device, metrics fetched.

`between`: from the end of a call to the begin of the next, the loop's own cost, as the wall clock has it (the median
over all steps) and as the processor's time of the main thread (the mean: the trace is written a few times a second),
which other processes disturb less. Its share is of the bare step. `processor`: the mean of the whole process's, every
thread, for each step; what the loop's is above the bare one's is mostly the making of batches, on another thread. An
epoch's first two calls are left out: XLA compiles in one. `--write` puts the table in docs/measurements/loop_cost.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from netc.runtime.measure.bench import surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before anything that reads it is imported
os.environ["FORCE_COLOR"] = "1"  # the bar is drawn, as on a terminal

import numpy as np  # noqa: E402

from netc.cli.views.train import TrainView  # noqa: E402
from netc.netspec.augment import Augment  # noqa: E402
from netc.netspec.check import CheckedNet, check  # noqa: E402
from netc.netspec.find import find  # noqa: E402
from netc.netspec.recipe import Recipe, TrainConfig  # noqa: E402
from netc.runtime import session as sessions  # noqa: E402
from netc.runtime import trainer as trainers  # noqa: E402
from netc.runtime.backends.protocol import Array, Buffer, Loaded  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.data.dataset import ArraySplit, Dataset, array_digest  # noqa: E402
from netc.runtime.run.config import RunConfig  # noqa: E402
from netc.runtime.train import train  # noqa: E402
from netc.runtime.versions import versions  # noqa: E402

DEFAULT = ("mnist-mlp:128:cpu:100", "mnist-mlp:128:xla:100", "resnet34@64x64x3:32:cpu:10")
CLASSES = 10
COLD = 2  # calls at the begin of an epoch that are left out
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "loop_cost.md"
Clock = tuple[float, float, float]  # wall, this thread's processor time, the process's


def clock() -> Clock:
    """Seconds."""
    return time.perf_counter(), time.thread_time(), time.process_time()


class Watched:
    """A loaded module that notes when each training call begins, and when its results are there."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.exact_loops, self.concurrent_put = loaded.exact_loops, loaded.concurrent_put
        self.put, self.get, self.wait = loaded.put, loaded.get, loaded.wait
        self.calls: list[tuple[Clock, Clock]] = []

    def call(self, function: str, args: Sequence[Buffer]) -> list[Buffer]:
        """The call, waited for."""
        begin = clock()
        results = self._loaded.call(function, args)
        if function == "train_step":
            self.wait(results)
            self.calls.append((begin, clock()))
        return results


class Bench:
    """One net on one target: its data, and the session that `train` made last."""

    def __init__(self, item: str) -> None:
        name, batch, self.target, steps = item.split(":")
        name, _, size = name.partition("@")
        spec = find(name)
        if size:
            h, w, c = map(int, size.split("x"))
            spec = spec.with_input((h, w, c))
        self.net: CheckedNet = check(spec.with_classes(CLASSES))
        self.batch, self.steps = int(batch), int(steps)
        self.data = self._images()
        self.made: list[Watched] = []

    def _images(self) -> Dataset:
        rng = np.random.default_rng(0)

        def split(count: int) -> ArraySplit:
            shape = (count, *self.net.spec.input)
            return ArraySplit(rng.integers(0, 256, shape, np.uint8), rng.integers(0, CLASSES, count).astype(np.int32))

        names = tuple(map(str, range(CLASSES)))
        parts = split(self.batch * self.steps), split(self.batch)
        native = tuple(self.net.spec.input)
        return Dataset("random", *parts, names, array_digest(names, *parts), "here", "none", Augment(), native)

    def epoch(self, folder: Path) -> list[tuple[Clock, Clock]]:
        """The calls of an epoch of `train`."""
        schedule = TrainConfig(1, self.batch, 1e-3)
        config = RunConfig(self.net, Recipe(), schedule, "random", 0, self.target, Augment())
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            TrainView(config, self.data, quiet=False) as view,
        ):
            train(config, self.data, folder, Cache(), progress=view.progress)
        return self.made[-1].calls

    def bare(self) -> list[tuple[Clock, Clock]]:
        """As many steps of the bare loop: the session's, batch on the device, metrics fetched."""
        rng = np.random.default_rng(1)
        x: Array = rng.standard_normal((self.batch, *self.net.spec.input), np.float32)
        session, watched = self.session, self.made[-1]
        feed = session.upload([x], [rng.integers(0, CLASSES, self.batch).astype(np.int32)], [1e-3])
        watched.calls = []
        for _ in range(self.steps):
            session.train(feed)
        return watched.calls

    session: trainers.Trainer


def spans(calls: list[tuple[Clock, Clock]]) -> tuple[list[Clock], list[Clock]]:
    """From the end of each call to the begin of the next, and from begin to begin; without an epoch's first calls."""
    calls = calls[COLD:]
    pairs = list(pairwise(calls))
    between = [difference(b, e) for (_, e), (b, _) in pairs]
    return between, [difference(b, a) for (a, _), (b, _) in pairs]


def difference(end: Clock, begin: Clock) -> Clock:
    """Seconds, each."""
    return end[0] - begin[0], end[1] - begin[1], end[2] - begin[2]


def measure(item: str, rounds: int) -> str:
    """A line of the table."""
    bench = Bench(item)
    loading, making = sessions.load, trainers.Trainer.init

    def load(*arguments: Any) -> Watched:
        bench.made.append(Watched(loading(*arguments)))
        return bench.made[-1]

    def init(session: trainers.Trainer, seed: int) -> None:
        bench.session = session
        making(session, seed)

    found: dict[str, list[Clock]] = {n: [] for n in ("between", "loop", "bare between", "bare loop")}
    sessions.load, trainers.Trainer.init = load, init  # type: ignore[method-assign, assignment]
    try:
        for number in range(rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                loop = spans(bench.epoch(Path(folder) / "run"))
            bare = spans(bench.bare())
            bench.made.clear()
            if number:  # the first one compiles and warms up
                for name, part in zip(found, (*loop, *bare), strict=True):
                    found[name] += part
    finally:
        sessions.load, trainers.Trainer.init = loading, making  # type: ignore[method-assign]
    wall = {n: 1e3 * statistics.median(c[0] for c in part) for n, part in found.items()}
    own = 1e3 * statistics.fmean(c[1] for c in found["between"])
    step = wall["bare loop"]
    name, batch, target, _ = item.split(":")
    busy, bare_busy = (1e3 * statistics.fmean(c[2] for c in found[n]) for n in ("loop", "bare loop"))
    return (
        f"| {name} b{batch} | {target} | {step:.3f} | {wall['loop']:.3f} | {wall['between']:.3f} | "
        f"{wall['between'] / step:.2%} | {own:.3f} | {own / step:.2%} | {wall['bare between']:.3f} | "
        f"{bare_busy:.3f} | {busy:.3f} |"
    )


HEAD = (
    "| net | target | bare step ms | `train`'s step ms | between, wall ms | of the step | between, main thread ms | "
    "of the step | between in the bare loop ms | bare: processor ms | `train`: processor ms |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="*", default=list(DEFAULT), metavar="NET[@HxWxC]:BATCH:TARGET:STEPS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/measurements")
    options = parser.parse_args()
    lines = list(HEAD)
    print("\n".join(lines), flush=True)
    for item in options.items:
        lines.append(measure(item, options.rounds))
        print(lines[-1], flush=True)
    if options.write:
        shown = ", ".join(f"{n} {v}" for n, v in versions().items())
        head = [
            "# The training loop's own cost", "",
            f"Printed by `scripts/loop_cost.py` on {time.strftime('%Y-%m-%d')}: {platform.machine()}, "
            f"{THREADS} threads, {options.rounds} rounds; {shown}.", "",
            "`between` is all that `netc train` does from the end of a step to the begin of the next, its bar drawn: "
            "the metrics, the records of the trace, the next batch taken from the thread that made and uploaded it. "
            "Wall times are medians over all steps, processor times means (the trace is written a few times a second). "
            "The machine had other work, so that the two steps' times differ by more than the loop costs.", "",
        ]  # fmt: skip
        PAGE.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
