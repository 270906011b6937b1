"""Checks a whole program: train steps, evaluation and prediction of a small net."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from netc.codegen import evaluator
from netc.codegen.ir import Module
from netc.codegen.program import Program, build
from netc.codegen.rewrite.dce import dce
from netc.netspec.check import CheckedNet, check
from netc.netspec.clipping import Clipping
from netc.netspec.groups import Groups
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.recipe_fit import example_of, target_of
from netc.netspec.spec import NetSpec
from netc.netspec.wrapping import Wrapping
from netc.proofs_oracle.compare import Comparison, central_differences, compare_all
from netc.proofs_oracle.draws import FloatArray, generator
from netc.proofs_oracle.reference import AGAINST_DIFFERENCE, AGAINST_JAX, CHOICES
from netc.proofs_oracle.references import optimizers
from netc.proofs_oracle.references.averaging import average
from netc.proofs_oracle.references.clipping import clipped
from netc.proofs_oracle.references.losses import draw_target
from netc.proofs_oracle.references.step import TEACHER, StepCase, evaluation, loss_and_gradients, prediction
from netc.proofs_oracle.result import Result, result_of
from netc.proofs_oracle.witness import compiled

KIND = "trainStep"
KEY = np.asarray([7, 11], np.uint32)
Tensors = dict[str, Any]


def _read_by_jax(recipe: Recipe) -> Recipe:
    """What the loss and its gradients depend on of a recipe: cases that share it are lowered once."""
    return Recipe(
        loss=recipe.loss, regularisation=recipe.regularisation, groups=Groups(freeze=recipe.groups.freeze),
        documents=recipe.documents, generation=recipe.generation, erasing=recipe.erasing, mixing=recipe.mixing,
        distilling=recipe.distilling,
    )  # fmt: skip


@lru_cache(maxsize=16)
def _by_jax(what: Callable[[NetSpec, Recipe], Callable[..., Any]], net: NetSpec, recipe: Recipe) -> Callable[..., Any]:
    return compiled(what(net, recipe))


@dataclass
class _Witness:
    """The same training by the references: parameters, statistics, what the optimizer keeps."""

    case: StepCase
    net: CheckedNet
    params: Tensors
    state: Tensors
    kept: optimizers.Kept
    slow: Tensors = field(default_factory=dict)  # Lookahead's, once a step was done
    seen: list[Tensors] = field(default_factory=list)  # parameters and statistics after each step
    chosen: list[Any] = field(default_factory=list)  # the shares of experts in each part of the last batch

    def step(self, gradient: Any, x: FloatArray, target: Any) -> Tensors:
        """One step; gives the metrics by name, and leaves the new state."""
        recipe, before = self.case.recipe, self.params
        names = [n for n in self.params if not self.frozen(n)]
        statistics = self.state
        held = optimizers.points(recipe.optimizer, tuple(before[n] for n in names), self.kept)
        at = self.params = {**before, **dict(zip(names, held, strict=True))}
        loss, right, gradients = self._derive(gradient, x, target)
        told = self.chosen
        gradients = used = {n: gradients[n] for n in names}
        if recipe.wrapping.sam:  # Foret et al. 2021, algorithm 1
            after, self.state = self.state, statistics
            uphill = {n: at[n] + recipe.wrapping.sam * g / _norm(gradients) for n, g in gradients.items()}
            self.params = {**at, **uphill}
            used = {n: g for n, g in self._derive(gradient, x, target)[2].items() if n in names}
            self.state = after
        self.params = before
        used = clipped(recipe.clipping, at, used, dict(self.case.outputs))
        values, self.kept = optimizers.step(
            recipe.optimizer,
            tuple(self.params[n] for n in names),
            tuple(used[n] for n in names),
            self.kept,
            lr=self.case.lr,
            decay=tuple(p.decay or recipe.decay_all for p in self.net.params if p.name in names),
            factors=tuple(map(self.case.factor, names)),
        )
        new = dict(zip(names, values, strict=True))  # moments go on where a parameter waits
        self.params = {**before, **{n: v for n, v in new.items() if not self.late(n)}}
        if every := recipe.wrapping.lookahead:  # Zhang et al. 2019, algorithm 1
            self.slow = self.slow or {n: before[n] for n in names}
            if self.kept.steps % every == 0:
                share = recipe.wrapping.lookahead_share
                self.slow = {n: s + share * (self.params[n] - s) for n, s in self.slow.items()}
                self.params = {**self.params, **self.slow}
        self.seen.append({**self.params, **self.state})
        metrics: Tensors = {"loss": loss, "correct": right}
        if recipe.norms:
            metrics |= {"grad_norm": _norm(gradients), "param_norm": _norm(before)}
        if told:
            shares = np.mean(told, 0)
            metrics |= {"expert_most": shares.max(), "expert_least": shares.min()}
        return metrics

    def frozen(self, parameter: str) -> bool:
        """Whether it belongs to a layer of the net that is not trained."""
        return parameter.split(".", maxsplit=1)[0] in self.case.recipe.groups.freeze

    def late(self, parameter: str) -> bool:
        """Whether the step, the last that was counted, is before the first that trains its layer."""
        waits = dict(entry.split("=") for entry in self.case.recipe.groups.thaw)
        return self.kept.steps <= int(waits.get(parameter.split(".", maxsplit=1)[0], 0))

    def _derive(self, gradient: Any, x: FloatArray, target: Any) -> tuple[Any, Any, Tensors]:
        """The loss, the number that is correct and the gradients: the means, the sum and the means over the parts.

        Each part begins at the statistics that the one before left, and draws by its number in the whole run.
        """
        parts, gradients = self.case.recipe.accumulate, dict.fromkeys(self.params, np.zeros(()))
        loss = right = np.zeros(())
        self.chosen = []
        for i, (some, wanted) in enumerate(zip(np.split(x, parts), np.split(target, parts), strict=True)):
            number = np.asarray(self.kept.steps * parts + i, np.int32)
            (found, (hits, new)), grads = gradient(self.params, self.state, some, wanted, KEY, number)
            own = {n: v for n, v in new.items() if n != CHOICES}
            self.chosen = [*self.chosen, new[CHOICES]] if CHOICES in new else []
            self.state = {**self.state, **own}
            loss, right = loss + found / parts, right + hits
            gradients = {n: g + grads[n] / parts for n, g in gradients.items()}
        return loss, right, gradients

    def everything(self) -> Tensors:
        """Every tensor of the program's state by its name in the manifest."""
        steps, optimizer = self.kept.steps, self.case.recipe.optimizer
        corrections = enumerate(optimizers.corrections(optimizer, steps, self.case.lr), 1)
        moments = {
            f"{moment}/{name}": tensor
            for moment, tensors in self.kept.moments.items()
            for name, tensor in zip((n for n in self.params if not self.frozen(n)), tensors, strict=True)
            if tensor is not None
        }
        averaging = self.case.recipe.averaging
        averages = {
            f"{averaging.word}/{name}": average(averaging, [w[name] for w in self.seen]) if self.seen else 0 * tensor
            for name, tensor in {**self.params, **self.state}.items()
            if averaging.word
        }
        if self.case.recipe.wrapping.lookahead:
            trained = {n: v for n, v in self.params.items() if not self.frozen(n)}
            averages |= {f"slow/{n}": self.slow.get(n, 0 * v) for n, v in trained.items()}
        fixed = {"step": np.asarray(steps, np.int32), "key": KEY}
        return {
            **self.params,
            **self.state,
            **moments,
            **averages,
            **{f"correction{i}": np.asarray(c) for i, c in corrections},
            **fixed,
        }


def _norm(tensors: Mapping[str, FloatArray]) -> FloatArray:
    return np.sqrt(np.sum([np.sum(np.square(t)) for t in tensors.values()]))  # type: ignore[no-any-return]


def run_step_case(case: StepCase, *, seed: int = 0) -> Result:
    """Judge every tensor of the state and every metric after each step, then evaluation and prediction, in float64.

    Each step begins at the reference's state: three steps of Adam through batch norm would enlarge rounding.
    Where the optimizer is SGD with momentum and no decay, its velocity after the first step is the gradient, and
    is judged by central differences of the program's own loss.
    """
    began = time.perf_counter()
    rng = generator(seed, f"{KIND}/{case.name}")
    net, optimizer = check(case.net), case.recipe.optimizer
    program = build(net, case.recipe, case.batch)
    params: Tensors = {p.name: rng.standard_normal(p.shape) / 2 for p in net.params}
    state: Tensors = {s.name: rng.uniform(0.5, 2.0, s.shape) for s in net.state}
    # a statistic may be a variance, so that all are positive
    taught = {f"{TEACHER}{n}": rng.uniform(0.5, 2.0, s) - 0.4 for n, s in case.recipe.distilling.shapes.items()}
    state |= taught
    witness = _Witness(case, net, params, state, optimizers.Kept({}))
    witness.kept = optimizers.start(optimizer, tuple(v for n, v in params.items() if not witness.frozen(n)))
    gradient = _by_jax(loss_and_gradients, case.net, _read_by_jax(case.recipe))
    first = before = witness.everything()
    slots = [s.name for s in program.state]
    batches = [_batch(rng, case, net) for _ in range(case.steps)]
    found: list[Comparison] = []
    for index, (x, target) in enumerate(batches, 1):
        held = [before[n] for n in slots]
        results = evaluator.run(program.module, "train_step", [*held, x, target, np.asarray(case.lr)], "f64")
        metrics = witness.step(gradient, x, target)
        before = witness.everything()
        expected = {**before, **metrics}
        names = [*slots, *metrics]
        found += _at(f"after step {index}", compare_all(names, results, [expected[n] for n in names]))
    found += _judge_evaluation(program, witness, *_batch(rng, case, net))
    differences, skip_reason = _differences(program, first, *batches[0], rng)
    return result_of(
        KIND,
        case.name,
        against_jax=found,
        differences=differences,
        tolerance=AGAINST_JAX,
        seconds=time.perf_counter() - began,
        skip_reason=skip_reason,
    )


def _batch(rng: np.random.Generator, case: StepCase, net: CheckedNet) -> tuple[Any, Any]:
    example = example_of(net, case.recipe)
    shape = (case.batch, *example.shape)
    x = rng.standard_normal(shape) if net.x.dtype == "f32" else rng.integers(0, 5, shape, np.int32)
    if case.recipe.generation.process:
        return x, rng.integers(0, 3, (case.batch, *target_of(net, case.recipe).shape), np.int32)
    return x, draw_target(rng, case.recipe.loss, net.out.shape, case.batch)


def _at(when: str, found: list[Comparison]) -> list[Comparison]:
    return [Comparison(f"{c.tensor} {when}", c.error, c.problem) for c in found]


def _judge_evaluation(program: Program, witness: _Witness, x: FloatArray, target: Any) -> list[Comparison]:
    weight = np.arange(1, program.batch + 1) % 2 + 0.5
    trained = witness.everything()
    kept = [trained[s.name] for s in program.kept]
    case, seen = witness.case, x
    if case.recipe.generation.process:
        shape = (program.batch, *program.net.x.shape)
        seen = np.resize(x, shape) if x.dtype != np.int32 else np.resize(np.arange(5, dtype=np.int32), shape)
    ours = evaluator.run(program.module, "predict", [*kept, seen], "f64")
    ours += evaluator.run(program.module, "eval_step", [*kept, x, target, weight], "f64")[:3]
    recipe = _read_by_jax(case.recipe)
    theirs = [_by_jax(prediction, case.net, recipe)(witness.params, witness.state, seen)]
    theirs += _by_jax(evaluation, case.net, recipe)(witness.params, witness.state, x, target, weight)
    return compare_all(["predict logits", "eval_step loss", "eval_step correct", "eval_step count"], ours, theirs)


def _differences(
    program: Program, first: Tensors, x: FloatArray, target: Any, rng: np.random.Generator
) -> tuple[list[Comparison], str]:
    optimizer = program.recipe.optimizer
    bare = isinstance(optimizer, SGD) and optimizer.momentum and not optimizer.weight_decay
    if not bare or program.recipe.clipping != Clipping() or program.recipe.wrapping != Wrapping():
        return [], "none: the optimizer's state does not hold the bare gradient"
    slots = [s.name for s in program.state]

    def results(module: Module, tensors: Mapping[str, FloatArray]) -> list[FloatArray]:
        return evaluator.run(module, "train_step", [*(tensors[n] for n in slots), x, target, np.asarray(0.0)], "f64")

    after = dict(zip(slots, results(program.module, first), strict=False))
    velocities = {p.name: f"velocity/{p.name}" for p in program.net.params}
    gradients = {n: after[velocity] for n, velocity in velocities.items() if velocity in after}
    alone = _loss_alone(program.module)
    found = central_differences(
        lambda t: results(alone, t)[0], first, gradients, np.ones(()), rng=rng, limit=AGAINST_DIFFERENCE
    )
    return found, ""


def _loss_alone(module: Module) -> Module:
    """The module with a train step that computes the loss and nothing else: a third of the work."""
    step = module.function("train_step")
    loss = step.results[step.result_names.index("loss")]
    alone = replace(step, results=(loss,), result_names=("loss",))
    return dce(replace(module, functions=tuple(alone if f is step else f for f in module.needed("train_step"))))
