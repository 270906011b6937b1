"""Whether steps that update a state where it lies compute the bits of steps that write it elsewhere, on `cpu`.

    python scripts/check_in_place.py [--steps N] [WORD ...]

For each optimizer (or those that are named), for other parts of a recipe that touch the state, and for nets of other
kinds, a toy's text is compiled as netc writes it for a large state, and with the marks of `iree.abi.output` taken out,
which is all that differs. Both make N steps from the same first state. A row says how much of the state is in place,
and how many tensors differ. Ends with 1 where one does.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from netc.codegen.program import build
from netc.codegen.rewrite.iree import fences
from netc.netspec.averaging import Averaging
from netc.netspec.check import check
from netc.netspec.clipping import Clipping
from netc.netspec.find import find
from netc.netspec.layers import ConvBn, Dense, GlobalAvgPool
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.wrapping import Wrapping
from netc.runtime.backends.iree import IreeLoaded
from netc.runtime.compile import compile_text
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

MARK = re.compile(r" \{iree\.abi\.output = \d+ : index\}")
TOY = NetSpec(
    "toy", (6, 6, 2), (ConvBn(8, name="conv"), GlobalAvgPool(), Dense(16, name="hidden"), Dense(3, name="head"))
)
BATCH = 4


def cases() -> Iterator[tuple[str, NetSpec, Recipe]]:
    """What is tried."""
    for word, row in OPTIMIZERS.items():
        yield word, TOY, Recipe(optimizer=row.cls())
    yield "ema", TOY, Recipe(averaging=Averaging(ema=0.9))
    yield "swa", TOY, Recipe(averaging=Averaging(swa_start=1))
    yield "lookahead", TOY, Recipe(wrapping=Wrapping(lookahead=2))
    yield "sam", TOY, Recipe(wrapping=Wrapping(sam=0.05))
    yield "clip-norm", TOY, Recipe(clipping=Clipping(clip_norm=0.1))
    yield "agc", TOY, Recipe(clipping=Clipping(agc=0.01))
    yield "tiny-gpt", find("tiny-gpt").with_input((8,)), Recipe()


def compared(net: NetSpec, recipe: Recipe, steps: int, folder: Path) -> tuple[float, int, int]:
    """The share of the state that is in place, and how many of its tensors and of all results differ."""
    program, target = build(check(net), recipe, BATCH), parse_target("cpu")
    source = emit_text(program, target)
    step = source.module.function("train_step")
    held = step.params[: step.donated]
    share = sum(held[i].type.bytes for i in step.in_place) / sum(v.type.bytes for v in held)
    rng = np.random.default_rng(0)
    x, y = step.params[step.names.index("x")].type, step.params[step.names.index("y")].type
    batch = (
        rng.standard_normal(x.shape).astype(np.float32) if x.dtype == "f32" else rng.integers(0, 3, x.shape, np.int32),
        rng.integers(0, 3, y.shape, np.int32), np.float32(0.01),
    )  # fmt: skip
    found = []
    for n, text in enumerate((source.text, MARK.sub("", source.text))):
        artefact = folder / f"{n}.vmfb"
        compile_text(text, target, artefact)
        loaded = IreeLoaded(replace(source, artefact=artefact), target)
        results = loaded.call("init", [loaded.put(np.array([0, 7], np.uint32))])
        for _ in range(steps):
            results = loaded.call("train_step", [*results[: step.donated], *map(loaded.put, map(np.asarray, batch))])
        found.append([loaded.get(r).tobytes() for r in results])
    differing = [a != b for a, b in zip(*found, strict=True)]
    return share, sum(differing), len(differing)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    fences.LARGE = 0  # as of a large state
    wrong = 0
    print("| what | of the state in place | results that differ |\n|---|---|---|")
    for word, net, recipe in cases():
        if options.words and word not in options.words:
            continue
        with tempfile.TemporaryDirectory(prefix="netc-") as folder:
            share, differing, count = compared(net, recipe, options.steps, Path(folder))
        wrong += differing
        print(f"| {word} | {share:.0%} | {differing} of {count} |", flush=True)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
