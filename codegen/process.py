"""The processes of generative models as IR: what a net sees, is to answer, and the weight of each answer in the loss.

Noise and masks are the same bits on every backend; times are, too, but for those of `times` logit-normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netc.codegen.branching import Chances, bridged
from netc.codegen.builder import Builder
from netc.codegen.draw import open_unit
from netc.codegen.ir import Value
from netc.codegen.losses import EmittedLoss, emit_loss, mean_of_each
from netc.codegen.mixing import below, happens, looked_up
from netc.codegen.random import SPREAD, centred_sum, words
from netc.codegen.rules import Scope, emit, part_stream
from netc.codegen.steps import Derived
from netc.netspec.check import CheckedNet
from netc.netspec.loss import Loss
from netc.netspec.process import (
    FLOOR,
    THOUSANDTHS,
    BranchingFlow,
    Ddpm,
    Flow,
    Generation,
    MaskedDiffusion,
    Process,
)
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType

STREAM = part_stream(0, "(process)")  # no layer has such a name
TIMES, DROPS, PLACES = (part_stream(STREAM, part) for part in ("time", "label", "mask"))
NOISE = (part_stream(STREAM, "noise0"), part_stream(STREAM, "noise1"))
PATH = (part_stream(STREAM, "path0"), part_stream(STREAM, "path1"))
EVALUATED = (0x6E657463, 0x6576616C)  # the key of evaluations: always the same noise


@dataclass(frozen=True)
class Velocity:
    """What an answer x^ [B, H, W, C], the clean image, says of the velocity: (x_t - x^) / max(t, FLOOR).

    `weight` [B] is 1 / max(t, FLOOR).
    """

    mixed: Value
    weight: Value

    def of(self, b: Builder, answer: Value) -> Value:
        """v = (x_t - x^) w, w the weight."""
        return b.mul(b.sub(self.mixed, answer), b.broadcast(self.weight, answer, (0,)))

    def pull(self, b: Builder, dv: Value) -> Value:
        """dx^ = -w dv."""
        return b.mul(b.broadcast(b.unary("neg", self.weight), dv, (0,)), dv)


@dataclass(frozen=True)
class Posed:
    """A batch as a question: the net's input x, its target, and the weight [B, T] of each token where they differ.

    `velocity`, where the net answers an image and its velocity is judged.
    """

    x: Value
    target: Value
    weight: Value | None = None
    velocity: Velocity | None = None


@dataclass(frozen=True)
class Drawing:
    """Where the numbers of a batch come from: the step's key [2] ui32, or the one of evaluations."""

    key: Value
    batch: int
    training: bool

    def chances(self, b: Builder) -> Value:
        """One number in (0, 1) for each example, [B]: drawn, or spread evenly in an order of which any part is."""
        if not self.training:
            return b.constant(tuple(spread(self.batch)), TensorType((self.batch,)))
        return open_unit(b, words(b, self.key, TIMES, self.batch)[0])

    def among(self, b: Builder, count: int) -> Value:
        """One whole number from 0 to before `count` for each example, i32 [B]."""
        if not self.training:
            found = tuple(int(u * count) for u in spread(self.batch))
            return b.constant(found, TensorType((self.batch,), "i32"))
        return below(b, words(b, self.key, TIMES, self.batch)[0], count)

    def normal(self, b: Builder, like: TensorType, streams: tuple[int, int] = NOISE) -> Value:
        """Noise of mean 0 and deviation 1."""
        return b.reshape(b.mul(centred_sum(b, self.key, like.size, streams), 1 / SPREAD), like.shape)


def spread(count: int) -> list[float]:
    """`count` numbers in (0, 1), evenly spread from the first ones on: van der Corput's sequence in base 2."""
    bits = (count - 1).bit_length()
    return [(int(f"{i:0{bits}b}"[::-1], 2) + 0.5) / (1 << bits) for i in range(count)]


def pose(b: Builder, net: CheckedNet, generation: Generation, key: Value | None, x: Value, label: Value) -> Posed:
    """The question that examples x [B, ..] with labels i32 [B] become, of a step with that key, or of evaluation."""
    process = generation.chosen
    assert process is not None
    with b.at("process"):
        fixed = b.constant(EVALUATED, TensorType((2,), "ui32")) if key is None else key
        drawing = Drawing(fixed, x.shape[0], key is not None)
        if process.conditional(net.x, net.out):
            label = _dropped(b, generation, drawing, label) if key is not None else label
            return RULES[type(process)](b, process, drawing, x, (label,), net)
        return RULES[type(process)](b, process, drawing, x, (), net)


def derived(b: Builder, net: CheckedNet, recipe: Recipe, scope: Scope, x: Value, label: Value, batch: int) -> Derived:
    """The share of examples in the mean loss of `batch`, and of its gradient, in training."""
    posed = pose(b, net, recipe.generation, scope.key, x, label)
    out = emit(b, net.spec.body, scope, posed.x)
    with b.at("loss"):
        loss = judge(b, recipe.loss, out.y, posed)
        mean = b.mul(b.sum(loss.each, (0,)), 1 / batch)
    with b.at("loss", "vjp"):
        dy = loss.pull(b.constant(1 / batch, loss.each.type))
    _, drawn = out.pull(dy)
    return Derived(mean, b.scalar(0.0), drawn, out.state)


def answered(
    b: Builder, net: CheckedNet, recipe: Recipe, scope: Scope, x: Value, label: Value
) -> tuple[Value, None, Callable[[], Value]]:
    """The loss of each example in evaluation, [B]; all of it counts, and nothing is right or wrong."""
    posed = pose(b, net, recipe.generation, None, x, label)
    answer = emit(b, net.spec.body, scope, posed.x).y
    with b.at("loss"):
        each = judge(b, recipe.loss.evaluated, answer, posed).each
    return each, None, lambda: b.constant(0.0, each.type)


def judge(b: Builder, loss: Loss, z: Value, posed: Posed) -> EmittedLoss:
    """The loss of a net's answer z [B, ..] to a question."""
    weight, velocity = posed.weight, posed.velocity
    if velocity is not None:
        of_velocity = emit_loss(b, loss, velocity.of(b, z), posed.target)
        return EmittedLoss(of_velocity.each, lambda d: velocity.pull(b, of_velocity.pull(d)))
    if weight is None:
        return emit_loss(b, loss, z, posed.target)
    rows = weight.type.size
    judged = emit_loss(b, loss, b.reshape(z, (rows, z.shape[-1])), b.reshape(posed.target, (rows,)))
    each = mean_of_each(b, b.mul(weight, b.reshape(judged.each, weight.shape)))

    def pull(d: Value) -> Value:  # of each token: d w / T
        share = b.mul(b.broadcast(b.mul(d, weight.shape[0] / rows), weight, (0,)), weight)
        return b.reshape(judged.pull(b.reshape(share, (rows,))), z.shape)

    return EmittedLoss(each, pull)


def _dropped(b: Builder, generation: Generation, drawing: Drawing, label: Value) -> Value:
    """The labels, some of them the null class."""
    if not generation.label_drop:
        return label
    (word, _) = words(b, drawing.key, DROPS, drawing.batch)
    return b.select(happens(b, word, generation.label_drop), generation.label_count, label)


def seen(b: Builder, image: Value, time: Value, labels: Sequence[Value]) -> Value:
    """What a net sees: the image [B, H, W, C], behind it its time f32 [B] and maybe its class i32 [B] as a number."""
    plane = TensorType((*image.shape[:3], 1))
    further = [time, *(b.convert(label, "f32") for label in labels)]
    return b.concatenate([image, *(b.broadcast(v, plane, (0,)) for v in further)], 3)


Rule = Callable[[Builder, Process, Drawing, Value, tuple[Value, ...], CheckedNet], Posed]


def _flow(b: Builder, flow: Flow, drawing: Drawing, x: Value, labels: tuple[Value, ...], net: CheckedNet) -> Posed:
    """x_t = (1 - t) x + t e, against e - x; of a net that answers x, against (x_t - x) / max(t, FLOOR)."""
    noise = drawing.normal(b, x.type)
    if flow.times == "uniform":
        time = drawing.chances(b)
    elif drawing.training:
        streams = (part_stream(TIMES, "normal0"), part_stream(TIMES, "normal1"))
        time = b.unary("logistic", drawing.normal(b, TensorType((drawing.batch,)), streams))
    else:
        time = b.constant(tuple(map(_logit_normal, spread(drawing.batch))), TensorType((drawing.batch,)))
    t = b.broadcast(time, x, (0,))
    mixed = b.add(b.mul(b.sub(1.0, t), x), b.mul(t, noise))
    question = seen(b, mixed, time, labels)
    if flow.flow_predicts == "v":
        return Posed(question, b.sub(noise, x))
    velocity = Velocity(mixed, b.div(1.0, b.maximum(time, FLOOR)))
    return Posed(question, velocity.of(b, x), velocity=velocity)


def _logit_normal(u: float) -> float:
    """The quantile function of the logit-normal distribution, by bisection of the normal one's."""
    low, high = -9.0, 9.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erf(middle / math.sqrt(2)) / 2 + 0.5 < u else (low, middle)
    return 1 / (1 + math.exp(-low))


def _ddpm(b: Builder, ddpm: Ddpm, drawing: Drawing, x: Value, labels: tuple[Value, ...], net: CheckedNet) -> Posed:
    """a x + s e, against e, x, or a e - s x."""
    n = drawing.among(b, ddpm.noise_steps)  # counted from 0: the step n + 1
    kept = ddpm.kept[1:]
    a, s = looked_up(b, tuple(map(math.sqrt, kept)), n), looked_up(b, tuple(math.sqrt(1 - k) for k in kept), n)
    a, s = (b.broadcast(v, x, (0,)) for v in (a, s))
    noise = drawing.normal(b, x.type)
    time = b.mul(b.convert(b.add(n, 1), "f32"), 1 / ddpm.noise_steps)
    targets = {
        "epsilon": lambda: noise,
        "x0": lambda: x,
        "v": lambda: b.sub(b.mul(a, noise), b.mul(s, x)),
    }
    return Posed(seen(b, b.add(b.mul(a, x), b.mul(s, noise)), time, labels), targets[ddpm.predicts]())


def _masked(
    b: Builder, process: MaskedDiffusion, drawing: Drawing, x: Value, labels: tuple[Value, ...], net: CheckedNet
) -> Posed:
    """k of T tokens are the mask, against the tokens, T / k each where they are and 0 elsewhere."""
    batch, length = x.shape
    k = b.add(drawing.among(b, length), 1)
    (word, _) = words(b, drawing.key, PLACES, batch * length)
    bits = b.convert(b.op("shr", word, b.constant(1, word.type)), "i32")
    masked = b.compare("LT", ranks(b, b.reshape(bits, x.shape)), b.broadcast(k, x, (0,)))
    hidden = b.select(masked, net.out.shape[-1] - 1, x)
    weight = b.div(float(length), b.convert(k, "f32"))
    weight = b.select(masked, b.broadcast(weight, TensorType(x.shape), (0,)), 0.0)
    time = looked_up(b, thousandths(length), k)
    return Posed(b.concatenate([hidden, b.reshape(time, (batch, 1))], 1), x, weight)


def _branching(
    b: Builder, flow: BranchingFlow, drawing: Drawing, x: Value, labels: tuple[Value, ...], net: CheckedNet
) -> Posed:
    """The sequences at some level of noise, against where each element goes, splits, and whether it is deleted."""
    batch, slots, width = x.shape
    noise, time = drawing.normal(b, TensorType((batch, width - 1))), drawing.chances(b)
    path = drawing.normal(b, TensorType((batch, slots, slots, width - 1)), PATH) if flow.wander else None
    path = path and b.mul(path, flow.wander)
    return Posed(*bridged(b, x, noise, path, time, Chances(drawing.key, STREAM, (batch, slots)), flow.deletions))


def thousandths(length: int) -> tuple[int, ...]:
    """The time of a text of `length` tokens of which k = 0..length are masked, as the net is given it."""
    return tuple((2 * THOUSANDTHS * k + length) // (2 * length) for k in range(length + 1))


def ranks(b: Builder, scores: Value) -> Value:
    """How many of its row's scores [B, T] are below each one, i32; of equal ones the earlier is the lower."""
    wide = TensorType((*scores.shape, scores.shape[-1]), scores.type.dtype)
    own, others = b.broadcast(scores, wide, (0, 1)), b.broadcast(scores, wide, (0, 2))
    earlier = b.compare("LT", b.iota(2, wide.shape), b.iota(1, wide.shape))
    below_it = b.op("or", b.compare("LT", others, own), b.op("and", b.compare("EQ", others, own), earlier))
    return b.sum(b.convert(below_it, "i32"), (2,))


RULES: dict[type[Process], Rule] = {
    Flow: _flow,  # type: ignore[dict-item]
    Ddpm: _ddpm,  # type: ignore[dict-item]
    MaskedDiffusion: _masked,  # type: ignore[dict-item]
    BranchingFlow: _branching,  # type: ignore[dict-item]
}
