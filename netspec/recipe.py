"""Recipe: how a net is trained. What of it shapes the program, and what only drives it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from netc.netspec.averaging import Averaging
from netc.netspec.clipping import Clipping
from netc.netspec.distilling import Distilling
from netc.netspec.documents import Documents
from netc.netspec.erasing import Erasing
from netc.netspec.errors import SpecError
from netc.netspec.groups import THAWED, Groups
from netc.netspec.loss import CrossEntropy, Focal, Loss, OneVersusRest
from netc.netspec.mixing import Mixing
from netc.netspec.optimizers import SGD, Adam, Optimizer
from netc.netspec.process import Generation
from netc.netspec.regularisation import Regularisation
from netc.netspec.schedules import SCHEDULES, Schedule
from netc.netspec.vocabulary import option, option_parts_of, part
from netc.netspec.wrapping import Wrapping

__all__ = ["PRECISIONS", "SGD", "Adam", "Optimizer", "Recipe", "TrainConfig"]

PRECISIONS = ("f32", "bf16", "f64")
BEST_BY = "Metric by which the best checkpoint is chosen: accuracy, loss, top5, f1, .."


@dataclass(frozen=True)
class Recipe:
    """What of the training shapes the program.

    `loss` says what the output is judged by and which targets that takes (netspec/loss.py). `decay_all`: weight decay
    also on biases and the scales of normalisations. `norms`: the step also returns the norms of all gradients and
    all parameters, which traces record. `precision` bf16: products of matrices and convolutions take bf16, while the
    state and all else is float32 (Micikevicius et al. 2018, without their scaling of the loss); f64: the state and all
    that is computed is float64, and only data and metrics are float32.
    `accumulate` N: the batch of a step is split into N equal micro-batches, one after the other, whose gradients are
    added before the one update; the activations of one are held at a time. `remat`: the backward pass computes each
    block again instead of reading what the forward pass computed inside it (Chen et al. 2016); the results are the
    same. `remat_blocks`: only these blocks, by their paths or the beginnings of them. `scan_blocks`: equal blocks in a
    row are one loop over their stacked parameters; the mathematics is the same, and so are the evaluator's results,
    while compilers may round otherwise. `check_labels`: examples, tokens or pixels whose class id is no class of the
    net are left out of the loss and its gradient, and counted. `chunked_loss` N: logits and loss are computed N tokens
    at a time and not held for all (0: all at once); the results are the same.

    `sync_bn`: on several devices, batch norm takes the mean and variance of the examples of all.

    The other fields are parts: groups of options in a file each, whose names are words of `recipe_of` like those here.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    loss: Loss = field(default_factory=CrossEntropy)
    decay_all: bool = option(False, "Also decay biases and normalisation scales.")
    norms: bool = True
    precision: str = option(
        "f32", "bf16: matrix products and convolutions take bf16 inputs; f64: everything is float64.", later=True
    )
    accumulate: int = option(
        1, "Split each batch into N micro-batches and add their gradients, to save memory.", later=True
    )
    remat: bool = option(
        False, "Recompute blocks in the backward pass (checkpointing): less memory, more time.", later=True
    )
    remat_blocks: tuple[str, ...] = option(
        (), "Recompute only these blocks in the backward pass: stage1,stage2.block0.", later=True
    )
    scan_blocks: bool = option(
        False, "Compile equal blocks in a row as one loop: deep nets compile faster.", later=True
    )
    check_labels: bool = option(False, "Ignore labels that are not a class, and count them.", later=True)
    sync_bn: bool = option(False, "Compute batch norm over all devices' examples, not each device's own.", later=True)
    chunked_loss: int = option(
        0, "Compute logits and loss N tokens at a time, to save memory; 0: all at once.", later=True
    )
    clipping: Clipping = part(Clipping())  # noqa: RUF009  # frozen
    averaging: Averaging = part(Averaging())  # noqa: RUF009  # frozen
    groups: Groups = part(Groups())  # noqa: RUF009  # frozen
    mixing: Mixing = part(Mixing())  # noqa: RUF009  # frozen
    erasing: Erasing = part(Erasing())  # noqa: RUF009  # frozen
    wrapping: Wrapping = part(Wrapping())  # noqa: RUF009  # frozen
    regularisation: Regularisation = part(Regularisation())  # noqa: RUF009  # frozen
    generation: Generation = part(Generation())  # noqa: RUF009  # frozen
    distilling: Distilling = part(Distilling())  # noqa: RUF009  # frozen
    documents: Documents = part(Documents())  # noqa: RUF009  # frozen

    @property
    def draws(self) -> bool:
        """Whether a step draws what becomes of its examples, besides what the net draws."""
        return self.mixing.on or bool(self.erasing.random_erasing) or bool(self.generation.process)

    @property
    def recomputed(self) -> bool | tuple[str, ...]:
        """Which blocks the backward pass computes again: all, those within these paths, or none."""
        return self.remat or self.remat_blocks

    @property
    def without_remat(self) -> Recipe:
        """The same with no block computed again."""
        return replace(self, remat=False, remat_blocks=())

    @property
    def metric(self) -> str:
        """What of an output is right, a row of METRICS in codegen/losses.py: of a generative model nothing is."""
        return "nothing" if self.generation.process else self.loss.metric

    @property
    def untaught(self) -> Recipe:
        """The same without a teacher: evaluation and prediction have none."""
        return replace(self, distilling=Distilling())

    def check(self) -> Recipe:
        """The recipe itself; raises SpecError with one sentence for each value out of range."""
        problems = [*self.optimizer.problems(), *self.loss.problems()]
        others = {name: getattr(self, name) for name in ("chunked_loss", "check_labels", "scan_blocks")}
        others["process"] = self.generation.process
        problems += self.distilling.beside(self.loss, others)
        for name in option_parts_of(Recipe):
            problems += getattr(self, name).problems()
        if self.optimizer.averages:
            problems += self._averaged_twice()
        if self.precision not in PRECISIONS:
            problems.append(
                f"`precision` wants {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, got {self.precision!r}"
            )
        if type(self.accumulate) is not int or self.accumulate < 1:
            problems.append(f"`accumulate` wants a positive integer, got {self.accumulate!r}")
        if not isinstance(self.remat_blocks, tuple) or not all(isinstance(n, str) and n for n in self.remat_blocks):
            problems.append(f"`remat_blocks` wants names of blocks, as stage1,stage2.block0, got {self.remat_blocks!r}")
        elif self.remat and self.remat_blocks:
            problems.append("`remat` recomputes all blocks and `remat_blocks` some, got both; leave one of them out")
        if type(self.chunked_loss) is not int or self.chunked_loss < 0:
            problems.append(f"`chunked_loss` wants a number of tokens, or 0 for all at once, got {self.chunked_loss!r}")
        if self.chunked_loss and not isinstance(self.loss, CrossEntropy | Focal | OneVersusRest):
            problems.append(
                "`chunked_loss` wants a loss that judges each token by itself, crossEntropy, focal or oneVersusRest, "
                f"got {self.loss.kind}; leave it out"
            )
        if self.check_labels and not isinstance(self.loss, CrossEntropy | Focal | OneVersusRest):
            problems.append(
                "`check_labels` wants a loss that judges each class id by itself, crossEntropy, focal or "
                f"oneVersusRest, got {self.loss.kind}; leave it out"
            )
        problems += self._process_problems()
        if problems:
            raise SpecError(tuple(problems))
        return self

    def _averaged_twice(self) -> Iterator[str]:
        """What does not go with an optimizer whose weights are a mean over all steps."""
        named = f"got `optimizer={self.optimizer.kind}`, which averages them itself, and"
        for asked in (self.averaging.word and self.averaging.asked, self.wrapping.lookahead and "lookahead"):
            if asked:
                yield f"weights are averaged in one way, {named} `{asked}`; leave one out"
        if self.groups.thaw:
            yield f"a mean of the weights of all steps cannot start late, {named} `thaw` or `unfreeze`; leave one out"

    def _process_problems(self) -> Iterator[str]:
        """What does not go with the process of a generative model."""
        if self.generation.problems() or not (process := self.generation.chosen):
            return
        named, weights = f"`process={process.kind}`", getattr(self.loss, "weights", ())
        if not isinstance(self.loss, process.losses):
            wanted = " or ".join(cls.kind for cls in process.losses)
            yield f"{named} wants `loss={wanted}`, got {self.loss.kind}; leave `loss` out"
        elif self.loss != self.loss.evaluated or weights:
            yield f"{named} wants a loss without weights and smoothing, got some; leave them out"
        changed = {"mixup or cutmix": self.mixing.on, "random_erasing": self.erasing.random_erasing}
        changed |= {"check_labels": self.check_labels, "chunked_loss": self.chunked_loss}
        changed["document_mask"] = self.documents.document_mask
        yield from (f"{named} learns the data as it is, got {name}; leave it out" for name, on in changed.items() if on)


@dataclass(frozen=True)
class TrainConfig:
    """How a run is driven: passes over the data, examples a step, and the learning rate over the steps.

    The rate rises linearly from 0 to `lr` over `warmup` epochs, or `warmup_steps` steps, then falls to `lr * final` as
    `decay` says: a schedule of netspec/schedules.py, or its word. The run ends after `epochs`, or after `max_steps`
    where that is sooner, and the schedule with it. `lr_per_epoch`: the rate stays what it is at an epoch's first step,
    in the warm-up at its last. Evaluations are compared by `best_by`, a metric, or "" for the accuracy, or the loss
    where a loss knows no accuracy: after `patience` of them that are not better by `min_delta` the run ends.

    `swa_start_epoch` E and `unfreeze` NAME=E,.. say in epochs what a recipe's averages and `thaw` say in steps;
    netspec/epochs.py makes one of the other once the steps of an epoch are known.
    """

    epochs: int = 5
    batch: int = 128
    lr: float = 1e-3
    warmup: float = 0.0
    decay: Schedule | str = "cosine"
    final: float = 0.0
    warmup_steps: int = option(0, "Linear warmup, in steps instead of epochs.", later=True)
    max_steps: int = option(0, "Stop after N steps, where the schedule ends too; 0: after the epochs.", later=True)
    lr_per_epoch: bool = option(False, "Change the learning rate only between epochs.", later=True)
    best_by: str = option("", f"{BEST_BY}.", later=True)
    patience: int = option(0, "Stop after N evaluations in a row without improvement; 0: never.", later=True)
    min_delta: float = option(0.0, "Smallest improvement that counts.", later=True)
    swa_start_epoch: int = option(
        0, "Average the weights after each epoch, from this one on (1 is the second); 0 is off.", later=True
    )
    unfreeze: str = option("", "Layers that are frozen for some epochs: stem=3,stage1=2.", later=True)

    def __post_init__(self) -> None:
        if isinstance(self.decay, str) and (word := SCHEDULES.word(self.decay)):
            object.__setattr__(self, "decay", SCHEDULES[word]())

    @property
    def schedule(self) -> Schedule:
        """The schedule; raises UserError for a word that is none, which `check` refuses too."""
        return self.decay if isinstance(self.decay, Schedule) else SCHEDULES.find(self.decay)()

    def steps(self, per_epoch: int) -> int:
        """Steps of the whole run, with so many in an epoch."""
        steps = self.epochs * per_epoch
        return min(steps, self.max_steps) if self.max_steps else steps

    def warm_steps(self, per_epoch: int) -> int:
        """Steps of the warm-up."""
        return self.warmup_steps or round(self.warmup * per_epoch)

    def check(self) -> TrainConfig:
        """The config itself; raises SpecError with one sentence for each value out of range."""
        problems = [
            f"`{k}` wants a positive integer, got {v!r}"
            for k, v in (("epochs", self.epochs), ("batch", self.batch))
            if type(v) is not int or v < 1
        ]
        for name in ("warmup_steps", "max_steps", "patience", "swa_start_epoch"):
            if type(value := getattr(self, name)) is not int or value < 0:
                problems.append(f"`{name}` wants an integer of at least 0, got {value!r}")
        if self.warmup and self.warmup_steps:
            problems.append("`warmup` and `warmup_steps` say the same, got both; leave one out")
        if self.max_steps and self.warmup_steps > self.max_steps:
            problems.append(f"`warmup_steps` wants at most the {self.max_steps} steps of the run; give fewer")
        if self.unfreeze and not all(THAWED.fullmatch(entry.strip()) for entry in self.unfreeze.split(",")):
            problems.append(f"`unfreeze` wants layers, each with its epochs, as stem=3,stage1=2, got {self.unfreeze!r}")
        if not 0 <= self.min_delta < math.inf:
            problems.append(f"`min_delta` wants a number of at least 0, got {self.min_delta}")
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
