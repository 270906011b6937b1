"""Train by a recipe that netc ships, and say what it reached and how long it took.

    python scripts/train_recipes.py fashion           # Debian's dataset-fashion-mnist, or --data-dir
    python scripts/train_recipes.py digits --page     # also write docs/measurements/digits.md

Ends with 1 where the accuracy is below the recipe's floor, or the time above its limit.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netc
from netc.traces.schema import EvalRecord

PAGES = Path(__file__).resolve().parent.parent / "docs" / "measurements"


@dataclass(frozen=True)
class Goal:
    """What a recipe is for: at least this accuracy on the test part after an epoch, within so many minutes."""

    accuracy: float
    minutes: float
    epoch: str = "last"  # or the best: on few images the last one is too noisy

    def reached(self, run: netc.Run) -> float:
        return run.best if self.epoch == "best" else run.accuracy


GOALS = {"digits": Goal(0.994, 10, "best"), "fashion": Goal(0.935, 40)}


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {len(os.sched_getaffinity(0))} cores"


def page(name: str, goal: Goal, run: netc.Run, rows: list[tuple[EvalRecord, float]], seconds: float) -> str:
    """The page of a measurement."""
    net = run.config.net
    lines = [
        f"# The recipe {name}", "",
        f"{time.strftime('%Y-%m-%d')}, {processor()}, target {run.config.target}, netc {netc.__version__}.",
        f"Printed by `python scripts/train_recipes.py {name} --page`.", "",
        f"{net.spec.name}, {net.count:,} parameters, on {run.config.data}: **{run.accuracy:.2%}** of the test part",
        f"after {run.steps:,} steps, in {seconds / 60:.1f} minutes with compiling; {run.best:.2%} at the best epoch.",
        f"The {goal.epoch} epoch is held to {goal.accuracy:.1%} within {goal.minutes:g} minutes.", "",
        "| epoch | test loss | accuracy | minutes |", "|---|---|---|---|",
        *(f"| {e.epoch + 1} | {e.loss:.4f} | {e.accuracy:.2%} | {at / 60:.1f} |" for e, at in rows),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=sorted(GOALS))
    parser.add_argument("--data-dir", type=Path, help="folder with the data set's files")
    parser.add_argument("--out", type=Path, help="folder of the run; by default one that is removed")
    parser.add_argument("--target", help="by default the recipe's")
    parser.add_argument("--epochs", type=int, help="by default the recipe's: for a look")
    parser.add_argument("--page", nargs="?", type=Path, const=PAGES, help="write NAME.md into this folder")
    options = parser.parse_args(arguments)
    goal, begin, rows = GOALS[options.recipe], time.perf_counter(), list[tuple[EvalRecord, float]]()

    def seen(record: EvalRecord) -> None:
        rows.append((record, time.perf_counter() - begin))
        print(f"epoch {record.epoch + 1}: accuracy {record.accuracy:.2%}, {rows[-1][1] / 60:.1f} minutes", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        words: dict[str, Any] = {"data_dir": options.data_dir, "target": options.target, "epochs": options.epochs}
        if options.epochs is not None:
            words["warmup"] = 0.0  # which may be longer
        out = options.out or Path(folder) / "run"
        run = netc.train(recipe=options.recipe, on_epoch=seen, on_note=print, out=out, **words)
    seconds = time.perf_counter() - begin
    print(f"{options.recipe}: {run.accuracy:.2%} (best {run.best:.2%}) in {seconds / 60:.1f} minutes on {processor()}")
    if options.page is not None:
        options.page.mkdir(parents=True, exist_ok=True)
        (options.page / f"{options.recipe}.md").write_text(
            page(options.recipe, goal, run, rows, seconds), encoding="utf-8"
        )
    if goal.reached(run) < goal.accuracy or seconds > 60 * goal.minutes:
        print(f"wanted at least {goal.accuracy:.1%} in {goal.minutes:g} minutes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
