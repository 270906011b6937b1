"""Recipe: how a net is trained. What of it shapes the program, and what only drives it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from netc.netspec.errors import SpecError
from netc.netspec.loss import CrossEntropy, Focal, Loss
from netc.netspec.types import LARGEST_NUMBER, SMALLEST_NUMBER


@dataclass(frozen=True)
class Adam:
    """m <- b1 m + (1-b1) g; v <- b2 v + (1-b2) g^2; p <- p - lr (m / c1) / (sqrt(v / c2) + epsilon).

    c_i is the same moving average of the constant 1, which is 1 - b_i^t exactly (no power, no cancellation).
    Decay: decoupled, p <- p - lr weight_decay p (AdamW, Loshchilov and Hutter 2019); else g <- g + weight_decay p
    (Kingma and Ba 2015 with L2).
    """

    kind: ClassVar[str] = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = True

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                yield f"adam: {name} wants a number in [0, 1), got {getattr(self, name)}"
        if not 0 < self.epsilon < math.inf:
            yield f"adam: epsilon wants a positive number, got {self.epsilon}"
        elif not SMALLEST_NUMBER <= self.epsilon <= LARGEST_NUMBER:
            yield f"adam: epsilon wants a number from {SMALLEST_NUMBER:g} to {LARGEST_NUMBER:g}, got {self.epsilon}"
        yield from _decay_problems(self.kind, self.weight_decay)


@dataclass(frozen=True)
class SGD:
    """u <- momentum u + g; p <- p - lr u, or p - lr (g + momentum u) with `nesterov`; g includes weight_decay p.

    Source: Sutskever et al. 2013, as torch.optim.SGD and optax.sgd write it (the rate outside the velocity).
    """

    kind: ClassVar[str] = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        if not 0 <= self.momentum < 1:
            yield f"sgd: momentum wants a number in [0, 1), got {self.momentum}"
        if self.nesterov and self.momentum == 0:
            yield "sgd: nesterov wants a momentum above 0, got 0"
        yield from _decay_problems(self.kind, self.weight_decay)


Optimizer = Adam | SGD
PRECISIONS = ("f32", "bf16")


def _decay_problems(kind: str, decay: float) -> Iterator[str]:
    if not 0 <= decay < math.inf:
        yield f"{kind}: weight_decay wants a number of at least 0, got {decay}"
    elif decay > LARGEST_NUMBER:
        yield f"{kind}: weight_decay wants a number of at most {LARGEST_NUMBER:g}, got {decay}"


@dataclass(frozen=True)
class Recipe:
    """What of the training shapes the program.

    `loss` says what the output is judged by and which targets that takes (netspec/loss.py). `decay_all`: weight decay
    also on biases and the scales of normalisations. `norms`: the step also returns the norms of all gradients and
    all parameters, which traces record. `precision`: what products of matrices and convolutions take, f32 or bf16;
    the state and all else is float32 either way (Micikevicius et al. 2018, without their scaling of the loss).
    `accumulate` N: the batch of a step passes in N equal parts, one after the other, whose gradients are added before
    the one update; the activations of one part are held at a time. `remat`: the backward pass computes each block
    again instead of reading what the forward pass computed inside it (Chen et al. 2016); the results are the same.
    `scan_blocks`: equal blocks in a row are one loop over their stacked parameters; the mathematics is the same, and
    so are the evaluator's results, while compilers may round otherwise. `check_labels`: examples, tokens or pixels
    whose class id is no class of the net are left out of the loss and its gradient, and counted.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    loss: Loss = field(default_factory=CrossEntropy)
    decay_all: bool = False
    norms: bool = True
    precision: str = "f32"
    accumulate: int = 1
    remat: bool = False
    scan_blocks: bool = False
    check_labels: bool = False

    def check(self) -> Recipe:
        """The recipe itself; raises SpecError with one sentence for each value out of range."""
        problems = [*self.optimizer.problems(), *self.loss.problems()]
        if self.precision not in PRECISIONS:
            problems.append(f"precision wants {' or '.join(PRECISIONS)}, got {self.precision!r}")
        if self.accumulate < 1:
            problems.append(f"accumulate wants a positive integer, got {self.accumulate}")
        if self.check_labels and not isinstance(self.loss, CrossEntropy | Focal):
            problems.append(
                f"check_labels wants a loss that judges each class id by itself, crossEntropy or focal, got "
                f"{self.loss.kind}; leave it out"
            )
        if problems:
            raise SpecError(tuple(problems))
        return self


@dataclass(frozen=True)
class TrainConfig:
    """How a run is driven: passes over the data, examples a step, and the learning rate over the steps.

    The rate rises linearly from 0 to `lr` over `warmup` epochs, then falls to `lr * final` along half a cosine
    (Loshchilov and Hutter 2017) or stays (`decay="constant"`).
    """

    epochs: int = 5
    batch: int = 128
    lr: float = 1e-3
    warmup: float = 0.0
    decay: str = "cosine"
    final: float = 0.0

    def check(self) -> TrainConfig:
        """The config itself; raises SpecError with one sentence for each value out of range."""
        problems = [
            f"{k} wants a positive integer, got {v}"
            for k, v in (("epochs", self.epochs), ("batch", self.batch))
            if v < 1
        ]
        if not 0 < self.lr < math.inf:
            problems.append(f"lr wants a positive number, got {self.lr}")
        if self.epochs >= 1 and not 0 <= self.warmup <= self.epochs:
            problems.append(f"warmup wants between 0 and {self.epochs} epochs, got {self.warmup}")
        if self.decay not in ("cosine", "constant"):
            problems.append(f"decay wants cosine or constant, got {self.decay!r}")
        if not 0 <= self.final <= 1:
            problems.append(f"final wants a fraction of lr from 0 to 1, got {self.final}")
        if problems:
            raise SpecError(tuple(problems))
        return self
