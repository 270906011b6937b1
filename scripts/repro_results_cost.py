"""IREE 3.12's compile time of a function with many results, or a value that many operations read: it grows as N^3.

    python scripts/repro_results_cost.py [--counts N,..]

The first function squares N vectors. Prints the processor time of iree-compile where it returns N tensors, and where it
returns N views of one buffer that is exported once. The second adds a number to a vector N times, each time in a kernel
of its own: one and the same number, and numbers that 32 additions read. docs/upstream-issues/results.md says more.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from timed_compile import timed_compile

from netc.runtime.target import parse_target

LENGTH = 64
LONGEST = 1800  # seconds of a compile
VECTOR = f"tensor<{LENGTH}xf32>"
VIEW = "!hal.buffer_view"
BARRIER = "iree_tensor_ext.compute_barrier.start"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="200,400,800,1600")
    options = parser.parse_args()
    counts = [int(count) for count in options.counts.split(",")]
    _table(counts, "results", {"tensors": tensors, "views of one buffer": views})
    _table(counts, "readers", {"of one number": lambda n: readers(n, n), "32 of each number": lambda n: readers(n, 32)})
    return 0


def _table(counts: list[int], of: str, programs: dict[str, Callable[[int], str]]) -> None:
    print(f"| {of} | " + " | ".join(f"{name}, s" for name in programs) + " |")
    print("|---|" + "---|" * len(programs))
    for count in counts:
        seconds = [_seconds(text(count)) for text in programs.values()]
        print(f"| {count} | " + " | ".join(f"{s:.1f}" for s in seconds) + " |", flush=True)


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


def readers(count: int, each: int) -> str:
    """A function that adds a number to a vector `count` times; `each` additions in turn read the same number."""
    numbers = ", ".join(f"%z{i}: tensor<f32>" for i in range(-(-count // each)))
    lines = []
    for i in range(count):
        lines.append(f"%w{i} = stablehlo.broadcast_in_dim %z{i // each}, dims = [] : (tensor<f32>) -> {VECTOR}")
        lines.append(f"%s{i} = stablehlo.add %{f'r{i - 1}' if i else 'x'}, %w{i} : {VECTOR}")
        lines.append(f'%r{i} = "{BARRIER}"(%s{i}) : ({VECTOR}) -> {VECTOR}')
    head = f"func.func public @f(%x: {VECTOR}, {numbers}) -> {VECTOR} {{"
    return "\n".join(["module @m {", head, *lines, f"return %r{count - 1} : {VECTOR}", "}", "}", ""])


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
