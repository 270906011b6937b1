"""How long the emission of each net takes, how large its text is, and what the rewrites do to it.

    python scripts/emission_table.py [NET ...] [--batch N] [--write]

Seconds are from the spec to the StableHLO text for the target `cpu` (check, rules, rewrites with the verifier after
each, text): the shorter of two runs in a process of its own. Memory is that process's peak over what importing takes.
`--write` puts the table under docs/measurements/.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any


def measure(name: str, batch: int) -> dict[str, Any]:
    """One net, in this process."""
    from netc.codegen.program import build
    from netc.codegen.rewrite.lower import lower
    from netc.codegen.text import text_of
    from netc.netspec.check import check
    from netc.netspec.find import find
    from netc.netspec.recipe import Recipe

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        net = check(find(name))
        program = build(net, Recipe(), batch)
        lowered = lower(program.module, "cpu")
        text = text_of(lowered, "cpu")
        seconds.append(time.perf_counter() - begin)
    return {
        "net": name,
        "layers": sum(1 for _ in net.walk()),
        "parameters": net.count,
        "seconds": min(seconds),
        "text_mb": len(text) / 1e6,
        "ops": sum(len(f.ops) for f in program.module),
        "lowered": sum(len(f.ops) for f in lowered),
        "memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, and the memory for each layer."""
    lines = [
        "| net | parameters | layers | seconds | text MB | ops | ops after the rewrites | peak MB | kB a layer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r['net']} | {r['parameters']:,} | {r['layers']} | {r['seconds']:.2f} | {r['text_mb']:.2f} "
            f"| {r['ops']:,} | {r['lowered']:,} | {r['memory_mb']:.0f} | {1e3 * r['memory_mb'] / r['layers']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    from netc.netspec.zoo import ZOO

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(ZOO), metavar="NET")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--write", action="store_true", help="write docs/measurements/emission.md")
    options = parser.parse_args()
    rows = []
    for name in options.nets:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measure, (name, options.batch)))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    if options.write:
        head = (
            f"# Emission\n\n{time.strftime('%Y-%m-%d')}, batch {options.batch}, target `cpu`, Adam.\n"
            "Layers of any depth. Printed by `python scripts/emission_table.py --write`; a shared machine.\n\n"
        )
        path = Path(__file__).parent.parent / "docs" / "measurements" / "emission.md"
        path.write_text(head + table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
