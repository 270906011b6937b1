"""What a launch of a kernel costs: a call in the process, beside a process of its own for each launch.

    python scripts/kernel_launch.py [--rounds N] [--write]

saxpy of examples/kernels, compiled as C. The peer is the same C with a main that reads the arrays' bytes on standard
input and writes the result's on standard output, as cLean's launcher does with JSON, which costs more. In turns.
`--write` writes docs/measurements/kernel_launch.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

from netc.kernels.c_text import c_text
from netc.kernels.compiled import FLAGS, Compiled
from netc.kernels.find import find
from netc.kernels.launch import Launch, launch_of, memory_of, scalars_of
from netc.kernels.simulate import simulate
from netc.runtime.c_compiler import c_compiler

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "measurements" / "kernel_launch.md"
SIZES = (8, 1_000, 1_000_000)
MAIN = """
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words)
{
    const int n = count > 1 ? atoi(words[1]) : 0, grid[3] = {(n + 255) / 256, 1, 1}, block[3] = {256, 1, 1};
    float *x = malloc(sizeof *x * n), *y = malloc(sizeof *y * n), *result = calloc(n, sizeof *result);
    int64_t shared[1] = {0}, fault[6] = {0};
    if (fread(x, sizeof *x, n, stdin) + fread(y, sizeof *y, n, stdin) != 2u * n)
        return 1;
    saxpy(grid, block, shared, n, 2.5f, x, n, y, n, result, n, fault);
    return fwrite(result, sizeof *result, n, stdout) != (size_t)n;
}
"""


def timed(run: Callable[[], object], repeats: int) -> float:
    """Milliseconds of one run, the mean over `repeats`."""
    begun = time.perf_counter()
    for _ in range(repeats):
        run()
    return 1e3 * (time.perf_counter() - begun) / repeats


def measured(size: int, rounds: int, program: Path) -> dict[str, float]:
    """The medians over all rounds, in milliseconds."""
    kernel = find(str(ROOT / "examples" / "kernels" / "saxpy.lean"))
    call = Compiled(kernel)
    launch: Launch = launch_of(kernel, (size + 255) // 256, 256)
    x, y = np.arange(size, dtype=np.float32), np.ones(size, np.float32)
    memory = memory_of(kernel, {"x": x, "y": y, "result": np.zeros(size, np.float32)})
    scalars = scalars_of(kernel, {"N": size, "alpha": 2.5})
    given = x.tobytes() + y.tobytes()

    def alone() -> bytes:
        return subprocess.run([program, str(size)], input=given, capture_output=True, check=True).stdout

    ways = {
        "call": (lambda: call(launch, scalars, memory), 200 if size < 100_000 else 20),
        "process": (alone, 5),
        "simulation": (lambda: simulate(kernel, launch, scalars, memory), 1),
    }
    wanted = (np.float32(2.5) * x + y).tobytes()
    call(launch, scalars, memory)
    if memory["result"].tobytes() != wanted or alone() != wanted:
        raise SystemExit("the two give other results")
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (run, repeats) in ways.items():
            found[way].append(timed(run, repeats))
    return {way: statistics.median(values) for way, values in found.items()}


def page(rows: list[str], rounds: int) -> str:
    """The page, with its table."""
    return "\n".join((
        "# Launches of a kernel", "",
        f"Printed by `scripts/kernel_launch.py` on {date.today()}: saxpy of examples/kernels, medians of {rounds}"
        " rounds in turns.", "",
        "`a call` is the compiled kernel in the process, arguments made and faults asked for; `a process` is the same"
        " C with a main, which gets the arrays by a pipe.", "",
        "| elements | a call ms | a process ms | process / call | simulation ms |",
        "|---|---|---|---|---|", *rows, "",
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    compiler = c_compiler()
    kernel = find(str(ROOT / "examples" / "kernels" / "saxpy.lean"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "main.c", Path(folder) / "main"
        source.write_text(c_text(kernel) + MAIN, encoding="utf-8")
        flags = [f for f in (*compiler.flags, *FLAGS) if f not in ("-shared", "-fPIC")]
        subprocess.run([*compiler.command, *flags, source, "-o", program, "-lm"], check=True)
        for size in SIZES:
            t = measured(size, options.rounds, program)
            ratio = t["process"] / t["call"]
            rows.append(f"| {size:,} | {t['call']:.4f} | {t['process']:.2f} | {ratio:.0f} | {t['simulation']:.2f} |")
    text = page(rows, options.rounds)
    print(text)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
