"""The time of a training step with each option of a recipe, beside the plain step: A B A B on one batch.

    python scripts/bench_step_options.py [OPTION ...] [--quick] [--compile] [--minutes M] [--net NET] [--input HxWxC]
        [--batch N] [--target T] [--steps N] [--write]

A step holds forward, loss, backward and the optimizer's update; the batch stays on the device. The plain step and the
option's take turns, one step each, so that what else the machine does falls on both; the table shows the medians and
the median of the ratios of neighbours, with its quartiles. Rows with a bar are asked to stay below it. Two threads.
`--write` puts the table in docs/measurements/step_options.md. A new row is a line of OPTIONS.

Each row compiles a module of its own, which is most of its time where the cache has it not. Rows with a bar come first;
before a row that would likely not end within `--minutes`, judged by the longest so far, the script stops and names what
is left. What was compiled is kept, so that a second run is short; `--compile` does that alone, on a machine that need
not be quiet. `--quick`: rows with a bar, and the plain one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netc.runtime.measure.bench import surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before anything that reads it is imported

import numpy as np  # noqa: E402

from netc.codegen.program import build  # noqa: E402
from netc.netspec.check import CheckedNet  # noqa: E402
from netc.netspec.recipe_words import recipe_of  # noqa: E402
from netc.programs import resolve  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.prepare import Prepared, prepare  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402
from netc.runtime.trainer import Trainer  # noqa: E402
from netc.runtime.versions import versions  # noqa: E402

BAR = 1.05
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "step_options.md"


@dataclass(frozen=True)
class Row:
    """An option: the words of `recipe_of`, and the ratio to the plain step that it is asked to stay below, if any."""

    words: dict[str, Any] = field(default_factory=dict)
    bar: float | None = None


OPTIONS: dict[str, Row] = {
    "plain": Row(),  # against itself: what the method cannot tell apart
    "ema": Row({"ema": 0.999}, BAR),
    "clip-norm": Row({"clip_norm": 1.0}, BAR),
    "mixup": Row({"mixup": 0.2}, BAR),
    "ema-warmup": Row({"ema": 0.999, "ema_warmup": True}),
    "swa": Row({"swa_start": 1}),
    "clip-value": Row({"clip_value": 1.0}),
    "agc": Row({"agc": 0.01}),
    "layer-decay": Row({"layer_decay": 0.75}),
    "freeze": Row({"freeze": "stem,stage1"}),
    "lookahead": Row({"lookahead": 6}),
    "cutmix": Row({"cutmix": 1.0}),
    "random-erasing": Row({"random_erasing": 0.25}),
    "sam": Row({"sam": 0.05}),
}


@dataclass(frozen=True)
class Times:
    """Milliseconds of each step, plain and with the option, in turns."""

    plain: list[float]
    own: list[float]

    @property
    def ratios(self) -> list[float]:
        """The lower quartile, the median and the upper quartile of the ratios of neighbours."""
        return statistics.quantiles([b / a for a, b in zip(self.plain, self.own, strict=True)], n=4)


def compiled(net: CheckedNet, words: dict[str, Any], batch: int, target: str) -> Prepared:
    """The module of these words, from the cache if it is there."""
    program = build(net, recipe_of(optimizer="adamw", weight_decay=0.05, **words), batch)
    return prepare(program, parse_target(target), Cache())


def stepper(net: CheckedNet, words: dict[str, Any], batch: int, target: str) -> Any:
    """A step on one random batch, each call the next."""
    trainer, rng = Trainer(compiled(net, words, batch, target)), np.random.default_rng(0)
    trainer.init(0)
    x = rng.standard_normal((batch, *net.x.shape), np.float32)
    y = rng.integers(0, net.out.shape[-1], (batch, *net.out.shape[:-1])).astype(np.int32)
    return trainer.repeated(x, y, 1e-4)


def measured(plain: Any, own: Any, steps: int) -> Times:
    """Both in turns, after two of each that warm up."""
    times = Times([], [])
    for number in range(steps + 2):
        for step, held in ((plain, times.plain), (own, times.own)):
            began = time.perf_counter()
            step()
            if number >= 2:
                held.append(1e3 * (time.perf_counter() - began))
    return times


def in_time(names: Sequence[str], seconds: float, now: Callable[[], float] = time.monotonic) -> Iterator[str]:
    """Those of the names before each of which the time left is at least what the longest so far took."""
    began = last = now()
    longest = 0.0
    for name in names:
        if seconds - (last - began) < longest:
            return
        yield name
        longest, last = max(longest, now() - last), now()


def line_of(name: str, times: Times) -> str:
    """The option's row of the table."""
    bar = OPTIONS[name].bar
    low, ratio, high = times.ratios
    judged = "" if bar is None else f"{bar:g}: {'below' if ratio <= bar else 'above'}"
    plain, own = statistics.median(times.plain), statistics.median(times.own)
    return f"| `{name}` | {plain:.1f} | {own:.1f} | {ratio:.3f} ({low:.3f} to {high:.3f}) | {judged} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", nargs="*", metavar="OPTION", help=f"of {', '.join(OPTIONS)}; all if none is named")
    parser.add_argument("--net", default="resnet18")
    parser.add_argument("--input", default="64x64x3")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="the plain step and the rows with a bar")
    parser.add_argument("--compile", action="store_true", help="compile what the rows need, and time nothing")
    parser.add_argument("--minutes", type=float, default=9.0, help="stop before a row that would end later")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/measurements")
    asked = parser.parse_args()
    if unknown := [name for name in asked.options if name not in OPTIONS]:
        raise SystemExit(f"OPTION wants some of {', '.join(OPTIONS)}, got {unknown[0]}")
    net = resolve(asked.net, shape=asked.input)
    wanted = asked.options or [n for n, row in OPTIONS.items() if row.bar or n == "plain" or not asked.quick]
    if asked.compile:
        for name in wanted:
            compiled(net, OPTIONS[name].words, asked.batch, asked.target)
            print(f"{name}: compiled", flush=True)
        return
    shown = ", ".join(f"{n} {v}" for n, v in versions(parse_target(asked.target)).items())
    head = [
        "# The cost of a recipe's options", "",
        f"Printed by `scripts/bench_step_options.py` on {time.strftime('%Y-%m-%d')}: {asked.net} at {asked.input}, "
        f"batch {asked.batch}, {asked.target}, {asked.steps} steps of each in turns; {platform.machine()}, {THREADS} "
        f"threads; {shown}.", "",
        "| option | plain ms | with it ms | ratio (quartiles) | bar |", "|---|---|---|---|---|",
    ]  # fmt: skip
    print("\n".join(head), flush=True)
    lines: list[str] = []
    plain = None
    for name in in_time(wanted, 60 * asked.minutes):
        began = time.monotonic()
        plain = plain or stepper(net, {}, asked.batch, asked.target)
        own = stepper(net, OPTIONS[name].words, asked.batch, asked.target)
        ready = time.monotonic()
        lines.append(line_of(name, measured(plain, own, asked.steps)))
        print(lines[-1], flush=True)
        took = f"{ready - began:.0f} s to emit, compile and load, {time.monotonic() - ready:.0f} s of steps"
        print(f"{name}: {took}", file=sys.stderr, flush=True)
    if left := wanted[len(lines) :]:
        lines += ["", f"Not measured within {asked.minutes:g} minutes: {', '.join(left)}."]
        print("\n".join(lines[-2:]))
    if asked.write:
        PAGE.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
