"""Whether the JAX script of each net of the zoo is its twin: one step of both in float64, at a reduced size.

    python scripts/check_twins.py [NET ...] [--write]

Images are of the smallest size in a list that the net takes, sequences 8 tokens, classes 10, hidden dense layers at the
top have at most 64 features, the batch is 4; blocks, widths and options are the net's own. A net that is told a time
learns the first process that it can. The columns: whether the script's first state has the same bits, the relative
difference of the loss and of the gradient's norm, and the largest of all gradients and running statistics. `--write`
puts the rows in the place of those of the same net and size in the table under docs/measurements/.
"""

from __future__ import annotations

import argparse
import gc
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import NetcError, SpecError, UserError
from netc.netspec.find import find
from netc.netspec.layers import Dense
from netc.netspec.recipe_fit import processes_of
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import ZOO
from netc.programs import request_program
from netc.proofs_oracle.twin.agreement import agreement

OUT = Path(__file__).parents[1] / "docs" / "measurements" / "twins.md"
SIDES = (8, 32, 64, 75, 96, 128, 224)
IMAGE = 3  # sizes of an image
TOKENS, CLASSES, HIDDEN = 8, 10, 64
BATCH = 4  # batch norm over two numbers gives their sign, whose gradient is rounding
AGREE = 1e-6  # rounding in float64, which batch norm over few numbers enlarges; a wrong term is off by far more
NO_SCRIPT = ("tiny-branching",)  # emit-jax has no form of its process
TITLE = "# The JAX twins of the zoo"
SAID = """
One step of netc's evaluator and of the script that `netc emit-jax` writes, both in float64, from the same drawn state;
`python scripts/check_twins.py NET .. --write` makes these rows. {count} resnet101 and resnet152 part at 8x8, where
batch norm's statistics are of four numbers in all of 23 and 36 blocks, which enlarges rounding: at 64x64 they agree.
The diffusion nets begin with a head of zeros, so most of their gradients are 0 on both sides in this first step.
"""
HEAD = """
| net | input | lines | same first state | loss | gradient norm | worst gradient | of |
|---|---|---|---|---|---|---|---|
"""


def reduced(spec: NetSpec) -> CheckedNet:
    """The net at the smallest of the sizes that it takes."""
    if spec.dtype == "i32":
        try:
            return check(spec.with_input((TOKENS,)).with_classes(CLASSES))
        except (SpecError, UserError):  # one of masked tokens takes a certain number
            return check(spec)
    if len(spec.input) != IMAGE:
        return check(spec)
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


def parts_of(net: CheckedNet) -> dict[str, Any]:
    """What a step of the net is but for the net: the process that it learns, and its loss; empty for most."""
    if not (fits := processes_of(net)):
        return {}
    told = [net.spec.layers[i] for i in net.spec.class_tables]
    words = {"label_count": told[0].classes} if told else {}  # type: ignore[attr-defined]
    recipe = request_program(net.spec, process=fits[0], **words).recipe
    return {"loss": recipe.loss, "generation": recipe.generation}


def kept() -> dict[tuple[str, str], str]:
    """The rows of the page, by net and size."""
    lines = OUT.read_text(encoding="utf-8").splitlines() if OUT.is_file() else []
    rows = (line for line in lines if line.startswith("| ") and line.split(" | ")[0][2:] in ZOO)
    return {_key(row): row for row in rows}


def _key(row: str) -> tuple[str, str]:
    name, size, *_ = row[2:].split(" | ")
    return name, size


def _agrees(row: str) -> bool:
    _, _, _, same, *differences = row.strip("| ").split(" | ")
    return same == "yes" and max(map(float, differences[:3])) < AGREE


def write(rows: list[str]) -> None:
    """Put the rows into the page, in the zoo's order; of a net with several sizes the smaller comes first."""
    found = {**kept(), **{_key(row): row for row in rows}}
    nets = {name for name, _ in found}
    agreed = {name for (name, _), row in found.items() if _agrees(row)}
    order = sorted(found, key=lambda key: (list(ZOO).index(key[0]), int(key[1].partition("x")[0])))
    missing = [name for name in ZOO if name not in nets and name not in NO_SCRIPT]
    count = f"{len(agreed)} of {len(nets)} nets agree to {AGREE:.0e}."
    count += f" Not compared yet are {', '.join(missing)}." if missing else ""
    count += f" Of {', '.join(NO_SCRIPT)} there is no script."
    page = [TITLE, "", textwrap.fill(SAID.format(count=count).strip(), 120, break_on_hyphens=False), HEAD.rstrip()]
    OUT.write_text("\n".join([*page, *(found[key] for key in order)]) + "\n", encoding="utf-8")


def main() -> int:
    """Print a line for each net; 1 if one has no script or does not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", metavar="NET")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows, agreed = [], 0
    for name in options.nets or ZOO:
        began = time.perf_counter()
        try:
            net = reduced(find(name))
            a = agreement(net, batch=BATCH, **parts_of(net))
        except NetcError as error:
            print(f"{name}: no script: {error}", flush=True)
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
    asked = len(options.nets or ZOO)
    print(f"{agreed} of {asked} nets agree to {AGREE:.0e}.")
    if options.write:
        write(rows)
    return 0 if agreed == asked else 1


if __name__ == "__main__":
    sys.exit(main())
