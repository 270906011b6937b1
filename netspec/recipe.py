"""Recipe: how a net is trained. What of it shapes the program, and what only drives it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from netc.netspec.averaging import Averaging
from netc.netspec.clipping import Clipping
from netc.netspec.erasing import Erasing
from netc.netspec.errors import SpecError
from netc.netspec.loss import CrossEntropy, Focal, Loss
from netc.netspec.mixing import Mixing
from netc.netspec.optimizers import SGD, Adam, Optimizer
from netc.netspec.regularisation import Regularisation
from netc.netspec.schedules import SCHEDULES, Schedule
from netc.netspec.vocabulary import option, part, parts_of

__all__ = ["PRECISIONS", "SGD", "Adam", "Optimizer", "Recipe", "TrainConfig"]

PRECISIONS = ("f32", "bf16")


@dataclass(frozen=True)
class Recipe:
    """What of the training shapes the program.

    `loss` says what the output is judged by and which targets that takes (netspec/loss.py). `decay_all`: weight decay
    also on biases and the scales of normalisations. `norms`: the step also returns the norms of all gradients and
    all parameters, which traces record. `precision`: what products of matrices and convolutions take, f32 or bf16;
    the state and all else is float32 either way (Micikevicius et al. 2018, without their scaling of the loss).
    `accumulate` N: the batch of a step is split into N equal micro-batches, one after the other, whose gradients are
    added before the one update; the activations of one are held at a time. `remat`: the backward pass computes each
    block again instead of reading what the forward pass computed inside it (Chen et al. 2016); the results are the
    same. `scan_blocks`: equal blocks in a row are one loop over their stacked parameters; the mathematics is the same,
    and so are the evaluator's results, while compilers may round otherwise. `check_labels`: examples, tokens or pixels
    whose class id is no class of the net are left out of the loss and its gradient, and counted.

    The other fields are parts: groups of options in a file each, whose names are words of `recipe_of` like those here.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    loss: Loss = field(default_factory=CrossEntropy)
    decay_all: bool = option(False, "Decay biases and the scales of normalisations too.")
    norms: bool = True
    precision: str = option(
        "f32", "bf16: matrix products and convolutions take bf16 operands; weights stay float32.", later=True
    )
    accumulate: int = option(
        1, "Split each batch into N micro-batches and add their gradients: the memory of one of them.", later=True
    )
    remat: bool = option(
        False, "Recompute blocks in the backward pass (checkpointing): less memory, more time.", later=True
    )
    scan_blocks: bool = option(False, "Make equal blocks in a row one loop: deep nets compile faster.", later=True)
    check_labels: bool = option(False, "Leave labels that are no class out of the loss; count them.", later=True)
    clipping: Clipping = part(Clipping())  # noqa: RUF009  # frozen
    averaging: Averaging = part(Averaging())  # noqa: RUF009  # frozen
    mixing: Mixing = part(Mixing())  # noqa: RUF009
    erasing: Erasing = part(Erasing())  # noqa: RUF009
    regularisation: Regularisation = part(Regularisation())  # noqa: RUF009

    @property
    def draws(self) -> bool:
        """Whether a step draws what becomes of its examples, besides what the net draws."""
        return self.mixing.on or bool(self.erasing.random_erasing)

    def check(self) -> Recipe:
        """The recipe itself; raises SpecError with one sentence for each value out of range."""
        problems = [*self.optimizer.problems(), *self.loss.problems()]
        for name in parts_of(Recipe):
            problems += getattr(self, name).problems()
        if self.precision not in PRECISIONS:
            problems.append(f"`precision` wants {' or '.join(PRECISIONS)}, got {self.precision!r}")
        if type(self.accumulate) is not int or self.accumulate < 1:
            problems.append(f"`accumulate` wants a positive integer, got {self.accumulate!r}")
        if self.check_labels and not isinstance(self.loss, CrossEntropy | Focal):
            problems.append(
                f"`check_labels` wants a loss that judges each class id by itself, crossEntropy or focal, got "
                f"{self.loss.kind}; leave it out"
            )
        if problems:
            raise SpecError(tuple(problems))
        return self


@dataclass(frozen=True)
class TrainConfig:
    """How a run is driven: passes over the data, examples a step, and the learning rate over the steps.

    The rate rises linearly from 0 to `lr` over `warmup` epochs, then falls to `lr * final` as `decay` says: a schedule
    of netspec/schedules.py, or its word.
    """

    epochs: int = 5
    batch: int = 128
    lr: float = 1e-3
    warmup: float = 0.0
    decay: Schedule | str = "cosine"
    final: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.decay, str) and (word := SCHEDULES.word(self.decay)):
            object.__setattr__(self, "decay", SCHEDULES[word]())

    @property
    def schedule(self) -> Schedule:
        """The schedule; raises UserError for a word that is none, which `check` refuses too."""
        return self.decay if isinstance(self.decay, Schedule) else SCHEDULES.find(self.decay)()

    def check(self) -> TrainConfig:
        """The config itself; raises SpecError with one sentence for each value out of range."""
        problems = [
            f"`{k}` wants a positive integer, got {v!r}"
            for k, v in (("epochs", self.epochs), ("batch", self.batch))
            if type(v) is not int or v < 1
        ]
        if not 0 < self.lr < math.inf:
            problems.append(f"`lr` wants a positive number, got {self.lr}")
        if type(self.epochs) is int and self.epochs >= 1 and not 0 <= self.warmup <= self.epochs:
            problems.append(f"`warmup` wants between 0 and {self.epochs} epochs, got {self.warmup}")
        if isinstance(self.decay, Schedule):
            problems += self.decay.problems()
        else:
            problems.append(SCHEDULES.problem(self.decay))
        if not 0 <= self.final <= 1:
            problems.append(f"`final` wants a fraction of lr from 0 to 1, got {self.final}")
        if problems:
            raise SpecError(tuple(problems))
        return self
