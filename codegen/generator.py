"""The program that draws: from noise to images, or from masks to text, one loop over the steps of a process undone.

    sample(weights.., labels i32 [N], key ui32 [2], guidance, low [C], high [C]) -> (images f32 [N, H, W, C], path)
    sample(weights.., key ui32 [2], temperature, known i32) -> (tokens i32 [N, T], path)
    sample(weights.., key ui32 [2]) -> (sequences f32 [N, slots, C + 1], path)

`labels` are there where the net sees classes, `guidance` where it is guided, `low` and `high` are the least and largest
numbers of the data, which a ddpm's guess of it is clipped to. `known` tokens there are, of ids below it. `path`, where
it is asked for, has what each step left, [steps, N, ..].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netc.codegen import branching
from netc.codegen.builder import Builder
from netc.codegen.collector import no_collector
from netc.codegen.ir import Function, Module, Value, identifier
from netc.codegen.process import seen
from netc.codegen.program import Program
from netc.codegen.reverse_process import REVERSED, Drawn, Given, ReverseProcess, Row, Samples, dtype_of
from netc.codegen.rewrite.precision import at_precision
from netc.codegen.rules import Scope, emit
from netc.codegen.slots import KEY, SCALAR, kept_of, state_of
from netc.netspec.check import CheckedNet
from netc.netspec.errors import SpecError
from netc.netspec.process import BranchingFlow, Process
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import learning_misfits
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class Generator:
    """A module that draws. `inputs` are the names of what `sample` takes after the weights."""

    program: Program
    drawn: Drawn
    inputs: tuple[str, ...]


def usual_steps(net: CheckedNet, recipe: Recipe) -> int:
    """How many steps a drawing takes where nothing else is asked for: as `Drawn` has it, or all that there are."""
    process = recipe.generation.chosen
    return min(Drawn().steps, _most_steps(net, process)) if process else Drawn().steps


def _most_steps(net: CheckedNet, process: Process) -> int:
    return min(process.most_steps, net.out.shape[0]) if process.kind == "masked" else process.most_steps


def problems_of(net: CheckedNet, recipe: Recipe, drawn: Drawn) -> list[str]:
    """One sentence for each reason why the net's process cannot be undone so."""
    process = recipe.generation.chosen
    if process is None:
        return [f"drawing wants a generative model, got {net.spec.name} trained without `process`; give `process=flow`"]
    if found := [*learning_misfits(net, recipe)]:
        return found
    if drawn.method and drawn.method not in process.methods:
        wanted = " or ".join(process.methods)
        found.append(f"`method` of `process={process.kind}` wants {wanted}, got {drawn.method!r}; give one of those")
    most = _most_steps(net, process)
    if type(drawn.steps) is not int or not 1 <= drawn.steps <= most:
        found.append(f"`steps` wants a number from 1 to {most} for this run, got {drawn.steps!r}")
    if type(drawn.count) is not int or not 1 <= drawn.count < 1 << 16:
        found.append(f"`samples` wants a positive integer below 2^16, got {drawn.count!r}")
    if drawn.guided and not process.conditional(net.x, net.out):
        found.append(f"`guidance` wants a net that sees classes, got {net.spec.name}; leave it out")
    elif drawn.guided and not recipe.generation.label_drop:
        found.append(
            "`guidance` wants a net that has learned the null class, got `label_drop=0`; leave it out, or train with a "
            "`label_drop` such as 0.1"
        )
    return found


@no_collector()
def build_generator(net: CheckedNet, recipe: Recipe, drawn: Drawn) -> Generator:
    """The program that draws, its products of matrices in bf16 where the recipe's are. Raises SpecError."""
    if problems := problems_of(net, recipe, drawn):
        raise SpecError(tuple(problems))
    recipe = replace(recipe.without_remat, scan_blocks=False, accumulate=1)
    if recipe.precision == "f64":
        recipe = replace(recipe, precision="f32")
    process = recipe.generation.chosen
    assert process is not None
    emitter = _SampleEmitter(net, recipe, drawn, process)
    steps, inputs = emitter.functions()
    module = at_precision(Module(identifier(net.spec.name), steps), recipe.precision)
    weights = kept_of(state_of(net, recipe))
    return Generator(Program(net, recipe, drawn.count, weights, module), drawn, inputs)


@dataclass(frozen=True)
class _SampleEmitter:
    net: CheckedNet
    recipe: Recipe
    drawn: Drawn
    process: Process
    weights: Mapping[str, TensorType] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", {n: TensorType(s) for n, s in self.net.shapes.items()})

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.drawn.count, *self.process.example(self.net.x, self.net.out).shape)

    @property
    def labelled(self) -> bool:
        return self.process.conditional(self.net.x, self.net.out)

    def functions(self) -> tuple[tuple[Function, ...], tuple[str, ...]]:
        """The step and the loop over it, and the names of what that takes."""
        reverse = REVERSED[type(self.process)](Samples(self.drawn, self.shape, self.net.out), self.process)
        asked = {
            **({"labels": TensorType((self.drawn.count,), "i32")} if self.labelled else {}),
            "key": KEY,
            **({"guidance": SCALAR} if self.drawn.guided else {}),
            **reverse.asked,
        }
        step = self._step(reverse, asked)
        b = Builder("sample")
        held = [b.parameter(n, t) for n, t in self.weights.items()]
        given = {n: b.parameter(n, t) for n, t in asked.items()}
        with b.at("begin"):
            x = reverse.begin(b, given["key"])
        with b.at("steps"):
            rows = [_row(b, values) for values in reverse.rows.values()]
            found = b.loop(step, self.drawn.steps, [x], rows, [*held, *given.values()])
        return (step, b.finish(list(zip(("samples", "path"), found, strict=False)))), tuple(asked)

    def _step(self, reverse: ReverseProcess, asked: Mapping[str, TensorType]) -> Function:
        b = Builder("step")
        x = b.parameter("x", TensorType(self.shape, "i32" if self.net.x.dtype == "i32" else "f32"))
        rows = {n: b.parameter(n, TensorType((), dtype_of(values))) for n, values in reverse.rows.items()}
        held = {n: b.parameter(n, t) for n, t in self.weights.items()}
        given = {n: b.parameter(n, t) for n, t in asked.items()}

        def answer(*seen_by_net: Value) -> Value:
            return self._answer(b, held, given, *seen_by_net)

        y = reverse.step(b, x, Given(rows, given, answer))
        results = [("x", y), *([("path", y)] if self.drawn.path else [])]
        return replace(b.finish(results), private=True)

    def _answer(
        self, b: Builder, held: Mapping[str, Value], given: Mapping[str, Value], x: Value, time: Value
    ) -> Value:
        """The net's answer to x at a time []; guided: y0 + g (y - y0), y0 that without a class (Ho and Salimans 2022).

        Their eq. 6 with g = w + 1.
        """
        body, scope = self.net.spec.body, Scope(held, held, training=False)
        if x.type.dtype == "i32":
            rows = b.broadcast(time, TensorType((x.shape[0], 1), "i32"), ())
            return emit(b, body, scope, b.concatenate([x, rows], 1)).y
        count = x.shape[0]
        labels = [given["labels"]] if self.labelled else []
        if self.drawn.guided:
            null = b.constant(self.recipe.generation.label_count, labels[0].type)
            x, labels = b.concatenate([x, x], 0), [b.concatenate([*labels, null], 0)]
        times = b.broadcast(time, TensorType(x.shape[:1]), ())
        if isinstance(self.process, BranchingFlow):
            return emit(b, body, scope, branching.seen(b, x, times)).y
        y = emit(b, body, scope, seen(b, x, times, labels)).y
        if not self.drawn.guided:
            return y
        own, free = b.rows(y, 0, count), b.rows(y, count, 2 * count)
        return b.add(free, b.mul(b.broadcast(given["guidance"], own, ()), b.sub(own, free)))


def _row(b: Builder, values: Row) -> Value:
    return b.constant(values, TensorType((len(values),), dtype_of(values)))
