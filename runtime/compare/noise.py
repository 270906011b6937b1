"""The noise floor of a training, measured: the evaluator in float64 beside float32 replicas of other rounding.

docs/traces.md says what the numbers may be used for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netc.codegen.builder import Builder
from netc.codegen.evaluator import FloatArithmetic, evaluate
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.program import Program, build
from netc.codegen.render import render
from netc.codegen.rewrite.form_tables import ProfileName
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.walk import each_function, rewrite
from netc.netspec.errors import UserError
from netc.netspec.recipe import SGD
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.compare.replay import Replay, Step, refuse_other_function
from netc.runtime.prepare import prepare
from netc.runtime.target import Target
from netc.runtime.trainer import Trainer
from netc.traces.floor import MEASURED, Floor, doubling, relative, window_means

WINDOW = 20  # steps
PERMUTATIONS = 2
WHOLE_TWINS = 4
PARTS = 64  # of one sum of products at least, in the replica that adds them in turn
ADDED = 1 << 26  # elements of partial sums for one tensor of products, or as many as PARTS needs


class Blas(FloatArithmetic):
    """Float32 products as this machine's BLAS adds them: rounded at each term, in an order of its own."""

    def product(self, x: Array, y: Array) -> Array:
        """x [.., m, k] times y [.., k, n]."""
        return np.asarray(np.matmul(x, y))


class InTurn(FloatArithmetic):
    """Sums whose terms are added one after the other; NumPy and BLAS add in a tree of partial sums."""

    def reduce_sum(self, x: Array, dims: tuple[int, ...]) -> Array:
        """The last partial sum."""
        rest = tuple(i for i in range(x.ndim) if i not in dims)
        rows = x.transpose(*dims, *rest).reshape(-1, *(x.shape[i] for i in rest))
        if not len(rows):
            return super().reduce_sum(x, dims)
        return np.asarray(np.add.accumulate(rows, axis=0, dtype=x.dtype)[-1])

    def dot(self, x: Array, y: Array, contract: Any, batch: Any) -> Array:
        """Parts of the joined axes, added in turn: single terms, or as few as `ADDED` allows, BLAS's sums of them.

        A compiler's matrix product adds the terms of an element one after the other, and a kernel's gradient has as
        many as the batch has pixels.
        """
        left, rows = _joined_first(x, contract[0], batch[0])
        right, columns = _joined_first(y, contract[1], batch[1])
        size, repeats = left.shape[:2]
        result = repeats * left.shape[2] * right.shape[2]
        width = max(-(-size // max(PARTS, ADDED // max(result, 1))), 1)
        total = np.zeros((repeats, left.shape[2], right.shape[2]), np.result_type(x, y))
        for start in range(0, size, width):
            chosen = slice(start, start + width)
            total += np.matmul(left[chosen].transpose(1, 2, 0), right[chosen].transpose(1, 0, 2))
        return total.reshape((*(x.shape[i] for i in batch[0]), *rows, *columns))


def _joined_first(x: Array, joined: Sequence[int], batch: Sequence[int]) -> tuple[Array, tuple[int, ...]]:
    """[joined, batch, rest], each as one axis, and the sizes of the rest."""
    rest = tuple(i for i in range(x.ndim) if i not in joined and i not in batch)
    sizes = tuple(x.shape[i] for i in rest)
    moved = x.transpose(*joined, *batch, *rest)
    counts = (math.prod(x.shape[i] for i in axes) for axes in (joined, batch, rest))
    return moved.reshape(*counts), sizes


@dataclass(frozen=True)
class Replica:
    """One way to compute the train step.

    `order` permutes the examples of each batch where it is set; `jitter` moves every float of the state by one float32
    number up or down, or not, before each step: what another spelling of the same formulas may do.
    """

    name: str
    module: Module
    arithmetic: FloatArithmetic
    order: int | None = None
    jitter: bool = False

    @property
    def function(self) -> Function:
        """The train step; the module holds what it calls, too."""
        return self.module.function("train_step")

    def step(self, state: Sequence[Array], step: Step) -> list[Array]:
        """The results of one step from this state: the new state, then the metrics."""
        x, y = step.x, step.y
        if self.order is not None:
            permutation = np.random.default_rng((self.order, step.index)).permutation(len(x))
            x, y = x[permutation], y[permutation]
        if self.jitter:
            state = jittered(state, np.random.default_rng(step.index))
        args = (*state, x, y, step.lr)
        A = self.arithmetic
        held = [np.asarray(a, A.dtype(p.type.dtype)) for a, p in zip(args, self.function.params, strict=True)]
        with np.errstate(all="ignore"):
            return evaluate(self.function, held, A, self.module)


def jittered(state: Sequence[Array], generator: np.random.Generator) -> list[Array]:
    """Each float moved to the float32 number above or below, or left: a third of them each. Zeros stay."""

    def moved(t: Array) -> Array:
        if t.dtype.kind != "f":
            return t
        way = generator.integers(-1, 2, t.shape)
        towards = np.where(way == 0, t, np.where(way > 0, np.inf, -np.inf)).astype(t.dtype)
        return np.where(t == 0, t, np.nextafter(t, towards))

    return [moved(t) for t in state]


def permutable(program: Program) -> bool:
    """Whether the order of a batch's examples means nothing.

    It does where the net draws (dropout) by their places, and where batch norm sees the parts of a batch one by one.
    """
    net = program.net
    return not (net.signature.draws or program.recipe.draws) and (program.recipe.accumulate == 1 or not net.state)


def replicas_of(program: Program) -> tuple[Replica, ...]:
    """The float64 run first, then the float32 runs: the forms of each profile, other orders of sums and of examples.

    Profiles whose text is the same but for barriers and unseen zeros, which mean nothing, are one replica. Where its
    place in the batch matters an example keeps it. `jittered` stands for what no order of sums shows, such as a power
    beside a product.
    """

    def form(profile: ProfileName) -> Module:
        lowered = lower(program.module, profile, without=["add_unseen_zeros"])
        return _without_barriers(lowered.needed("train_step"))

    profiles: tuple[ProfileName, ...] = ("cpu", "xla", "gpu")
    forms = {profile: form(profile) for profile in profiles}
    kept = {render(forms[profile]): profile for profile in reversed(profiles)}  # the first of those with one text
    cpu = forms["cpu"]
    single, double = Blas("f32"), FloatArithmetic("f64")
    named = [
        Replica(f"{profile} forms", module, single) for profile, module in forms.items() if profile in kept.values()
    ]
    named.append(Replica("sums in turn", cpu, InTurn("f32")))
    named.append(Replica("state off by an ULP", cpu, single, jitter=True))
    if permutable(program):
        named += [Replica(f"examples permuted {i + 1}", cpu, single, i) for i in range(PERMUTATIONS)]
    return (Replica("float64", cpu, double), *named)


def _without_barriers(module: Module) -> Module:
    def through(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        return operands[0] if op.kind == "barrier" else None

    return each_function(module, lambda function: rewrite(function, through))


Watch = Callable[[int, int], None]


def measure(replay: Replay, steps: int, watch: Watch = lambda done, total: None) -> Floor:
    """Train the replicas for `steps` steps, or as many as the run has, and say how far they are from float64.

    `watch(done, total)` is called after each step. Raises UserError for less than one step, and when the loss of a
    replica is no number.
    """
    total = min(steps, replay.total)
    if total < 1:
        raise UserError(f"noise wants one step or more, got {steps}; give `steps=32`")
    config = replay.config
    refuse_other_function(config, "noise")
    program = build(config.trained_net, replace(config.recipe, norms=True), config.training.batch)
    exact, *replicas = replicas_of(program)
    states = {replica.name: replay.first_state(program) for replica in (exact, *replicas)}
    metrics = {replica.name: {field: np.empty(total) for field in MEASURED} for replica in (exact, *replicas)}
    names = exact.function.result_names[len(program.state) :]
    for step in replay.steps(0, total):
        for replica in (exact, *replicas):
            results = replica.step(states[replica.name], step)
            states[replica.name] = results[: len(program.state)]
            told = dict(zip(names, results[len(program.state) :], strict=True))
            for field in MEASURED:
                metrics[replica.name][field][step.index] = float(told[field])
            if not np.isfinite(told["loss"]):
                raise UserError(f"the loss of step {step.index} is {float(told['loss'])}; try a lower learning rate")
        watch(step.index + 1, total)
    truth = metrics[exact.name]
    apart = {f: np.max([relative(metrics[t.name][f], truth[f]) for t in replicas], axis=0) for f in MEASURED}
    window = WINDOW if total >= 2 * WINDOW else max(total // 4, 1)
    centre = window_means(truth["loss"], window)
    means = np.max([relative(window_means(metrics[t.name]["loss"], window), centre) for t in replicas], axis=0)
    worst, tensor = _worst_gradient(_gradients(replay), exact.name)
    return Floor(
        net=config.net.spec.name, spec_sha256=config.net.digest, data_sha256=replay.data.digest,
        recipe=config.recipe_json, seed=config.seed, batch=config.training.batch, steps=total,
        twins=tuple(t.name for t in replicas), differences={f: tuple(v.tolist()) for f, v in apart.items()},
        window=window, means=tuple(means.tolist()), gradient=worst, gradient_of=tensor,
        doubling=doubling(apart["loss"]),
    )  # fmt: skip


def over_the_whole_run(
    replay: Replay, floor: Floor, target: Target, cache: Cache, watch: Watch = lambda done, total: None
) -> Floor:
    """The floor with means of the loss over the whole run, from replicas on a target, where the evaluator is too slow.

    The first replica is the run itself. Of the others each float of the first state and of every batch is moved by a
    float32 number at most, and the examples of every batch are permuted (not where the net draws by their places): a
    compiler's roundings too come anew at every step, and not only at the first. There is no exact run: what is kept of
    each window is the largest difference of two replicas.
    """
    config = replay.config
    program = build(config.trained_net, replace(config.recipe, norms=False), config.training.batch)
    prepared = prepare(program, target, cache)
    state = replay.first_state(program)
    losses = np.empty((WHOLE_TWINS, replay.total))
    for n in range(WHOLE_TWINS):
        session = Trainer(prepared)
        generator = np.random.default_rng(n)
        begun = jittered(state, generator) if n else state
        session.restore({slot.name: v for slot, v in zip(program.state, begun, strict=True)})
        for step in replay.steps():
            x, y = step.x, step.y
            if n:
                order = generator.permutation(len(x)) if permutable(program) else np.arange(len(x))
                (x,), y = jittered([x[order]], generator), y[order]
            losses[n, step.index] = session.train_step(x, y, float(step.lr))["loss"]
            watch(n * replay.total + step.index + 1, WHOLE_TWINS * replay.total)
    means = [window_means(row, WINDOW) for row in losses]
    spread = np.max([relative(a, b) for a, b in itertools.combinations(means, 2)], axis=0)
    named = tuple(f"whole run on {target.word} {n + 1}" for n in range(WHOLE_TWINS))
    return replace(floor, window=WINDOW, means=tuple(spread.tolist()), twins=floor.twins + named)


def _gradients(replay: Replay) -> dict[str, dict[str, Array]]:
    """The gradients of step 0 by replica and parameter: plain momentum's first velocity is the gradient itself."""
    config = replay.config
    program = build(config.trained_net, replace(config.recipe, optimizer=SGD(momentum=0.5)), config.training.batch)
    names = [slot.name for slot in program.state]
    step, state = next(replay.steps(0, 1)), replay.first_state(program)
    found = {}
    for replica in replicas_of(program):
        after = dict(zip(names, replica.step(state, step)[: len(names)], strict=True))
        found[replica.name] = {p.name: after[f"velocity/{p.name}"] for p in program.net.params}
    return found


def _worst_gradient(gradients: dict[str, dict[str, Array]], exact: str) -> tuple[float, str]:
    """The largest relative L2 error of a parameter's gradient. One that is zero but for rounding is left out."""
    truth = gradients[exact]
    largest = max(float(np.linalg.norm(g)) for g in truth.values())
    errors = {
        name: max(
            float(np.linalg.norm(np.asarray(held[name], np.float64) - g) / np.linalg.norm(g))
            for replica, held in gradients.items()
            if replica != exact
        )
        for name, g in truth.items()
        if np.linalg.norm(g) > 1e-12 * largest
    }
    name = max(errors, key=lambda n: errors[n])
    return errors[name], name
