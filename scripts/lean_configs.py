"""Counts the TrainConfigs of Lean files: which are read, what refuses the others, and which train a step.

    python scripts/lean_configs.py [FILE.lean | FOLDER ..] [--steps]

By default those of tests/lean_corpus. With --steps each that is read trains a small net for a step, in the evaluator.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.evaluator import run
from netc.codegen.program import Program, build
from netc.netspec.check import check
from netc.netspec.epochs import in_steps
from netc.netspec.errors import NetcError, UserError
from netc.netspec.layers import Conv2d, ConvBn, Dense, GlobalAvgPool, ResidualBlock
from netc.netspec.lean.config import FIELDS, LeanConfig, config_of
from netc.netspec.lean.file import load
from netc.netspec.recipe_words import recipe_of, recipe_words, training_of, training_words
from netc.netspec.spec import NetSpec
from netc.netspec.train_size import at_train_size
from netc.runtime.compare.replay import first_state

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "lean_corpus"
PART = 2  # examples of a part of the batch
EPOCH = 5  # steps
STAGES = (ConvBn(3, name="stem"), ResidualBlock(3, 1, name="stage1"), ResidualBlock(4, 2, 2, name="stage2"))
IMAGES = NetSpec("images", (8, 8, 3), (*STAGES, GlobalAvgPool(), Dense(3, name="head")))
PIXELS = NetSpec("pixels", (8, 8, 3), (*STAGES, Conv2d(3, 1, name="head")))
REFUSED = re.compile(r"netc train does not support (.*?); ")


def configs(paths: Iterable[Path]) -> Iterator[tuple[str, LeanConfig | UserError]]:
    """The name of each TrainConfig of the files, and what it says, or why it is refused."""
    for path in paths:
        for file in sorted(path.rglob("*.lean")) if path.is_dir() else [path]:
            for found in load(file).configs:
                try:
                    yield f"{file.name}:{found.name}", found.read(config_of)
                except UserError as error:
                    yield f"{file.name}:{found.name}", error


def refused_fields(error: UserError) -> list[str]:
    """The fields that a refusal names."""
    found = REFUSED.search(str(error))
    return [name for name in FIELDS if found and re.search(rf"\b{name} := ", found[1])] or ["others"]


def program_of(options: Mapping[str, Any]) -> Program:
    """The program that the options shape, of a small net that has what they ask for."""
    recipe = recipe_of(**{name: value for name, value in options.items() if name in recipe_words()})
    training = training_of(**{name: value for name, value in options.items() if name in training_words()})
    _, recipe = in_steps(training, recipe, EPOCH)
    spec = PIXELS if recipe.loss.kind.startswith("dice") else IMAGES
    return build(at_train_size(check(spec), options.get("train_size", 0)), recipe, PART * recipe.accumulate)


def step(program: Program, seed: int = 1) -> dict[str, float]:
    """The metrics of a step from the drawn state, on random examples."""
    rng, net, loss = np.random.default_rng(seed), program.net, program.recipe.loss
    wanted = loss.target(net.out)
    shape = (program.batch, *wanted.shape)
    y = rng.integers(0, net.out.shape[-1], shape).astype(np.int32) if wanted.dtype == "i32" else rng.uniform(size=shape)
    x = rng.standard_normal((program.batch, *net.x.shape))
    results = run(program.module, "train_step", [*first_state(program, seed), x, y, np.asarray(0.01)], "f32")
    names = program.module.function("train_step").result_names[len(program.state) :]
    return dict(zip(names, map(float, results[len(program.state) :]), strict=True))


def main() -> None:
    """Print a line for each that is refused or does not train, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, default=[CORPUS])
    parser.add_argument("--steps", action="store_true", help="train each for a step")
    options = parser.parse_args()
    counts, fields = Counter[str](), Counter[str]()
    for name, found in configs(options.paths):
        counts["TrainConfigs"] += 1
        if isinstance(found, UserError):
            fields.update(refused_fields(found))
            print(f"{name}: {str(found).splitlines()[0]}")
            continue
        counts["read"] += 1
        if options.steps:
            try:
                finite = bool(np.isfinite(step(program_of(found.options))["loss"]))
            except NetcError as error:
                finite = False
                print(f"{name}: {error}")
            counts["train a step"] += finite
    for what, count in (*counts.items(), *((f"refused for {name}", n) for name, n in fields.most_common())):
        print(f"{count:4d} {what}")


if __name__ == "__main__":
    main()
