"""The reverse of each process, which draws samples: from noise to images, from masks to text, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netc.codegen import branching
from netc.codegen.builder import Builder
from netc.codegen.draw import LEFT_OUT, open_unit
from netc.codegen.ir import Value
from netc.codegen.losses import first_maximum
from netc.codegen.process import Drawing, ranks, thousandths
from netc.codegen.random import step_key, words
from netc.codegen.rules import part_stream
from netc.codegen.slots import SCALAR, STEP
from netc.netspec.process import FLOOR, BranchingFlow, Ddpm, Flow, MaskedDiffusion, Process
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
class Samples:
    """What is drawn: values of `shape`, with the samples as its first axis, by a net whose output is `out`."""

    drawn: Drawn
    shape: tuple[int, ...]
    out: TensorType


@dataclass(frozen=True)
class Given:
    """What one step is given: `rows` are its numbers of the schedule, `asked` what the caller wants, by name."""

    rows: Mapping[str, Value]
    asked: Mapping[str, Value]
    answer: Callable[..., Value]


Row = tuple[float, ...] | tuple[int, ...]


@dataclass(frozen=True)
class ReverseProcess:
    """The numbers of each step, what the caller says by name, how it begins and what a step does."""

    rows: Mapping[str, Row]
    asked: Mapping[str, TensorType]
    begin: Callable[[Builder, Value], Value]
    step: Callable[[Builder, Value, Given], Value]


def dtype_of(values: Row) -> DType:
    """The element type of a row."""
    return "i32" if isinstance(values[0], int) else "f32"


def _noise(samples: Samples) -> Callable[[Builder, Value], Value]:
    def begin(b: Builder, key: Value) -> Value:
        return Drawing(key, samples.drawn.count, training=False).normal(b, TensorType(samples.shape), BEGINNING)

    return begin


def _scaled(b: Builder, factor: Value, x: Value) -> Value:
    return b.mul(b.broadcast(factor, x, ()), x)


# -- flow --------------------------------------------------------------------------------------------------------------


def _flow(samples: Samples, flow: Flow) -> ReverseProcess:
    """dx/dt = v(x, t) from t = 1 to 0 in equal steps: Euler's method, or Heun's, which asks the net twice.

    Of a net that answers the data x^: v = (x - x^) / max(t, FLOOR), as in training.
    """
    count, of_data = samples.drawn.steps, flow.flow_predicts == "x"
    times = [1 - i / count for i in range(count + 1)]
    rows = {"time": tuple(times[:-1]), "next": tuple(times[1:])}
    if of_data:
        weights = [1 / max(t, FLOOR) for t in times]
        rows |= {"weight": tuple(weights[:-1]), "next_weight": tuple(weights[1:])}

    def velocity(b: Builder, x: Value, given: Given, at: str, weight: str) -> Value:
        y = given.answer(x, given.rows[at])
        return _scaled(b, given.rows[weight], b.sub(x, y)) if of_data else y

    def step(b: Builder, x: Value, given: Given) -> Value:
        time, following = given.rows["time"], given.rows["next"]
        length = b.sub(following, time)
        slope = velocity(b, x, given, "time", "weight")
        moved = b.add(x, _scaled(b, length, slope))
        if samples.drawn.method != "heun":
            return moved
        mean = b.mul(b.add(slope, velocity(b, moved, given, "next", "next_weight")), 0.5)
        return b.add(x, _scaled(b, length, mean))

    return ReverseProcess(rows, {}, _noise(samples), step)


# -- ddpm --------------------------------------------------------------------------------------------------------------


def places(count: int, noise_steps: int) -> tuple[int, ...]:
    """The steps of the noise at which a sampler of so many steps asks the net, from the last down, and 0."""
    return tuple((2 * noise_steps * (count - i) + count) // (2 * count) for i in range(count + 1))


def _ddpm(samples: Samples, ddpm: Ddpm) -> ReverseProcess:
    """x' = a' x0 + sqrt(s'^2 - r^2) e + r z, of what the net says of the data x0 and the noise e.

    ddim: r = 0; ancestral: r^2 = s'^2 / s^2 (1 - a^2 / a'^2), which for all steps is Ho et al. 2020, eq. 7. Source:
    Song et al. 2021 (DDIM), eq. 12 and 16. x0 is brought into the data's range first, and e follows.
    """
    at = places(samples.drawn.steps, ddpm.noise_steps)
    kept, new = [ddpm.kept[n] for n in at[:-1]], [ddpm.kept[n] for n in at[1:]]
    fresh = [
        (1 - after) / (1 - k) * (1 - k / after) if samples.drawn.method == "ancestral" else 0.0
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
        "number": tuple(range(samples.drawn.steps)),
    }
    range_ = TensorType(samples.shape[-1:])

    def step(b: Builder, x: Value, given: Given) -> Value:
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
        if samples.drawn.method != "ancestral":
            return moved
        key = step_key(b, given.asked["key"], row["number"])
        z = Drawing(key, x.shape[0], training=False).normal(b, x.type, FRESH)
        return b.add(moved, _scaled(b, row["fresh"], z))

    return ReverseProcess(rows, {"low": range_, "high": range_}, _noise(samples), step)


# -- masked ------------------------------------------------------------------------------------------------------------


def _masked(samples: Samples, process: MaskedDiffusion) -> ReverseProcess:
    """All masks at first; each step draws every masked token, and keeps some of the draws.

    Which: ancestral, places at random, as in training; confidence, those whose drawn token is the likeliest (Chang et
    al. 2022, section 3.2), the later of equal ones. A draw is the largest of logit / temperature + Gumbel noise.
    """
    count, length = samples.drawn.count, samples.out.shape[0]
    left = [(length * (samples.drawn.steps - i)) // samples.drawn.steps for i in range(samples.drawn.steps + 1)]
    times, mask = thousandths(length), samples.out.shape[-1] - 1
    rows: dict[str, Row] = {
        "time": tuple(times[k] for k in left[:-1]),
        "left": tuple(left[1:]),
        "number": tuple(range(samples.drawn.steps)),
    }

    def begin(b: Builder, key: Value) -> Value:
        return b.constant(mask, TensorType((count, length), "i32"))

    def step(b: Builder, x: Value, given: Given) -> Value:
        z = given.answer(x, given.rows["time"])
        known = b.compare("LT", b.iota(2, z.shape), b.broadcast(given.asked["known"], TensorType(z.shape, "i32"), ()))
        z = b.select(known, z, LEFT_OUT)
        key = step_key(b, given.asked["key"], given.rows["number"])
        token = _token(b, z, key, given.asked["temperature"])
        masked = b.compare("EQ", x, mask)
        if samples.drawn.method == "confidence":
            score = _confidence(b, z, token)
        else:
            (word, _) = words(b, key, ORDER, count * length)
            score = b.reshape(open_unit(b, word), x.shape)
        order = ranks(b, b.select(masked, score, FAR))
        stays = b.compare("LT", order, b.broadcast(given.rows["left"], x, ()))
        return b.select(masked, b.select(stays, mask, token), x)

    return ReverseProcess(rows, {"temperature": SCALAR, "known": STEP}, begin, step)


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


def _branching(samples: Samples, flow: BranchingFlow) -> ReverseProcess:
    """One element of noise at first; equal steps from t = 1 to 0 move, split and delete (branching.py)."""
    count, (_, slots, width) = samples.drawn.steps, samples.shape
    rows: dict[str, Row] = {
        "time": tuple(1 - i / count for i in range(count)),
        "next": tuple(1 - (i + 1) / count for i in range(count)),
        "number": tuple(range(count)),
    }

    def begin(b: Builder, key: Value) -> Value:
        first = TensorType((samples.drawn.count, 1, width - 1))
        noise = Drawing(key, samples.drawn.count, training=False).normal(b, first, BEGINNING)
        one = b.concatenate([noise, b.constant(1.0, TensorType((*first.shape[:2], 1)))], 2)
        return b.pad(one, (0, 0, 0), (0, slots - 1, 0))

    def step(b: Builder, x: Value, given: Given) -> Value:
        key = step_key(b, given.asked["key"], given.rows["number"])
        chances = branching.Chances(key, STREAM, (x.shape[0], slots))
        y, shape = given.answer(x, given.rows["time"]), TensorType((*x.shape[:2], width - 1))
        noise = Drawing(key, x.shape[0], training=False).normal(b, shape, FRESH) if flow.wander else None
        noise = noise and b.mul(noise, flow.wander)
        return branching.grown(b, x, y, noise, given.rows["time"], given.rows["next"], chances)

    return ReverseProcess(rows, {}, begin, step)


REVERSED: dict[type[Process], Callable[..., ReverseProcess]] = {
    Flow: _flow, Ddpm: _ddpm, MaskedDiffusion: _masked, BranchingFlow: _branching
}  # fmt: skip
