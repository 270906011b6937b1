"""Emits nets of the zoo as C, and prints for each what that took: lines, bytes of the arena, seconds; all by default.

    python scripts/c_of_the_zoo.py [NET ..] [--batch 4] [--compile]

With --compile the system's compiler is run at -O1 too, with the warnings that our C must not cause.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from netc.codegen.c.source import c_source
from netc.codegen.rewrite.lower import lower
from netc.netspec.zoo import ZOO
from netc.programs import request_program

WARNINGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-c")


def row(name: str, batch: int, compiler: str | None) -> str:
    """One line of the table."""
    module = lower(request_program(name, batch=batch).build().module, "c")
    began = time.perf_counter()
    source = c_source(module)
    seconds = time.perf_counter() - began
    spare = 100 * (source.arena / source.live - 1)
    text = f"| {name} | {source.text.count(chr(10)):,} | {source.arena:,} | {spare:.1f} % | {seconds:.1f} |"
    if compiler is None:
        return text
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        path = Path(folder) / "net.c"
        path.write_text(source.text, encoding="utf-8")
        began = time.perf_counter()
        done = subprocess.run(
            [compiler, *WARNINGS, str(path), "-o", str(path.with_suffix(".o"))],
            capture_output=True,
            text=True,
            check=False,
        )
    said = sum(": warning:" in line or ": error:" in line for line in done.stderr.splitlines())
    return f"{text} {time.perf_counter() - began:.1f} | {said} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", metavar="NET")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    compiler = shutil.which("cc") if options.compile else None
    if options.compile and compiler is None:
        parser.error("--compile wants a C compiler, cc, got none on the PATH; install one")
    more = " compile, s | warnings |" if compiler else ""
    print(f"| net | lines | arena, bytes | above the largest live set | emission, s |{more}")
    print("|---|---|---|---|---|" + ("---|---|" if compiler else ""))
    for name in options.nets or ZOO:
        print(row(name, options.batch, compiler), flush=True)


if __name__ == "__main__":
    main()
