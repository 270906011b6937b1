"""IREE 3.12's compile time of a function with many results, which grows with their cube.

    python scripts/repro_results_cost.py [--counts N,..]

The function squares N vectors. Prints the processor time of iree-compile where it returns N tensors, and where it
returns N views of one buffer that is exported once. docs/upstream-issues/results.md says more.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from timed_compile import timed_compile

from netc.runtime.target import parse_target

LENGTH = 64
LONGEST = 1800  # seconds of a compile
VECTOR = f"tensor<{LENGTH}xf32>"
VIEW = "!hal.buffer_view"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="200,400,800,1600")
    options = parser.parse_args()
    print("| results | tensors, s | views of one buffer, s |")
    print("|---|---|---|")
    for count in map(int, options.counts.split(",")):
        seconds = [_seconds(text(count)) for text in (tensors, views)]
        print(f"| {count} | " + " | ".join(f"{s:.1f}" for s in seconds) + " |", flush=True)
    return 0


def tensors(count: int) -> str:
    """A function of `count` tensors to as many."""
    values = ", ".join(f"%r{i}" for i in range(count))
    return _module(count, [VECTOR] * count, [f"return {values} : {', '.join([VECTOR] * count)}"])


def views(count: int) -> str:
    """The same, whose results are parts of one tensor that is exported once."""
    values, types = ", ".join(f"%r{i}" for i in range(count)), ", ".join([VECTOR] * count)
    whole = f"tensor<{count * LENGTH}xf32>"
    lines = [
        f"%all = stablehlo.concatenate {values}, dim = 0 : ({types}) -> {whole}",
        f"%buffer = hal.tensor.export %all : {whole} -> !hal.buffer",
        f"%bytes = arith.constant {4 * LENGTH} : index",
        f"%length = arith.constant {LENGTH} : index",
        "%element = hal.element_type<f32> : i32",
        "%rows = hal.encoding_type<dense_row_major> : i32",
    ]
    for i in range(count):
        lines.append(f"%at{i} = arith.constant {4 * LENGTH * i} : index")
        lines.append(
            f"%v{i} = hal.buffer_view.create buffer(%buffer : !hal.buffer)[%at{i}, %bytes] shape([%length]) "
            f"type(%element) encoding(%rows) : {VIEW}"
        )
    returned = ", ".join(f"%v{i}" for i in range(count))
    return _module(count, [VIEW] * count, [*lines, f"return {returned} : {', '.join([VIEW] * count)}"])


def _module(count: int, results: list[str], ending: list[str]) -> str:
    arguments = ", ".join(f"%a{i}: {VECTOR}" for i in range(count))
    squares = [f"%r{i} = stablehlo.multiply %a{i}, %a{i} : {VECTOR}" for i in range(count)]
    head = f"func.func public @f({arguments}) -> ({', '.join(results)}) {{"
    return "\n".join(["module @m {", head, *squares, *ending, "}", "}", ""])


def _seconds(program: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        row = timed_compile(lambda: program, parse_target("cpu"), Path(folder) / "m.vmfb", LONGEST)
    if row.error:
        raise SystemExit(row.error)
    return row.processor


if __name__ == "__main__":
    raise SystemExit(main())
