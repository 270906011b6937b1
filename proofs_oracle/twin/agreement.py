"""Whether the script that `netc emit-jax` writes is the program's twin: one step of both in float64, by tensors."""

from __future__ import annotations

import runpy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from netc.codegen import evaluator
from netc.codegen.program import Program, build
from netc.netspec.check import CheckedNet
from netc.netspec.loss import CrossEntropy, Loss
from netc.netspec.recipe import SGD, Recipe, TrainConfig
from netc.netspec.recipe_fit import example_of, target_of
from netc.proofs_oracle.draws import generator
from netc.proofs_oracle.twin.script import Training, jax_script
from netc.proofs_oracle.witness import compiled
from netc.runtime.compare.replay import first_state

SMALL = 1e-6  # of the largest gradient: where a tensor's own is smaller than that, what is compared is rounding


@dataclass(frozen=True)
class Agreement:
    """One step of both. Differences are relative; `worst` is the largest of a parameter's gradient or a statistic.

    A tensor's difference is relative to its own largest change in the step, or, where that is smaller, to 1e-6 of the
    largest of all. `lines` are the script's.
    """

    lines: int
    same_start: bool
    loss: float
    grad_norm: float
    worst: float
    tensor: str


def script_of(net: CheckedNet, recipe: Recipe, batch: int, seed: int) -> str:
    """The script, for data that nothing is read of."""
    header = {"data": "drawn", "data_sha256": "0" * 64}
    return jax_script(Training(net, recipe, TrainConfig(1, batch), seed, 0, False, (0.5,), (0.25,), header))


def executed(text: str) -> dict[str, Any]:
    """What the script defines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "twin.py"
        path.write_text(text, encoding="utf-8")
        return runpy.run_path(str(path))


def agreement(
    net: CheckedNet,
    *,
    loss: Loss | None = None,
    batch: int = 2,
    seed: int = 2**40 + 5,
    accumulate: int = 1,
    **parts: Any,
) -> Agreement:
    """The first step of the evaluator and of the script, from the same drawn state, in float64.

    The recipe is plain descent at the rate 1, so that each parameter moves by its gradient; `parts` are parts of it.
    Raises UserError where the net or the loss has no script.
    """
    recipe = Recipe(SGD(momentum=0.0), CrossEntropy() if loss is None else loss, accumulate=accumulate, **parts)
    text = script_of(net, recipe, batch, seed)
    scope, program = executed(text), build(net, recipe, batch)
    held = first_state(program, seed)
    twin = scope["initial_state"](seed)
    drawn = {**twin["params"], **twin["statistics"]}
    names = [s.name for s in program.kept]
    start = dict(zip((s.name for s in program.state), held, strict=True))
    same = all(np.array_equal(np.asarray(drawn[n]), start[n]) for n in names)
    x, y = _batch(net, recipe, batch)
    results = evaluator.run(program.module, "train_step", [*map(_wide, held), x, y, np.asarray(1.0)], "f64")
    state, (value, norm, _) = compiled(scope["train_step"].__wrapped__)(jax.tree.map(_wide, twin), x, y, 1.0)
    metrics = results[len(program.state) :]  # loss, correct, norms of gradient and parameters
    worst, tensor = _worst(program, start, results, {**state["params"], **state["statistics"]})
    return Agreement(
        len(text.splitlines()), same, _relative(value, metrics[0]), _relative(norm, metrics[2]), worst, tensor
    )


def _wide(value: Any) -> Any:
    """float32 as float64; keys and the step as they are."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype == np.float32 else array


def _batch(net: CheckedNet, recipe: Recipe, batch: int) -> tuple[Any, Any]:
    rng, classes = generator(0, net.spec.name), recipe.generation.label_count or net.out.shape[-1]
    shape, strange = (batch, *example_of(net, recipe).shape), not recipe.generation.process
    least, most = (-1, classes + 1) if strange else (0, classes - 1)  # the last token of masked ones is the mask
    x = rng.standard_normal(shape) if net.x.dtype == "f32" else rng.integers(least, most, shape).astype(np.int32)
    return x, rng.integers(0, classes, (batch, *target_of(net, recipe).shape)).astype(np.int32)


def _relative(got: Any, wanted: Any) -> float:
    return float(abs(got - wanted) / abs(wanted))


def _worst(program: Program, start: Mapping[str, Any], wanted: list[Any], got: Mapping[str, Any]) -> tuple[float, str]:
    after = {s.name: v for s, v in zip(program.state, wanted, strict=False) if s.name in got}
    moved = {name: float(np.max(np.abs(value - start[name]), initial=0.0)) for name, value in after.items()}
    floor = SMALL * max(moved.values())
    off = {n: float(np.max(np.abs(got[n] - v), initial=0.0)) / max(moved[n], floor) for n, v in after.items()}
    tensor = max(off, key=lambda name: off[name])
    return off[tensor], tensor
