"""Losses: what a net's output is judged by, and which targets that takes. `LOSSES` is the vocabulary.

Every loss gives one number for each example, the mean over its tokens, pixels or elements; a step minimises the mean
of these over the batch. z is the output (for the classifying losses: logits, classes on the last axis), t the target.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from netc.netspec.types import LARGEST_NUMBER, SMALLEST_NUMBER, TensorType, batched
from netc.netspec.vocabulary import Vocabulary


@dataclass(frozen=True)
class Loss(ABC):
    """A loss as a value: fields are its options."""

    kind: ClassVar[str]
    metric: ClassVar[str] = "nothing"  # what of an output is right: a row of METRICS in codegen/losses.py
    scalable: ClassVar[bool] = False  # whether the units of its targets are free: of a table they are standardised

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option that no output could make right."""
        return iter(())

    def misfits(self, out: TensorType) -> Iterator[str]:
        """Yield one sentence for each reason why a net with this output (of one example) cannot be trained by it."""
        if out.dtype != "f32":
            yield f"{self.kind} wants an output of floats, got {out.dtype}; end the net in a layer that outputs floats"

    @abstractmethod
    def target(self, out: TensorType) -> TensorType:
        """The type of one example's target, for an output that fits."""

    @property
    def evaluated(self) -> Loss:
        """The loss that evaluation reports: the same without what only regularises training."""
        return self


class ByClass(Loss):
    """Losses whose target is class ids, i32 in 0..K-1, one for each vector of K logits.

    An output [K] takes one id an example, [T, K] one a token (target [T]), [H, W, K] one a pixel (target [H, W]).
    """

    metric: ClassVar[str] = "class"
    least_rank: ClassVar[int] = 1

    @property
    def per_class(self) -> tuple[float, ...]:
        """Numbers that must be one for each class, or none."""
        return ()

    def misfits(self, out: TensorType) -> Iterator[str]:
        """Wants a last axis of classes, as many as there are numbers for them."""
        yield from super().misfits(out)
        if out.rank < self.least_rank:
            form = "[batch, .., classes]" if self.least_rank == 1 else "[batch, pixels.., classes]"
            yield (
                f"{self.kind} wants an output of {form}, got {batched(out.shape)}; end the net in a layer that keeps "
                "these axes"
            )
        elif self.per_class and len(self.per_class) != out.shape[-1]:
            yield (
                f"{self.kind} wants {out.shape[-1]} numbers, one for each class, got {len(self.per_class)}; "
                "give as many as the net has outputs"
            )

    def target(self, out: TensorType) -> TensorType:
        """Class ids i32 of the output's shape without its last axis."""
        return TensorType(out.shape[:-1], "i32")


class Elementwise(Loss):
    """Losses whose target is floats of the output's own shape."""

    def target(self, out: TensorType) -> TensorType:
        """Floats of the output's shape."""
        return out


@dataclass(frozen=True)
class CrossEntropy(ByClass):
    """-sum_k w_k q_k log softmax(z)_k with q = (1 - a) one_hot(t) + a / K; the mean over tokens or pixels.

    a is `smoothing` in [0, 1) (Szegedy et al. 2016, section 7); evaluation leaves it out. w is `weights`, one number
    for each class, or 1. The mean divides by the number of tokens: it is torch's reduction="none" and then the
    mean, whereas torch's reduction="mean" divides by the sum of the targets' weights.
    """

    kind: ClassVar[str] = "crossEntropy"
    smoothing: float = 0.0
    weights: tuple[float, ...] = ()

    def problems(self) -> Iterator[str]:
        """Options that no output could make right."""
        if not 0 <= self.smoothing < 1:
            yield f"`label_smoothing` wants a number in [0, 1), got {self.smoothing}"
        yield from _at_least_zero("crossEntropy: weights", self.weights)

    @property
    def per_class(self) -> tuple[float, ...]:
        """The weights."""
        return self.weights

    @property
    def evaluated(self) -> Loss:
        """Without smoothing."""
        return replace(self, smoothing=0.0)


@dataclass(frozen=True)
class OneVersusRest(ByClass):
    """sum_k -(q_k log s(z_k) + (1 - q_k) log(1 - s(z_k))) / K with q = (1 - a) one_hot(t) + a / K.

    The mean over tokens or pixels. s is the logistic function: K binary cross-entropies, one for each class against the
    others. a is `smoothing` in [0, 1); evaluation leaves it out. Source: Wightman et al. 2021 (ResNet strikes back),
    section 3; timm's BinaryCrossEntropy on class ids.
    """

    kind: ClassVar[str] = "oneVersusRest"
    smoothing: float = 0.0

    def problems(self) -> Iterator[str]:
        """Options that no output could make right."""
        if not 0 <= self.smoothing < 1:
            yield f"`label_smoothing` wants a number in [0, 1), got {self.smoothing}"

    @property
    def evaluated(self) -> Loss:
        """Without smoothing."""
        return replace(self, smoothing=0.0)


@dataclass(frozen=True)
class SoftCrossEntropy(Elementwise):
    """-sum_k t_k log softmax(z)_k, the mean over tokens or pixels. Targets are floats, one for each class.

    They need not sum to 1. For mixtures of labels (Zhang et al. 2018) and for a teacher's probabilities (Hinton et
    al. 2015).
    """

    kind: ClassVar[str] = "softCrossEntropy"
    metric: ClassVar[str] = "likeliest"

    def misfits(self, out: TensorType) -> Iterator[str]:
        """Wants a last axis of classes."""
        yield from super().misfits(out)
        if out.rank < 1:
            yield (
                f"{self.kind} wants an output of [batch, .., classes], got {batched(out.shape)}; "
                "end the net in a layer that keeps these axes"
            )


@dataclass(frozen=True)
class Focal(ByClass):
    """-alpha_t (1 - p)^gamma log p, p = softmax(z)_t the probability of the target; the mean over tokens or pixels.

    `gamma` 0 is cross-entropy. `alpha`: nothing (1), one number for all classes, or one for each. Source: Lin et al.
    2017, eq. 5, for K classes.
    """

    kind: ClassVar[str] = "focal"
    gamma: float = 2.0
    alpha: tuple[float, ...] = ()

    def problems(self) -> Iterator[str]:
        """Options that no output could make right."""
        yield from _at_least_zero("focal: gamma", (self.gamma,))
        yield from _at_least_zero("focal: alpha", self.alpha)

    @property
    def per_class(self) -> tuple[float, ...]:
        """alpha, where it is not one number for all."""
        return self.alpha if len(self.alpha) > 1 else ()


@dataclass(frozen=True)
class BinaryCrossEntropy(Elementwise):
    """-(w t log s(z) + (1 - t) log(1 - s(z))), s the logistic function; the mean over all elements. Targets in [0, 1].

    w is `positive_weight`, as torch's pos_weight.
    """

    kind: ClassVar[str] = "binaryCrossEntropy"
    metric: ClassVar[str] = "side"
    positive_weight: float = 1.0

    def problems(self) -> Iterator[str]:
        """Options that no output could make right."""
        yield from _positive("binaryCrossEntropy: positive_weight", self.positive_weight)


@dataclass(frozen=True)
class MeanSquaredError(Elementwise):
    """(z - t)^2, the mean over all elements."""

    kind: ClassVar[str] = "meanSquaredError"
    scalable: ClassVar[bool] = True


@dataclass(frozen=True)
class Huber(Elementwise):
    """d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = z - t; the mean over all elements.

    Source: Huber 1964; torch's HuberLoss.
    """

    kind: ClassVar[str] = "huber"
    scalable: ClassVar[bool] = True
    delta: float = 1.0

    def problems(self) -> Iterator[str]:
        """Options that no output could make right."""
        yield from _positive("huber: delta", self.delta)


@dataclass(frozen=True)
class Dice(ByClass):
    """1 - mean_k (2 sum_p s_pk o_pk + epsilon) / (sum_p s_pk + sum_p o_pk + epsilon), s = softmax(z), o = one_hot(t).

    The sums are over the pixels p of one example; the output is [pixels.., K]. Source: the soft Dice coefficient of
    Milletari et al. 2016, section 3, with sums in place of sums of squares below (Drozdzal et al. 2016, section 3.2).
    """

    kind: ClassVar[str] = "dice"
    least_rank: ClassVar[int] = 2
    epsilon: float = 1.0

    def problems(self) -> Iterator[str]:
        """Options that no output could make right."""
        yield from _positive(f"{self.kind}: epsilon", self.epsilon)


@dataclass(frozen=True)
class DiceCrossEntropy(ByClass):
    """crossEntropy + `weight` dice, each as defined here. Source: Isensee et al. 2021 (nnU-Net), Methods."""

    kind: ClassVar[str] = "diceCrossEntropy"
    least_rank: ClassVar[int] = 2
    weight: float = 1.0
    epsilon: float = 1.0

    def problems(self) -> Iterator[str]:
        """Options that no output could make right."""
        yield from _at_least_zero(f"{self.kind}: weight", (self.weight,))
        yield from _positive(f"{self.kind}: epsilon", self.epsilon)

    @property
    def dice(self) -> Dice:
        """The second term's loss."""
        return Dice(self.epsilon)


@dataclass(frozen=True)
class Branching(Elementwise):
    """(1 / n) sum_i |z_i - a_i|^2 + (exp(s_i) - k_i s_i + k_i log k_i - k_i) + BCE(d_i, r_i), over n elements i.

    An output [slots, C + 2] holds in each slot C numbers z, the logarithm s of how many splits are to come, and the
    logit d of whether the element is to be deleted; its target in the same places an anchor a, the number k of splits,
    and r, 0 or 1. A slot without an element has k = -1, and no part in the sum; without any the loss is 0. s is taken
    between -100 and 11. Source: Billera et al. 2025 (Branching Flows, arXiv 2511.09465), whose code is
    MurrellGroup/BranchingFlows.jl, src/loss.jl: Bregman divergences, each with its minimum at the mean of its target.
    """

    kind: ClassVar[str] = "branching"

    def misfits(self, out: TensorType) -> Iterator[str]:
        """Wants slots of at least one number, a count and a logit."""
        yield from super().misfits(out)
        if out.rank != 2 or out.shape[1] < 3:
            yield (
                f"{self.kind} wants an output of [batch, slots, C + 2], numbers, splits and deletion of each element, "
                f"got {batched(out.shape)}; end in a layer that gives them"
            )


LOSSES: Vocabulary[type[Loss]] = Vocabulary("loss")
LOSSES.add("crossEntropy", CrossEntropy, "ce", "CrossEntropyLoss", "categorical_crossentropy")
LOSSES.add("softCrossEntropy", SoftCrossEntropy)
LOSSES.add("focal", Focal, "FocalLoss")
LOSSES.add("binaryCrossEntropy", BinaryCrossEntropy, "bce", "BCEWithLogitsLoss")
LOSSES.add("meanSquaredError", MeanSquaredError, "mse", "MSELoss")
LOSSES.add("huber", Huber, "HuberLoss")
LOSSES.hint("huber", "l1", "mae", "L1Loss", "smooth_l1", "SmoothL1Loss")
LOSSES.add("oneVersusRest", OneVersusRest, "BinaryCrossEntropyOfClasses")
LOSSES.add("dice", Dice, "DiceLoss")
LOSSES.add("diceCrossEntropy", DiceCrossEntropy, "DiceCELoss")
LOSSES.add("branching", Branching)


def _at_least_zero(what: str, values: Sequence[float]) -> Iterator[str]:
    for value in values:
        if not 0 <= value < math.inf:
            yield f"{what} wants numbers of at least 0, got {value}"
        elif value > LARGEST_NUMBER:
            yield f"{what} wants numbers of at most {LARGEST_NUMBER:g}, got {value}"


def _positive(what: str, value: float) -> Iterator[str]:
    if not 0 < value < math.inf:
        yield f"{what} wants a positive number, got {value}"
    elif not SMALLEST_NUMBER <= value <= LARGEST_NUMBER:
        yield f"{what} wants a number from {SMALLEST_NUMBER:g} to {LARGEST_NUMBER:g}, got {value}"
