"""Losses in JAX: one number for each example, and the part of each example that is right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

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

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True, slots=True)
class LossCase:
    """A loss of outputs [batch, *shape] drawn by a key of draws.DRAWS; targets are drawn as the loss wants them.

    `hard`: float targets are 0 or 1, and not anything between.
    """

    name: str
    loss: Loss
    shape: tuple[int, ...]
    batch: int = 3
    draw: str = "normal"
    hard: bool = False


@dataclass(frozen=True, slots=True)
class BadLoss:
    """A loss that must be refused, by itself or for an output of this shape, with a message that holds `message`."""

    loss: Loss
    shape: tuple[int, ...]
    message: str


# (loss, output [batch, .., K], target) -> one number for each example, [batch]
Meaning = Callable[[Any, "Array", "Array"], "Array"]


def _positions(v: Array) -> Array:
    """The mean over all axes but the first."""
    return jnp.mean(jnp.reshape(v, (v.shape[0], -1)), axis=1)


def _against(z: Array, target: Array, weights: Array | float) -> Array:
    return _positions(-jnp.sum(weights * target * jax.nn.log_softmax(z, axis=-1), axis=-1))


def _cross_entropy(loss: CrossEntropy, z: Array, ids: Array) -> Array:
    """Szegedy et al. 2016, section 7."""
    a, classes = loss.smoothing, z.shape[-1]
    target = (1 - a) * jax.nn.one_hot(ids, classes, dtype=z.dtype) + a / classes
    return _against(z, target, jnp.asarray(loss.weights or (1.0,)))


def _one_versus_rest(loss: OneVersusRest, z: Array, ids: Array) -> Array:
    """Wightman et al. 2021: the mean of the K binary cross-entropies."""
    a, classes = loss.smoothing, z.shape[-1]
    target = (1 - a) * jax.nn.one_hot(ids, classes, dtype=z.dtype) + a / classes
    return _positions(-(target * jax.nn.log_sigmoid(z) + (1 - target) * jax.nn.log_sigmoid(-z)))


def _soft_cross_entropy(loss: SoftCrossEntropy, z: Array, target: Array) -> Array:
    return _against(z, target, 1.0)


def _focal(loss: Focal, z: Array, ids: Array) -> Array:
    """Lin et al. 2017, eq. 5; 1 - p is the sum of the other probabilities."""
    own = jax.nn.one_hot(ids, z.shape[-1], dtype=bool)
    log_p = jnp.sum(jnp.where(own, jax.nn.log_softmax(z, axis=-1), 0.0), axis=-1)
    rest = jnp.sum(jnp.where(own, 0.0, jax.nn.softmax(z, axis=-1)), axis=-1)
    alpha = jnp.broadcast_to(jnp.asarray(loss.alpha or (1.0,)), z.shape[-1:])[ids]
    return _positions(-alpha * rest**loss.gamma * log_p)


def _binary_cross_entropy(loss: BinaryCrossEntropy, z: Array, target: Array) -> Array:
    yes, no = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    return _positions(-(loss.positive_weight * target * yes + (1 - target) * no))


def _mean_squared_error(loss: MeanSquaredError, z: Array, target: Array) -> Array:
    return _positions(jnp.square(z - target))


def _huber(loss: Huber, z: Array, target: Array) -> Array:
    """Huber 1964."""
    size = jnp.abs(z - target)
    return _positions(jnp.where(size <= loss.delta, size**2 / 2, loss.delta * (size - loss.delta / 2)))


def _dice(loss: Dice, z: Array, ids: Array) -> Array:
    """Milletari et al. 2016, without the squares: of each example and class, then the mean over classes."""
    classes = z.shape[-1]
    s = jnp.reshape(jax.nn.softmax(z, axis=-1), (z.shape[0], -1, classes))
    o = jnp.reshape(jax.nn.one_hot(ids, classes, dtype=z.dtype), s.shape)
    common, size = jnp.einsum("bpk,bpk->bk", s, o), jnp.einsum("bpk->bk", s + o)
    return 1 - jnp.mean((2 * common + loss.epsilon) / (size + loss.epsilon), axis=1)


def _dice_cross_entropy(loss: DiceCrossEntropy, z: Array, ids: Array) -> Array:
    return _cross_entropy(CrossEntropy(), z, ids) + loss.weight * _dice(Dice(loss.epsilon), z, ids)


def _branching(loss: Branching, z: Array, target: Array) -> Array:
    """Billera et al. 2025: the mean over the elements of three divergences, as src/loss.jl of their code has them."""
    there, k, r = target[..., -2] >= 0, jnp.maximum(target[..., -2], 0), target[..., -1]
    s = jnp.clip(z[..., -2], -100, 11)
    poisson = jnp.exp(s) - k * s - (k - jax.scipy.special.xlogy(k, k))
    logits = (1 - r) * z[..., -1] - jax.nn.log_sigmoid(z[..., -1])
    each = jnp.sum(jnp.square(z[..., :-2] - target[..., :-2]), axis=-1) + poisson + logits
    return jnp.sum(jnp.where(there, each, 0.0), axis=1) / jnp.maximum(jnp.sum(there, axis=1), 1)


LOSSES: dict[str, Meaning] = {
    "crossEntropy": _cross_entropy,
    "softCrossEntropy": _soft_cross_entropy,
    "focal": _focal,
    "binaryCrossEntropy": _binary_cross_entropy,
    "meanSquaredError": _mean_squared_error,
    "huber": _huber,
    "oneVersusRest": _one_versus_rest,
    "dice": _dice,
    "diceCrossEntropy": _dice_cross_entropy,
    "branching": _branching,
}


def each(loss: Loss, z: Array, target: Array) -> Array:
    """The loss of each example, [batch]."""
    return LOSSES[loss.kind](loss, z, target)


def correct(loss: Loss, z: Array, target: Array) -> Array:
    """The part of each example's tokens, pixels or elements that is right, [batch]; 0 for a regression."""
    right = RIGHT[loss.metric](z, target)
    return _positions(right.astype(z.dtype))


# what a loss counts as right -> truth values
RIGHT: dict[str, Callable[[Array, Array], Array]] = {
    "nothing": lambda z, target: jnp.zeros(z.shape[:1], bool),
    "class": lambda z, target: jnp.argmax(z, axis=-1) == target,
    "likeliest": lambda z, target: jnp.argmax(z, axis=-1) == jnp.argmax(target, axis=-1),
    "side": lambda z, target: (z > 0) == (target > 0.5),
}


def draw_target(rng: np.random.Generator, loss: Loss, shape: tuple[int, ...], batch: int, *, hard: bool = False) -> Any:
    """Targets for outputs [batch, *shape]: class ids, or floats (probabilities where the loss is of such)."""
    return (HARD_TARGETS if hard else TARGETS)[loss.metric](rng, (batch, *shape))


Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]
TARGETS: dict[str, Draw] = {
    "nothing": lambda rng, full: rng.standard_normal(full),
    "class": lambda rng, full: rng.integers(0, full[-1], full[:-1]).astype(np.int32),
    "likeliest": lambda rng, full: rng.uniform(size=full),
    "side": lambda rng, full: rng.uniform(size=full),
}
HARD_TARGETS: dict[str, Draw] = {
    **TARGETS,
    "likeliest": lambda rng, full: np.eye(full[-1])[rng.integers(0, full[-1], full[:-1])],
    "side": lambda rng, full: rng.integers(0, 2, full).astype(np.float64),
}


SMOOTHINGS = (0.0, 0.1, 0.9)
TOKENS, PIXELS = (3, 4), (3, 2, 4)
WEIGHTS = (0.5, 2.0, 0.0, 1.0)
HARD, SOFT, SEEN = CrossEntropy(), SoftCrossEntropy(), Focal(alpha=(0.25,))
COIN, HEAVY = BinaryCrossEntropy(), BinaryCrossEntropy(3.0)


def _common(loss: Loss, *, least: int = 1) -> tuple[LossCase, ...]:
    """What every loss over classes is asked: a vector, tokens, pixels, ties, extremes, one class, one example."""
    cases = (
        LossCase("classes", loss, (4,)),
        LossCase("per-token", loss, TOKENS),
        LossCase("per-pixel", loss, PIXELS),
        LossCase("ties", loss, (5, 4), draw="ties"),
        LossCase("large-logits", loss, (5, 4), draw="tails"),
        LossCase("equal-logits", loss, (2, 4), draw="constant"),
        LossCase("batch-1", loss, (2, 4), batch=1),
        LossCase("one-pixel", loss, (1, 1, 4)),
    )
    return tuple(c for c in cases if len(c.shape) >= least)


CASES: list[LossCase] = [
    *_common(HARD),
    *(LossCase(f"smoothing-{a}", CrossEntropy(a), (10,)) for a in SMOOTHINGS),
    *(LossCase(f"large-logits-{a}", CrossEntropy(a), (6,), draw="tails") for a in SMOOTHINGS[1:]),
    LossCase("one-class", CrossEntropy(0.1), (1,)),
    LossCase("one-class-large", CrossEntropy(0.1), (1,), draw="tails"),
    LossCase("many-classes", CrossEntropy(0.1), (100,)),
    LossCase("weights", CrossEntropy(weights=WEIGHTS), (4,), batch=6),
    LossCase("weights-smoothing-per-token", CrossEntropy(0.2, WEIGHTS), TOKENS),
    LossCase("weights-per-pixel-large", CrossEntropy(weights=WEIGHTS), PIXELS, draw="tails"),
    *_common(SOFT),
    LossCase("one-hot", SOFT, (5,), hard=True),
    LossCase("one-class", SOFT, (1,)),
    *_common(SEEN),
    LossCase("alpha-per-class", Focal(alpha=WEIGHTS), TOKENS),
    *(LossCase(f"gamma-{g}", Focal(g), (5,)) for g in (0.0, 0.5, 1.0, 3.7)),
    LossCase("two-classes", Focal(), (2,)),
    LossCase("one-class", Focal(alpha=(0.5,)), (1,)),
    *_common(COIN),
    LossCase("hard", COIN, PIXELS, hard=True),
    LossCase("hard-large-logits", COIN, (6,), draw="tails", hard=True),
    LossCase("one-output", COIN, (1,)),
    LossCase("positive-weight", HEAVY, (3, 4)),
    LossCase("positive-weight-large", HEAVY, (6,), draw="tails", hard=True),
    LossCase("vector", MeanSquaredError(), (4,)),
    LossCase("image", MeanSquaredError(), PIXELS),
    LossCase("one-number", MeanSquaredError(), (1,), batch=1),
    LossCase("large", MeanSquaredError(), (2, 4), draw="tails"),
    LossCase("vector", Huber(), (4,)),
    LossCase("image", Huber(0.5), PIXELS),
    LossCase("one-number", Huber(2.0), (1,), batch=1),
    LossCase("large", Huber(), (2, 4), draw="tails"),
    *_common(OneVersusRest()),
    *(LossCase(f"smoothing-{a}", OneVersusRest(a), (10,)) for a in SMOOTHINGS),
    LossCase("one-class", OneVersusRest(0.1), (1,)),
    *_common(Dice(), least=2),
    LossCase("small-epsilon", Dice(1e-3), PIXELS),
    LossCase("large-epsilon", Dice(50.0), TOKENS),
    LossCase("one-class", Dice(), (3, 1)),
    *_common(DiceCrossEntropy(), least=2),
    LossCase("weight", DiceCrossEntropy(0.3, 0.1), PIXELS),
    LossCase("only-cross-entropy", DiceCrossEntropy(0.0), PIXELS),
    LossCase("slots", Branching(), (6, 4)),
    LossCase("one-slot", Branching(), (1, 3), batch=8),
    LossCase("large", Branching(), (5, 4), draw="tails"),
]

BAD = (
    BadLoss(CrossEntropy(1.0), (4,), "`label_smoothing` wants a number in [0, 1), got 1.0"),
    BadLoss(CrossEntropy(math.nan), (4,), "`label_smoothing` wants a number in [0, 1), got nan"),
    BadLoss(CrossEntropy(weights=(1.0, -1.0)), (2,), "weights wants numbers of at least 0, got -1.0"),
    BadLoss(CrossEntropy(weights=(1.0, 2.0)), (3,), "crossEntropy wants 3 numbers, one for each class, got 2"),
    BadLoss(SoftCrossEntropy(), (), "softCrossEntropy wants an output of [batch, .., classes], got [batch]"),
    BadLoss(Focal(-1.0), (4,), "focal: gamma wants numbers of at least 0, got -1.0"),
    BadLoss(Focal(alpha=(math.inf,)), (4,), "focal: alpha wants numbers of at least 0, got inf"),
    BadLoss(Focal(alpha=(1.0, 2.0)), (4, 3), "focal wants 3 numbers, one for each class, got 2"),
    BadLoss(BinaryCrossEntropy(0.0), (4,), "positive_weight wants a positive number, got 0.0"),
    BadLoss(Huber(0.0), (4,), "huber: delta wants a positive number, got 0.0"),
    BadLoss(OneVersusRest(1.0), (4,), "`label_smoothing` wants a number in [0, 1), got 1.0"),
    BadLoss(Dice(), (4,), "dice wants an output of [batch, pixels.., classes], got [batch, 4]"),
    BadLoss(Dice(0.0), (4, 4), "dice: epsilon wants a positive number, got 0.0"),
    BadLoss(Branching(), (4, 2), "branching wants an output of [batch, slots, C + 2], numbers, splits and deletion"),
    BadLoss(DiceCrossEntropy(), (4,), "diceCrossEntropy wants an output of [batch, pixels.., classes], got [batch, 4]"),
    BadLoss(DiceCrossEntropy(-1.0), (4, 4), "diceCrossEntropy: weight wants numbers of at least 0, got -1.0"),
)
