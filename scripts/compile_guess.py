"""The table of runtime/compile_guess.py: what operations cost iree-compile on `cpu`, from compiles of some nets.

    python scripts/compile_guess.py [NET[@SIZE][:BATCH] ...]

Processor seconds of a compile without the cache are START and a sum over the operations of the text. Prints what was
measured beside what the table says, and for each row of the table the milliseconds that make the relative error of
these nets least, none below zero. The table is edited by hand: under load an operation takes two to three times as
long.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import tempfile
from pathlib import Path

import numpy as np
from timed_compile import named, timed_compile

from netc.codegen.program import build
from netc.netspec.recipe import Recipe
from netc.runtime.compile_guess import OTHER, START, TABLE, counts
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

NETS = ("mnist-linear", "mnist-mlp", "mnist-cnn", "tiny-gpt:12")
NAMES = (*(" and ".join(names) for names, _ in TABLE), "others")


def measured(word: str) -> tuple[tuple[int, ...], float]:
    """The operations of a net's text, and the processor seconds of its compile."""
    target = parse_target("cpu")
    net, loss, batch = named(word)
    text = emit_text(build(net, Recipe(loss=loss), batch), target).text
    with tempfile.TemporaryDirectory() as folder:
        timed = timed_compile(lambda: text, target, Path(folder) / "net.vmfb", 3600)
    if timed.step:
        raise SystemExit(f"{word}: {timed.error}")
    return counts(text), timed.processor


def fit(rows: list[tuple[int, ...]], seconds: list[float]) -> list[float]:
    """Milliseconds an operation, none below zero, with the least relative error."""
    weights = 1 / np.asarray(seconds)
    wanted, given = (np.asarray(seconds) - START) * weights, np.asarray(rows) * weights[:, None] / 1e3
    best, least = [0.0] * len(NAMES), np.inf
    for size in range(1, len(NAMES) + 1):
        for columns in itertools.combinations(range(len(NAMES)), size):
            found = np.linalg.lstsq(given[:, list(columns)], wanted, rcond=None)[0]
            error = float(np.square(given[:, list(columns)] @ found - wanted).sum())
            if found.min() >= 0 and error < least:
                best, least = [0.0] * len(NAMES), error
                for column, value in zip(columns, found, strict=True):
                    best[column] = float(value)
    return best


def main() -> None:
    """Compile, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=NETS, metavar="NET[@SIZE][:BATCH]")
    options = parser.parse_args()
    found = [measured(word) for word in options.nets]
    shipped = (*(each for _, each in TABLE), OTHER)
    fitted = fit([row for row, _ in found], [seconds for _, seconds in found])
    lines = [
        f"{platform.machine()}, {os.cpu_count()} processors with a load of {os.getloadavg()[0]:.0f}", "",
        "| net | " + " | ".join(NAMES) + " | measured s | guessed s |", "|---|" + "---|" * (len(NAMES) + 2),
    ]  # fmt: skip
    for word, (row, seconds) in zip(options.nets, found, strict=True):
        guess = START + sum(n * each for n, each in zip(row, shipped, strict=True)) / 1e3
        lines.append(f"| {word} | " + " | ".join(map(str, row)) + f" | {seconds:.1f} | {guess:.1f} |")
    lines += ["", "| operations | ms each, shipped | fitted here |", "|---|---|---|"]
    lines += [f"| {n} | {s:.1f} | {f:.1f} |" for n, s, f in zip(NAMES, shipped, fitted, strict=True)]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
