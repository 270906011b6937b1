"""The program that draws: from noise to images, or from masks to text, one loop over the steps of a process undone.

    sample(weights.., labels i32 [N], key ui32 [2], guidance, low [C], high [C]) -> (images f32 [N, H, W, C], path)
    sample(weights.., key ui32 [2], temperature, known i32) -> (tokens i32 [N, T], path)
    sample(weights.., key ui32 [2]) -> (sequences f32 [N, slots, C + 1], path)

`labels` are there where the net sees classes, `guidance` where it is guided, `low` and `high` are the least and largest
numbers of the data, which a ddpm's guess of it is clipped to. `known` tokens there are, of ids below it. `path`, where
it is asked for, has what each step left, [steps, N, ..].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from netc.codegen import branching
from netc.codegen.builder import Builder
from netc.codegen.collector import no_collector
from netc.codegen.draw import LEFT_OUT, open_unit
from netc.codegen.ir import Function, Module, Value, identifier
from netc.codegen.losses import first_maximum
from netc.codegen.process import Drawing, ranks, seen, thousandths
from netc.codegen.program import Program
from netc.codegen.random import step_key, words
from netc.codegen.rewrite.precision import at_precision
from netc.codegen.rules import Scope, emit, part_stream
from netc.codegen.slots import KEY, SCALAR, STEP, kept_of, state_of
from netc.netspec.check import CheckedNet
from netc.netspec.errors import SpecError
from netc.netspec.process import BranchingFlow, Ddpm, Flow, MaskedDiffusion, Process
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import learning_misfits
from netc.netspec.types import DType, TensorType

STREAM = part_stream(0, "(generator)")
BEGINNING = (part_stream(STREAM, "first0"), part_stream(STREAM, "first1"))
FRESH = (part_stream(STREAM, "step0"), part_stream(STREAM, "step1"))
GUMBEL, ORDER = part_stream(STREAM, "token"), part_stream(STREAM, "order")
FAR = 3e38


@dataclass(frozen=True)
class Drawn:
    """How `count` samples are drawn: by `steps` of a `method` of the process; `path`: with what each step leaves."""

    count: int = 1
    steps: int = 50
    method: str = ""
    guided: bool = False
    path: bool = False


@dataclass(frozen=True)
class Generator:
    """A module that draws. `inputs` are the names of what `sample` takes after the weights."""

    program: Program
    drawn: Drawn
    inputs: tuple[str, ...]


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
    most = min(process.most_steps, net.out.shape[0]) if process.kind == "masked" else process.most_steps
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
    recipe = replace(recipe, scan_blocks=False, accumulate=1, remat=False)
    if recipe.precision == "f64":
        recipe = replace(recipe, precision="f32")
    process = recipe.generation.chosen
    assert process is not None
    maker = _Maker(net, recipe, drawn, process)
    steps, inputs = maker.functions()
    module = at_precision(Module(identifier(net.spec.name), steps), recipe.precision)
    weights = kept_of(state_of(net, recipe))
    return Generator(Program(net, recipe, drawn.count, weights, module), drawn, inputs)


@dataclass(frozen=True)
class _Given:
    """What one step is given: `rows` are its numbers of the schedule, `asked` what the caller wants, by name."""

    rows: Mapping[str, Value]
    asked: Mapping[str, Value]
    answer: Callable[..., Value]


Row = tuple[float, ...] | tuple[int, ...]


@dataclass(frozen=True)
class _Form:
    """A process undone: the numbers of each step, what the caller says, how it begins and what a step does."""

    rows: Mapping[str, Row]
    asked: Mapping[str, TensorType]
    begin: Callable[[Builder, Value], Value]
    step: Callable[[Builder, Value, _Given], Value]


@dataclass(frozen=True)
class _Maker:
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
        form = FORMS[type(self.process)](self, self.process)
        asked = {
            **({"labels": TensorType((self.drawn.count,), "i32")} if self.labelled else {}),
            "key": KEY,
            **({"guidance": SCALAR} if self.drawn.guided else {}),
            **form.asked,
        }
        step = self._step(form, asked)
        b = Builder("sample")
        held = [b.parameter(n, t) for n, t in self.weights.items()]
        given = {n: b.parameter(n, t) for n, t in asked.items()}
        with b.at("begin"):
            x = form.begin(b, given["key"])
        with b.at("steps"):
            rows = [_row(b, values) for values in form.rows.values()]
            found = b.loop(step, self.drawn.steps, [x], rows, [*held, *given.values()])
        return (step, b.finish(list(zip(("samples", "path"), found, strict=False)))), tuple(asked)

    def _step(self, form: _Form, asked: Mapping[str, TensorType]) -> Function:
        b = Builder("step")
        x = b.parameter("x", TensorType(self.shape, "i32" if self.net.x.dtype == "i32" else "f32"))
        rows = {n: b.parameter(n, TensorType((), _dtype(values))) for n, values in form.rows.items()}
        held = {n: b.parameter(n, t) for n, t in self.weights.items()}
        given = {n: b.parameter(n, t) for n, t in asked.items()}

        def answer(*seen_by_net: Value) -> Value:
            return self._answer(b, held, given, *seen_by_net)

        y = form.step(b, x, _Given(rows, given, answer))
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


def _dtype(values: Row) -> DType:
    return "i32" if isinstance(values[0], int) else "f32"


def _row(b: Builder, values: Row) -> Value:
    return b.constant(values, TensorType((len(values),), _dtype(values)))


def _noise(maker: _Maker) -> Callable[[Builder, Value], Value]:
    def begin(b: Builder, key: Value) -> Value:
        return Drawing(key, maker.drawn.count, training=False).normal(b, TensorType(maker.shape), BEGINNING)

    return begin


def _scaled(b: Builder, factor: Value, x: Value) -> Value:
    return b.mul(b.broadcast(factor, x, ()), x)


# -- flow --------------------------------------------------------------------------------------------------------------


def _flow(maker: _Maker, flow: Flow) -> _Form:
    """dx/dt = v(x, t) from t = 1 to 0 in equal steps: Euler's method, or Heun's, which asks the net twice."""
    count = maker.drawn.steps
    rows = {
        "time": tuple(1 - i / count for i in range(count)),
        "next": tuple(1 - (i + 1) / count for i in range(count)),
    }

    def step(b: Builder, x: Value, given: _Given) -> Value:
        time, following = given.rows["time"], given.rows["next"]
        length = b.sub(following, time)
        slope = given.answer(x, time)
        moved = b.add(x, _scaled(b, length, slope))
        if maker.drawn.method != "heun":
            return moved
        mean = b.mul(b.add(slope, given.answer(moved, following)), 0.5)
        return b.add(x, _scaled(b, length, mean))

    return _Form(rows, {}, _noise(maker), step)


# -- ddpm --------------------------------------------------------------------------------------------------------------


def places(count: int, noise_steps: int) -> tuple[int, ...]:
    """The steps of the noise at which a sampler of so many steps asks the net, from the last down, and 0."""
    return tuple((2 * noise_steps * (count - i) + count) // (2 * count) for i in range(count + 1))


def _ddpm(maker: _Maker, ddpm: Ddpm) -> _Form:
    """x' = a' x0 + sqrt(s'^2 - r^2) e + r z, of what the net says of the data x0 and the noise e.

    ddim: r = 0; ancestral: r^2 = s'^2 / s^2 (1 - a^2 / a'^2), which for all steps is Ho et al. 2020, eq. 7. Source:
    Song et al. 2021 (DDIM), eq. 12 and 16. x0 is brought into the data's range first, and e follows.
    """
    at = places(maker.drawn.steps, ddpm.noise_steps)
    kept, new = [ddpm.kept[n] for n in at[:-1]], [ddpm.kept[n] for n in at[1:]]
    fresh = [
        (1 - after) / (1 - k) * (1 - k / after) if maker.drawn.method == "ancestral" else 0.0
        for k, after in zip(kept, new, strict=True)
    ]
    rows: dict[str, Row] = {
        "time": tuple(n / ddpm.noise_steps for n in at[:-1]),
        "a": tuple(map(math.sqrt, kept)),
        "s": tuple(math.sqrt(1 - k) for k in kept),
        "inverse_a": tuple(1 / math.sqrt(k) for k in kept),
        "inverse_s": tuple(1 / math.sqrt(1 - k) for k in kept),
        "to_data": tuple(map(math.sqrt, new)),
        "to_noise": tuple(math.sqrt(max(0.0, 1 - k - r)) for k, r in zip(new, fresh, strict=True)),
        "fresh": tuple(map(math.sqrt, fresh)),
        "number": tuple(range(maker.drawn.steps)),
    }
    range_ = TensorType(maker.shape[-1:])

    def step(b: Builder, x: Value, given: _Given) -> Value:
        row = given.rows
        y = given.answer(x, row["time"])
        guesses: dict[str, Callable[[], Value]] = {
            "epsilon": lambda: _scaled(b, row["inverse_a"], b.sub(x, _scaled(b, row["s"], y))),
            "x0": lambda: y,
            "v": lambda: b.sub(_scaled(b, row["a"], x), _scaled(b, row["s"], y)),
        }
        low, high = (b.broadcast(given.asked[n], x, (3,)) for n in ("low", "high"))
        data = b.minimum(b.maximum(guesses[ddpm.predicts](), low), high)
        noise = _scaled(b, row["inverse_s"], b.sub(x, _scaled(b, row["a"], data)))
        moved = b.add(_scaled(b, row["to_data"], data), _scaled(b, row["to_noise"], noise))
        if maker.drawn.method != "ancestral":
            return moved
        key = step_key(b, given.asked["key"], row["number"])
        z = Drawing(key, x.shape[0], training=False).normal(b, x.type, FRESH)
        return b.add(moved, _scaled(b, row["fresh"], z))

    return _Form(rows, {"low": range_, "high": range_}, _noise(maker), step)


# -- masked ------------------------------------------------------------------------------------------------------------


def _masked(maker: _Maker, process: MaskedDiffusion) -> _Form:
    """All masks at first; each step draws every masked token, and keeps some of the draws.

    Which: ancestral, places at random, as in training; confidence, those whose drawn token is the likeliest (Chang et
    al. 2022, section 3.2), the later of equal ones. A draw is the largest of logit / temperature + Gumbel noise.
    """
    count, length = maker.drawn.count, maker.net.out.shape[0]
    left = [(length * (maker.drawn.steps - i)) // maker.drawn.steps for i in range(maker.drawn.steps + 1)]
    times, mask = thousandths(length), maker.net.out.shape[-1] - 1
    rows: dict[str, Row] = {
        "time": tuple(times[k] for k in left[:-1]),
        "left": tuple(left[1:]),
        "number": tuple(range(maker.drawn.steps)),
    }

    def begin(b: Builder, key: Value) -> Value:
        return b.constant(mask, TensorType((count, length), "i32"))

    def step(b: Builder, x: Value, given: _Given) -> Value:
        z = given.answer(x, given.rows["time"])
        known = b.compare("LT", b.iota(2, z.shape), b.broadcast(given.asked["known"], TensorType(z.shape, "i32"), ()))
        z = b.select(known, z, LEFT_OUT)
        key = step_key(b, given.asked["key"], given.rows["number"])
        token = _token(b, z, key, given.asked["temperature"])
        masked = b.compare("EQ", x, mask)
        if maker.drawn.method == "confidence":
            score = _confidence(b, z, token)
        else:
            (word, _) = words(b, key, ORDER, count * length)
            score = b.reshape(open_unit(b, word), x.shape)
        order = ranks(b, b.select(masked, score, FAR))
        stays = b.compare("LT", order, b.broadcast(given.rows["left"], x, ()))
        return b.select(masked, b.select(stays, mask, token), x)

    return _Form(rows, {"temperature": SCALAR, "known": STEP}, begin, step)


def _token(b: Builder, z: Value, key: Value, temperature: Value) -> Value:
    """A token for each place of logits z [N, T, V], i32 [N, T]; at temperature 0 the likeliest, the first of equal."""
    top = b.broadcast(b.max_over(z, (2,)), z, (0, 1))
    hot = b.compare("GT", b.broadcast(temperature, z, ()), 0.0)
    scaled = b.div(b.maximum(b.sub(z, top), -1e30), b.select(hot, b.broadcast(temperature, z, ()), 1.0))
    (word, _) = words(b, key, GUMBEL, z.type.size)
    gumbel = b.unary("neg", b.unary("log", b.unary("neg", b.unary("log", open_unit(b, word)))))
    noisy = b.add(scaled, b.reshape(gumbel, z.shape))
    return first_maximum(b, b.select(hot, noisy, z))


def _confidence(b: Builder, z: Value, token: Value) -> Value:
    """The log-probability of the tokens, but for what is not: z - log sum exp z, [N, T]."""
    top = b.max_over(z, (2,))
    total = b.sum(b.unary("exp", b.sub(z, b.broadcast(top, z, (0, 1)))), (2,))
    hit = b.compare("EQ", b.broadcast(token, TensorType(z.shape, "i32"), (0, 1)), b.iota(2, z.shape))
    own = b.sum(b.select(hit, z, 0.0), (2,))
    return b.sub(b.sub(own, top), b.unary("log", total))


# -- branching ---------------------------------------------------------------------------------------------------------


def _branching(maker: _Maker, flow: BranchingFlow) -> _Form:
    """One element of noise at first; equal steps from t = 1 to 0 move, split and delete (branching.py)."""
    count, (_, slots, width) = maker.drawn.steps, maker.shape
    rows: dict[str, Row] = {
        "time": tuple(1 - i / count for i in range(count)),
        "next": tuple(1 - (i + 1) / count for i in range(count)),
        "number": tuple(range(count)),
    }

    def begin(b: Builder, key: Value) -> Value:
        first = TensorType((maker.drawn.count, 1, width - 1))
        noise = Drawing(key, maker.drawn.count, training=False).normal(b, first, BEGINNING)
        one = b.concatenate([noise, b.constant(1.0, TensorType((*first.shape[:2], 1)))], 2)
        return b.pad(one, (0, 0, 0), (0, slots - 1, 0))

    def step(b: Builder, x: Value, given: _Given) -> Value:
        key = step_key(b, given.asked["key"], given.rows["number"])
        chances = branching.Chances(key, STREAM, (x.shape[0], slots))
        y, shape = given.answer(x, given.rows["time"]), TensorType((*x.shape[:2], width - 1))
        noise = Drawing(key, x.shape[0], training=False).normal(b, shape, FRESH) if flow.wander else None
        noise = noise and b.mul(noise, flow.wander)
        return branching.grown(b, x, y, noise, given.rows["time"], given.rows["next"], chances)

    return _Form(rows, {}, begin, step)


FORMS: dict[type[Process], Callable[..., _Form]] = {
    Flow: _flow, Ddpm: _ddpm, MaskedDiffusion: _masked, BranchingFlow: _branching
}  # fmt: skip
