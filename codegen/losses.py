"""Losses: how each is emitted, and its pullback to the net's output. One rule for each kind of netspec/loss.py.

An output is z [B, .., K]; the axes between batch and classes are positions (tokens, pixels). Class ids are [B, ..].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.softplus import softplus
from netc.netspec.errors import UserError
from netc.netspec.loss import (
    BinaryCrossEntropy,
    Branching,
    CrossEntropy,
    Dice,
    DiceCrossEntropy,
    Focal,
    Huber,
    Loss,
    MeanSquaredError,
    OneVersusRest,
    SoftCrossEntropy,
)


@dataclass(frozen=True)
class EmittedLoss:
    """One number for each example, [B], and the pullback from its cotangent [B] to the output's [B, .., K]."""

    each: Value
    pull: Callable[[Value], Value]


LossRule = Callable[[Builder, Any, Value, Value], EmittedLoss]
LOSS_RULES: dict[type[Loss], LossRule] = {}


def loss_rule(cls: type[Loss]) -> Callable[[LossRule], LossRule]:
    """Register the rule of a loss."""

    def register(function: LossRule) -> LossRule:
        LOSS_RULES[cls] = function
        return function

    return register


def emit_loss(b: Builder, loss: Loss, z: Value, target: Value) -> EmittedLoss:
    """Emit a loss of the output z [B, *out] against its target [B, *loss.target(out)]; UserError without a rule."""
    found = LOSS_RULES.get(type(loss))
    if found is None:
        raise UserError(f"{loss.kind} is declared and has no rule; write one under @loss_rule in codegen/losses.py")
    return found(b, loss, z, target)


# -- what they share -------------------------------------------------------------------------------------------------


def spread(b: Builder, v: Value, like: Value) -> Value:
    """v on the first axes of `like`, repeated along the others."""
    return b.broadcast(v, like, tuple(range(len(v.shape))))


def _last(z: Value) -> tuple[int, ...]:
    return (len(z.shape) - 1,)


def mean_of_each(b: Builder, v: Value) -> Value:
    """The mean over all axes but the batch, [B]."""
    if len(v.shape) == 1:
        return v
    return b.mul(b.sum(v, tuple(range(1, len(v.shape)))), v.shape[0] / v.type.size)


def share(b: Builder, d: Value, v: Value) -> Value:
    """The pullback of `mean_of_each`: every element of v gets d / n, n their number."""
    return d if len(v.shape) == 1 else spread(b, b.mul(d, v.shape[0] / v.type.size), v)


def _one_hot(b: Builder, ids: Value, z: Value) -> Value:
    """Truth values [B, .., K]: whether this is the class of the target."""
    return b.compare("EQ", spread(b, ids, z), b.iota(len(z.shape) - 1, z.shape))


@dataclass(frozen=True)
class _Exponentials:
    """z less its maximum, exp of that, and the sum over classes, at least 1: nothing overflows."""

    shifted: Value
    e: Value
    total: Value

    def softmax(self, b: Builder) -> Value:
        return b.div(self.e, spread(b, self.total, self.e))


def log_softmax(b: Builder, z: Value) -> Value:
    """z less its log-sum-exp over classes, the last axis."""
    s = _exponentials(b, z)
    return b.sub(s.shifted, spread(b, b.unary("log", s.total), z))


def _exponentials(b: Builder, z: Value) -> _Exponentials:
    shifted = b.sub(z, spread(b, b.max_over(z, _last(z)), z))
    e = b.unary("exp", shifted)
    return _Exponentials(shifted, e, b.sum(e, _last(z)))


def _cross_entropy(b: Builder, z: Value, s: _Exponentials, q: Value, mass: Value | None) -> EmittedLoss:
    """m logsumexp(z) - sum_k q_k z_k with m = sum_k q_k, `mass`, where that is not 1.

    Both terms shift by m max(z), so the maximum may be taken off z in both.
    """
    log_total = b.unary("log", s.total)
    whole = log_total if mass is None else b.mul(mass, log_total)
    at = b.sub(whole, b.sum(b.mul(q, s.shifted), _last(z)))

    def pull(d: Value) -> Value:  # dz = d (m softmax(z) - q)
        softmax = s.softmax(b)
        scaled = softmax if mass is None else b.mul(spread(b, mass, z), softmax)
        return b.mul(spread(b, share(b, d, at), z), b.sub(scaled, q))

    return EmittedLoss(mean_of_each(b, at), pull)


# -- the rules -------------------------------------------------------------------------------------------------------


@loss_rule(CrossEntropy)
def emit_cross_entropy(b: Builder, loss: CrossEntropy, z: Value, ids: Value) -> EmittedLoss:
    """q = w ((1 - a) one_hot + a / K)."""
    s = _exponentials(b, z)
    classes, a = z.shape[-1], loss.smoothing
    hit = _one_hot(b, ids, z)
    rest = b.constant(a / classes, z.type)
    q = b.select(hit, 1.0 - a + a / classes, rest)
    if not loss.weights:
        return _cross_entropy(b, z, s, q, None)
    q = b.mul(q, b.broadcast(_per_class(b, loss.weights), z))
    return _cross_entropy(b, z, s, q, b.sum(q, _last(z)))


@loss_rule(OneVersusRest)
def emit_one_versus_rest(b: Builder, loss: OneVersusRest, z: Value, ids: Value) -> EmittedLoss:
    """q softplus(-z) + (1 - q) softplus(z): sums of what is not negative, so that nothing cancels."""
    classes, a = z.shape[-1], loss.smoothing
    q = b.select(_one_hot(b, ids, z), 1.0 - a + a / classes, b.constant(a / classes, z.type))
    minus = b.unary("neg", z)
    at = b.add(b.mul(q, softplus(b, minus)), b.mul(b.sub(1.0, q), softplus(b, z)))

    def pull(d: Value) -> Value:  # dz = d (s(z) - q)
        return b.mul(share(b, d, at), b.sub(b.unary("logistic", z), q))

    return EmittedLoss(mean_of_each(b, at), pull)


@loss_rule(SoftCrossEntropy)
def emit_soft_cross_entropy(b: Builder, loss: SoftCrossEntropy, z: Value, target: Value) -> EmittedLoss:
    """q = t."""
    return _cross_entropy(b, z, _exponentials(b, z), target, b.sum(target, _last(z)))


@loss_rule(Focal)
def emit_focal(b: Builder, loss: Focal, z: Value, ids: Value) -> EmittedLoss:
    """alpha s(m)^gamma softplus(m), m = logsumexp of the other classes - z_t.

    For p = s(-m), so 1 - p = s(m) and -log p = softplus(m): no difference of numbers near 1, no logarithm of 0.
    """
    hit, classes = _one_hot(b, ids, z), z.shape[-1]
    own = b.sum(b.select(hit, z, 0.0), _last(z))
    others = b.select(hit, FAR, z)
    top = b.max_over(others, _last(z))
    e = b.select(hit, 0.0, b.unary("exp", b.sub(others, spread(b, top, z))))
    total = b.maximum(b.sum(e, _last(z)), 1.0)  # the largest of the others gives 1; a net of one class has none
    m = b.sub(b.add(top, b.unary("log", total)), own)
    plus = softplus(b, m)
    miss = b.unary("logistic", m)
    focus = b.unary("exp", b.mul(b.sub(plus, m), -loss.gamma))  # s(m)^gamma: log s(m) = m - softplus(m)
    if loss.alpha:
        alphas = loss.alpha if len(loss.alpha) == classes else loss.alpha * classes
        weight = b.sum(b.select(hit, b.broadcast(_per_class(b, alphas), z), 0.0), _last(z))
        focus = b.mul(weight, focus)
    at = b.mul(focus, plus)

    def pull(d: Value) -> Value:
        # d/dm = alpha s^gamma (gamma (1 - s) softplus(m) + s), for s' = s (1 - s) and softplus' = s
        slope = b.add(b.mul(b.mul(b.sub(1.0, miss), plus), loss.gamma), miss)
        dm = b.mul(share(b, d, at), b.mul(focus, slope))
        # dm/dz_k: the softmax over the others, and -1 for the target
        towards = b.select(hit, -1.0, b.div(e, spread(b, total, z)))
        return b.mul(spread(b, dm, z), towards)

    return EmittedLoss(mean_of_each(b, at), pull)


FAR = -1e30  # below every logit, and finite: sums and products with it are no NaN


def _per_class(b: Builder, numbers: tuple[float, ...]) -> Value:
    """[K]."""
    classes = (len(numbers),)
    return b.op("constant", value=numbers, shape=classes, dtype="f32")


@loss_rule(BinaryCrossEntropy)
def emit_binary_cross_entropy(b: Builder, loss: BinaryCrossEntropy, z: Value, target: Value) -> EmittedLoss:
    """w t softplus(-z) + (1 - t) softplus(z): sums of what is not negative, so that nothing cancels."""
    minus = b.unary("neg", z)
    yes, no = b.mul(target, loss.positive_weight), b.sub(1.0, target)
    at = b.add(b.mul(yes, softplus(b, minus)), b.mul(no, softplus(b, z)))

    def pull(d: Value) -> Value:  # softplus' = s, so dz = d ((1 - t) s(z) - w t s(-z))
        slope = b.sub(b.mul(no, b.unary("logistic", z)), b.mul(yes, b.unary("logistic", minus)))
        return b.mul(share(b, d, at), slope)

    return EmittedLoss(mean_of_each(b, at), pull)


@loss_rule(MeanSquaredError)
def emit_mean_squared_error(b: Builder, loss: MeanSquaredError, z: Value, target: Value) -> EmittedLoss:
    """(z - t)²."""
    off = b.sub(z, target)
    at = b.mul(off, off)
    return EmittedLoss(mean_of_each(b, at), lambda d: b.mul(share(b, b.mul(d, 2.0), at), off))  # dz = 2 d (z - t) / n


@loss_rule(Huber)
def emit_huber(b: Builder, loss: Huber, z: Value, target: Value) -> EmittedLoss:
    """c (d - c / 2) with c = d brought into [-delta, delta]: d^2 / 2 inside, delta (|d| - delta / 2) outside."""
    off = b.sub(z, target)
    c = b.maximum(b.minimum(off, loss.delta), -loss.delta)
    at = b.mul(c, b.sub(off, b.mul(c, 0.5)))
    return EmittedLoss(mean_of_each(b, at), lambda d: b.mul(share(b, d, at), c))  # dz = d c / n


@loss_rule(Dice)
def emit_dice(b: Builder, loss: Dice, z: Value, ids: Value) -> EmittedLoss:
    """1 - mean_k c_k, c_k = (2 sum_p s o + epsilon) / (sum_p s + sum_p o + epsilon)."""
    pixels, classes = tuple(range(1, len(z.shape) - 1)), z.shape[-1]
    by_class = (0, len(z.shape) - 1)
    s = _exponentials(b, z).softmax(b)
    o = b.convert(_one_hot(b, ids, z), z.type.dtype)
    both = b.add(b.mul(b.sum(b.mul(s, o), pixels), 2.0), loss.epsilon)
    either = b.add(b.add(b.sum(s, pixels), b.sum(o, pixels)), loss.epsilon)
    c = b.div(both, either)  # [B, K]
    each = b.sub(1.0, b.mul(b.sum(c, (1,)), 1 / classes))

    def pull(d: Value) -> Value:
        # dc_k/ds_pk = (2 o_pk - c_k) / either_k, so g = -(d / K) (2 o - c) / either
        part = b.div(spread(b, b.mul(d, 1 / classes), either), either)
        off = b.sub(b.broadcast(c, z, by_class), b.mul(o, 2.0))
        g = b.mul(b.broadcast(part, z, by_class), off)
        along = b.sum(b.mul(g, s), _last(z))
        return b.mul(s, b.sub(g, spread(b, along, z)))  # dz = s (g - sum_k g_k s_k), the softmax's pullback

    return EmittedLoss(each, pull)


@loss_rule(DiceCrossEntropy)
def emit_dice_cross_entropy(b: Builder, loss: DiceCrossEntropy, z: Value, ids: Value) -> EmittedLoss:
    """The sum of both, by their own rules."""
    first, second = emit_loss(b, CrossEntropy(), z, ids), emit_loss(b, loss.dice, z, ids)
    each = b.add(first.each, b.mul(second.each, loss.weight))
    return EmittedLoss(each, lambda d: b.add(first.pull(d), second.pull(b.mul(d, loss.weight))))


@loss_rule(Branching)
def emit_branching(b: Builder, loss: Branching, z: Value, target: Value) -> EmittedLoss:
    """|z - a|^2, exp(s) - k s + (k log k - k) and (1 - r) softplus(d) + r softplus(-d), the mean over elements."""
    width = z.shape[-1] - 2

    def parts(v: Value) -> tuple[Value, Value, Value]:
        ends = [(0, width), (width, width + 1), (width + 1, width + 2)]
        numbers, *others = (b.slice(v, (0, 0, low), (*v.shape[:2], high)) for low, high in ends)
        first, second = (b.reshape(v, v.shape[:2]) for v in others)
        return numbers, first, second

    (x, s, d), (anchor, count, gone) = parts(z), parts(target)
    there = b.convert(b.compare("GE", count, 0.0), z.type.dtype)
    share = b.div(1.0, b.maximum(b.sum(there, (1,)), 1.0))  # 1 / n
    k = b.maximum(count, 0.0)
    within = b.minimum(b.maximum(s, -100.0), 11.0)
    expected, off = b.unary("exp", within), b.sub(x, anchor)
    least = b.mul(k, b.sub(b.unary("log", b.maximum(k, 1e-30)), 1.0))  # k log k - k, 0 at k = 0
    splits = b.add(b.sub(expected, b.mul(k, within)), least)
    stays, minus = b.sub(1.0, gone), b.unary("neg", d)
    deletion = b.add(b.mul(stays, softplus(b, d)), b.mul(gone, softplus(b, minus)))
    at = b.mul(there, b.add(b.add(b.sum(b.mul(off, off), (2,)), splits), deletion))

    def pull(cotangent: Value) -> Value:
        part = b.mul(there, spread(b, b.mul(cotangent, share), at))  # g = d / n where there is an element
        dx = b.mul(spread(b, b.mul(part, 2.0), off), off)  # dz = 2 g (z - a)
        # ds = g (exp(s) - k) between the bounds, dd = g ((1 - r) s(d) - r s(-d)), for softplus' = s
        ds = b.select(b.compare("EQ", s, within), b.mul(part, b.sub(expected, k)), 0.0)
        slope = b.sub(b.mul(stays, b.unary("logistic", d)), b.mul(gone, b.unary("logistic", minus)))
        singles = (b.reshape(v, (*at.shape, 1)) for v in (ds, b.mul(part, slope)))
        return b.concatenate([dx, *singles], 2)

    return EmittedLoss(b.mul(b.sum(at, (1,)), share), pull)


# -- the metric ------------------------------------------------------------------------------------------------------


def correct(b: Builder, loss: Loss, z: Value, target: Value) -> Value:
    """The part of each example that is right, [B]: of its tokens, pixels or elements, as `loss.metric` says."""
    right = METRICS[loss.metric]
    if right is None:
        return b.op("constant", value=0.0, shape=z.shape[:1], dtype=z.type.dtype)
    return mean_of_each(b, right(b, z, target))


def _same_class(b: Builder, z: Value, target: Value) -> Value:
    return b.convert(b.compare("EQ", first_maximum(b, z), first_maximum(b, target)), z.type.dtype)


def _same_side(b: Builder, z: Value, target: Value) -> Value:
    said, true = (b.convert(b.compare("GT", v, at), "i32") for v, at in ((z, 0.0), (target, 0.5)))
    return b.convert(b.compare("EQ", said, true), z.type.dtype)


def hits(b: Builder, logits: Value, labels: Value) -> Value:
    """1.0 where the first largest logit is the label's, [B, ..]."""
    return b.convert(b.compare("EQ", first_maximum(b, logits), labels), logits.type.dtype)


def first_maximum(b: Builder, z: Value) -> Value:
    """The first class whose number is the largest, i32 [B, ..]."""
    classes = z.shape[-1]
    top = spread(b, b.max_over(z, _last(z)), z)
    index = b.iota(len(z.shape) - 1, z.shape)
    candidates = b.select(b.compare("EQ", z, top), index, classes)
    return b.op("reduce_min", candidates, b.scalar(classes, "i32"), dims=_last(z))


# what a loss counts as right -> 1.0 or 0.0 for each token, pixel or element; of a regression nothing is right or wrong
METRICS: dict[str, Callable[[Builder, Value, Value], Value] | None] = {
    "nothing": None,
    "class": hits,
    "likeliest": _same_class,
    "side": _same_side,
}
