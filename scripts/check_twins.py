"""Whether the JAX script of each net of the zoo is its twin: one step of both in float64, at a reduced size.

    python scripts/check_twins.py [NET ...] [--write]

Images are of the smallest size in a list that the net takes, sequences 8 tokens, classes 10, hidden dense layers at the
top have at most 64 features, the batch is 4; blocks, widths and options are the net's own. The columns: whether the
script's first state has the same bits, the relative difference of the loss and of the gradient's norm, and the largest
of all gradients and running statistics. `--write` puts the table under docs/measurements/.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax

from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import NetcError, SpecError
from netc.netspec.find import find
from netc.netspec.layers import Dense
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import ZOO
from netc.proofs_oracle.twin.agreement import agreement

OUT = Path(__file__).parents[1] / "docs" / "measurements" / "twins.md"
SIDES = (8, 32, 64, 75, 96, 128, 224)
TOKENS, CLASSES, HIDDEN = 8, 10, 64
BATCH = 4  # batch norm over two numbers gives their sign, whose gradient is rounding
AGREE = 1e-6  # rounding in float64, which batch norm over few numbers enlarges; a wrong term is off by far more
TITLE = """# The JAX twins of the zoo

One step of netc's evaluator and of the script that `netc emit-jax` writes, both in float64, from the same drawn state;
`python scripts/check_twins.py --write` makes this table. {count}

| net | input | lines | same first state | loss | gradient norm | worst gradient | of |
|---|---|---|---|---|---|---|---|
"""


def reduced(spec: NetSpec) -> CheckedNet:
    """The net at the smallest of the sizes that it takes."""
    if spec.dtype == "i32":
        return check(spec.with_input((TOKENS,)).with_classes(CLASSES))
    layers = tuple(
        replace(layer, features=min(layer.features, HIDDEN)) if isinstance(layer, Dense) else layer
        for layer in spec.layers
    )
    thin = replace(spec, layers=layers)
    if isinstance(layers[-1], Dense):
        thin = thin.with_classes(CLASSES)
    for side in SIDES:
        try:
            return check(thin.with_input((side, side, spec.input[2])))
        except SpecError:
            continue
    return check(thin)


def main() -> int:
    """Print a line for each net; 1 if one has no script or does not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", metavar="NET")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write and options.nets:
        parser.error("--write is for the table of all nets; leave the names out")
    rows, agreed = [], 0
    for name in options.nets or ZOO:
        began = time.perf_counter()
        try:
            net = reduced(find(name))
            a = agreement(net, batch=BATCH)
        except NetcError as error:
            rows.append(f"| {name} | | no | | | | | {error} |")
        else:
            size = "x".join(map(str, net.x.shape))
            same = "yes" if a.same_start else "NO"
            rows.append(
                f"| {name} | {size} | {a.lines} | {same} | {a.loss:.1e} | {a.grad_norm:.1e} | {a.worst:.1e} "
                f"| {a.tensor} |"
            )
            agreed += a.same_start and max(a.loss, a.grad_norm, a.worst) < AGREE
        print(rows[-1], f"{time.perf_counter() - began:.0f} s", flush=True)
        jax.clear_caches()  # type: ignore[no-untyped-call]
        gc.collect()
    count = f"{agreed} of {len(rows)} nets agree to {AGREE:.0e}."
    print(count)
    if options.write:
        OUT.write_text(TITLE.format(count=count) + "\n".join(rows) + "\n", encoding="utf-8")
    return 0 if agreed == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
