"""How the profile of a compile is shown: its phases, its layers, its slowest kernels."""

from __future__ import annotations

from netc.cli.views.table import Column, print_line, print_table
from netc.codegen.location import OUTSIDE
from netc.runtime.measure.compile_profile import CompileProfile

TOP = 10


def show(p: CompileProfile, depth: int = 0) -> None:
    """Print the tables."""
    count, whole = len(p.kernels), p.front + p.seconds or 1.0
    print_line(
        f"processor time: {p.front:.2f} s to join operations into {count} kernels, {p.seconds:.2f} s for the kernels, "
        "beyond what the quickest takes"
    )
    print_line("")
    heads = (Column("layer", fit="cut"), *(Column(h, right=True) for h in ("kernels", "s", "share")))
    print_table(heads, [(name, str(n), f"{s:.2f}", f"{100 * s / whole:.1f} %") for name, n, s in p.layers(depth)])
    print_line("")
    print_line(f"the {min(TOP, count)} slowest of {count} kernels", "bold")
    slowest = sorted(p.kernels, key=lambda kernel: -kernel.seconds)[:TOP]
    columns = (Column("kernel", fit="cut"), Column("place", fit="cut"), Column("s", right=True))
    print_table(columns, [(k.function, k.loc or OUTSIDE, f"{k.seconds:.2f}") for k in slowest])
