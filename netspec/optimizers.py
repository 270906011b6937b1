"""Optimizers: what each does. `OPTIMIZERS` is the vocabulary, and options and run.json come from its rows' fields.

The rule of each is in codegen/optim. `lr` is the rate of a step; what an optimizer keeps begins at 0.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from netc.netspec.types import LARGEST_NUMBER, SMALLEST_NUMBER
from netc.netspec.vocabulary import Vocabulary, option

DECAY = "Decoupled for adamw, nadamw, lion, lamb, muon, shampoo, adafactor and schedulefree, else L2."


class Optimizer(ABC):
    """An optimizer as a value, a frozen dataclass: its fields are its options, numbers and truth values.

    Its docstring is the update of one parameter p with the gradient g. `kind` is its name in run.json.
    """

    kind: ClassVar[str]
    schedule: ClassVar[str] = ""  # that its rate follows where a training states none, if it has one of its own
    averages: ClassVar[bool] = False  # whether the weights that it leaves are an average already
    weight_decay: float

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        if not 0 <= self.weight_decay < math.inf:
            yield f"{self.kind}: weight_decay wants a number of at least 0, got {self.weight_decay}"
        elif self.weight_decay > LARGEST_NUMBER:
            yield f"{self.kind}: weight_decay wants a number of at most {LARGEST_NUMBER:g}, got {self.weight_decay}"


def _shares(optimizer: Optimizer, *names: str) -> Iterator[str]:
    """Of these options, those outside [0, 1)."""
    for name in names:
        if not 0 <= (value := getattr(optimizer, name)) < 1:
            yield f"{optimizer.kind}: {name} wants a number in [0, 1), got {value}"


def _positive(optimizer: Optimizer, *names: str) -> Iterator[str]:
    """Of these options, those that are no positive numbers of float32."""
    for name in names:
        if not 0 < (value := getattr(optimizer, name)) < math.inf:
            yield f"{optimizer.kind}: {name} wants a positive number, got {value}"
        elif not SMALLEST_NUMBER <= value <= LARGEST_NUMBER:
            wanted = f"a number from {SMALLEST_NUMBER:g} to {LARGEST_NUMBER:g}"
            yield f"{optimizer.kind}: {name} wants {wanted}, got {value}"


def _bounded(optimizer: Optimizer, name: str) -> Iterator[str]:
    """This option, if it is below 0 or too large for float32."""
    if not 0 <= (value := getattr(optimizer, name)) <= LARGEST_NUMBER:
        yield f"{optimizer.kind}: {name} wants a number from 0 to {LARGEST_NUMBER:g}, got {value}"


@dataclass(frozen=True)
class Word:
    """What a word makes: `cls` with the fields in `says`, which are no options beside this word, and own `defaults`."""

    cls: type[Optimizer]
    says: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The options that go with the word, each with its default."""
        found = {f.name: f.default for f in fields(self.cls) if f.name not in self.says}  # type: ignore[arg-type]
        return found | dict(self.defaults)

    def make(self, given: Mapping[str, Any]) -> Optimizer:
        """The optimizer with these options."""
        return self.cls(**{**self.defaults, **given, **self.says})


@dataclass(frozen=True)
class Adam(Optimizer):
    """m <- b1 m + (1-b1) g; v <- b2 v + (1-b2) g^2; p <- p - lr (m / c1) / (sqrt(v / c2) + epsilon).

    c_i is the same moving average of the constant 1, which is 1 - b_i^t exactly (no power, no cancellation).
    Decay: decoupled, p <- p - lr weight_decay p (AdamW, Loshchilov and Hutter 2019); else g <- g + weight_decay p
    (Kingma and Ba 2015 with L2).
    """

    kind: ClassVar[str] = "adam"
    beta1: float = option(0.9, "Decay rate of the first moment.")
    beta2: float = option(0.999, "Decay rate of the second moment.")
    epsilon: float = option(1e-8, "Added to the root of the second moment.", flag="eps")
    weight_decay: float = option(0.0, DECAY)
    decoupled: bool = True

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _shares(self, "beta1", "beta2")
        yield from _positive(self, "epsilon")
        yield from super().problems()


@dataclass(frozen=True)
class SGD(Optimizer):
    """u <- momentum u + g; p <- p - lr u, or p - lr (g + momentum u) with `nesterov`; g includes weight_decay p.

    Source: Sutskever et al. 2013, as torch.optim.SGD and optax.sgd write it (the rate outside the velocity).
    """

    kind: ClassVar[str] = "sgd"
    momentum: float = option(0.9, "Momentum of the velocity.")
    nesterov: bool = option(False, "Use Nesterov momentum, which looks ahead along the velocity.")
    weight_decay: float = option(0.0, DECAY)

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        if not 0 <= self.momentum < 1:
            yield f"sgd: momentum wants a number in [0, 1), got {self.momentum}"
        if self.nesterov and self.momentum == 0:
            yield "sgd: nesterov wants a momentum above 0, got 0"
        yield from super().problems()


@dataclass(frozen=True)
class Lion(Optimizer):
    """p <- p - lr (sign(b1 m + (1-b1) g) + weight_decay p); m <- b2 m + (1-b2) g. Source: Chen et al. 2023."""

    kind: ClassVar[str] = "lion"
    beta1: float = option(0.9, "Decay rate of the first moment; of lion: the momentum's weight in the sign.")
    beta2: float = option(0.99, "Decay rate of the second moment; of lion: of the momentum.")
    weight_decay: float = option(0.0, DECAY)

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _shares(self, "beta1", "beta2")
        yield from super().problems()


@dataclass(frozen=True)
class NAdam(Adam):
    """Adam's m, v, c1, c2; p <- p - lr (b1 m / c1' + (1-b1) g / c1) / (sqrt(v / c2) + epsilon), c1' = b1 c1 + 1 - b1.

    c1' is the next step's c1. Decay as Adam's. Source: Dozat 2016, as optax.nadam writes it (a constant b1).
    """

    kind: ClassVar[str] = "nadam"


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """v <- a v + (1-a) g^2, which begins at `initial`; d = g / (sqrt(v) + epsilon); u <- momentum u + d; p <- p - lr u.

    `centered`: v less the square of g's own average (Graves 2013), at least 0. `inside`: d = g / sqrt(v + epsilon) and
    u <- momentum u + lr d; p <- p - u, as TensorFlow has it. g includes weight_decay p. Source: Tieleman and Hinton
    2012, as torch.optim.RMSprop and optax.rmsprop write it.
    """

    kind: ClassVar[str] = "rmsprop"
    alpha: float = option(0.99, "Decay rate of the squared gradients.")
    epsilon: float = option(1e-8, "Added to the root of the second moment.", flag="eps")
    momentum: float = option(0.0, "Momentum of the velocity.")
    centered: bool = option(False, "Divide by the gradients' standard deviation, not their root mean square.")
    initial: float = option(0.0, "Initial value of the squared gradients.", flag="initial-squares")
    inside: bool = option(False, "Epsilon inside the root and the rate inside the velocity, as TensorFlow has it.")
    weight_decay: float = option(0.0, DECAY)

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _shares(self, "alpha", "momentum")
        yield from _positive(self, "epsilon")
        yield from _bounded(self, "initial")
        yield from super().problems()


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s <- s + g^2, which begins at `initial`; p <- p - lr g / (sqrt(s) + epsilon); g includes weight_decay p.

    Source: Duchi et al. 2011, as torch.optim.Adagrad writes it.
    """

    kind: ClassVar[str] = "adagrad"
    epsilon: float = option(1e-10, "Added to the root of the second moment.", flag="eps")
    initial: float = option(0.0, "Initial value of the squared gradients.", flag="initial-squares")
    weight_decay: float = option(0.0, DECAY)

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _positive(self, "epsilon")
        yield from _bounded(self, "initial")
        yield from super().problems()


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """v <- r v + (1-r) g^2; d = g sqrt(w + epsilon) / sqrt(v + epsilon); w <- r w + (1-r) d^2; p <- p - lr d.

    g includes weight_decay p. The paper's lr is 1. Source: Zeiler 2012.
    """

    kind: ClassVar[str] = "adadelta"
    rho: float = option(0.9, "Decay rate of the squared gradients and steps.")
    epsilon: float = option(1e-6, "Added to the root of the second moment.", flag="eps")
    weight_decay: float = option(0.0, DECAY)

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _shares(self, "rho")
        yield from _positive(self, "epsilon")
        yield from super().problems()


@dataclass(frozen=True)
class Lamb(Optimizer):
    """Adam's m, v, c1, c2; r = (m / c1) / (sqrt(v / c2) + epsilon) + weight_decay p; p <- p - lr |p| / |r| r.

    The norms are over one parameter; |p| / |r| is 1 where either is 0. Source: You et al. 2020, algorithm 2.
    """

    kind: ClassVar[str] = "lamb"
    decoupled: ClassVar[bool] = True
    beta1: float = option(0.9, "Decay rate of the first moment.")
    beta2: float = option(0.999, "Decay rate of the second moment.")
    epsilon: float = option(1e-6, "Added to the root of the second moment.", flag="eps")
    weight_decay: float = option(0.01, DECAY)

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _shares(self, "beta1", "beta2")
        yield from _positive(self, "epsilon")
        yield from super().problems()


@dataclass(frozen=True)
class Muon(Optimizer):
    """m <- k m + (1-k) g; p <- p - lr 0.2 sqrt(max(rows, columns)) O(k m + (1-k) g), k the momentum; else AdamW.

    The first is the update of matrices: O(X) is near the nearest orthogonal matrix, by iterations of Newton and Schulz.
    A parameter of rank 2 or more is a matrix of its last axis and all others together: of a convolution's kernel the
    columns are channels out, the rows channels in at each place; with `dense_only` those of rank 2 alone are matrices.
    What has one row or column is none. The factor makes steps as long as AdamW's, so that one lr fits both. Decay is
    decoupled, p <- p - lr weight_decay p. Source: Jordan 2024; the factor: Liu et al. 2025.
    """

    kind: ClassVar[str] = "muon"
    momentum: float = option(0.95, "Momentum of the velocity.")
    beta1: float = option(0.9, "Decay rate of the first moment.")
    beta2: float = option(0.999, "Decay rate of the second moment.")
    epsilon: float = option(1e-8, "Added to the root of the second moment.", flag="eps")
    iterations: int = option(5, "Newton-Schulz iterations per step.")
    dense_only: bool = option(False, "Orthogonalise only matrices; convolution kernels use AdamW.")
    weight_decay: float = option(0.01, DECAY)

    def is_matrix(self, shape: tuple[int, ...]) -> bool:
        """Whether a parameter of this shape is updated as a matrix."""
        rows = math.prod(shape[:-1])
        return len(shape) >= 2 and min(rows, shape[-1]) > 1 and (len(shape) == 2 or not self.dense_only)

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _shares(self, "momentum", "beta1", "beta2")
        yield from _positive(self, "epsilon")
        if not 1 <= self.iterations <= 20:
            yield f"muon: iterations wants an integer from 1 to 20, got {self.iterations}"
        yield from super().problems()


@dataclass(frozen=True)
class Adafactor(Optimizer):
    """b = 1 - t^-fading; v <- b v + (1-b) (g^2 + epsilon); u = g / sqrt(v); p <- p - lr s u / max(1, rms(u) / h).

    h is `threshold`, s is max(rms(p), 1e-3), so that lr is relative, or 1 with `absolute`. Of a parameter whose two
    longest axes have `smallest` elements or more, the means of v over either of them are kept and not v: v is their
    product over the mean of both. Decay is decoupled. Source: Shazeer and Stern 2018, algorithms 4 and 5, without
    momentum, as optax.adafactor writes it.
    """

    kind: ClassVar[str] = "adafactor"
    epsilon: float = option(1e-30, "Added to the root of the second moment.", flag="eps")
    fading: float = option(0.8, "Exponent of the step in the decay of the averages.")
    threshold: float = option(1.0, "Root mean square above which an update is scaled down.")
    smallest: int = option(128, "Length of two axes from which only row and column sums are kept.")
    absolute: bool = option(False, "Use lr as it is, not relative to the parameter's size.")
    weight_decay: float = option(0.0, DECAY)

    def factored(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """The longest axis and the next, if rows and columns are kept of a parameter of this shape."""
        if len(shape) < 2:
            return None
        *_, next_, longest = sorted(range(len(shape)), key=shape.__getitem__)
        return (longest, next_) if shape[next_] >= self.smallest else None

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _positive(self, "epsilon", "threshold")
        if not 0 < self.fading <= 1:
            yield f"adafactor: fading wants a number above 0, at most 1, got {self.fading}"
        if self.smallest < 1:
            yield f"adafactor: smallest wants a positive integer, got {self.smallest}"
        yield from super().problems()


@dataclass(frozen=True)
class ScheduleFree(Optimizer):
    """Adam's v, c2; z <- z - lr (g / (sqrt(v / c2) + epsilon) + weight_decay y); p <- (1-c) p + c z.

    g is the gradient at y = (1-b1) z + b1 p; c is this step's share in the sum of all steps' squared rates, each the
    largest so far. So p, which is evaluated, is the mean of the z; d = z - p is what is kept. The rate is constant
    after a warm-up, unless a schedule is given. Source: Defazio et al. 2024, algorithm 1, as
    optax.contrib.schedule_free_adamw writes it.
    """

    kind: ClassVar[str] = "schedulefree"
    decoupled: ClassVar[bool] = True
    schedule: ClassVar[str] = "constant"
    averages: ClassVar[bool] = True
    beta1: float = option(0.9, "Share of the mean in the weights at which the gradient is taken.")
    beta2: float = option(0.999, "Decay rate of the second moment.")
    epsilon: float = option(1e-8, "Added to the root of the second moment.", flag="eps")
    weight_decay: float = option(0.0, DECAY)

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _shares(self, "beta1", "beta2")
        yield from _positive(self, "epsilon")
        yield from super().problems()


@dataclass(frozen=True)
class Shampoo(Optimizer):
    """p <- p - lr 0.2 sqrt(max(rows, columns)) L^-1/4 m / c1 R^-1/4, of matrices as Muon's; else AdamW.

    m <- b1 m + (1-b1) g; L <- b2 L + (1-b2) g gᵀ; R <- b2 R + (1-b2) gᵀ g. Before its root each is divided by c2, and
    `damping` times its trace is added to its diagonal. A side of more than `largest` rows or columns has no matrix, and
    the other's power is -1/2; with two such sides AdamW it is. The roots are `iterations` of a coupled Newton method.
    The factor makes steps as long as AdamW's. Decay is decoupled. Source: Gupta et al. 2018, algorithm 1, with averages
    and roots as Anil et al. 2020.
    """

    kind: ClassVar[str] = "shampoo"
    decoupled: ClassVar[bool] = True
    beta1: float = option(0.9, "Decay rate of the first moment.")
    beta2: float = option(0.999, "Decay rate of the second moment.")
    epsilon: float = option(1e-8, "Added to the root of the second moment.", flag="eps")
    damping: float = option(1e-6, "Added to a matrix's diagonal before its root, as a multiple of its trace.")
    root_iterations: int = option(20, "Newton iterations for each matrix root.")
    largest: int = option(256, "Rows or columns above which that side is not preconditioned.")
    weight_decay: float = option(0.01, DECAY)

    def sides(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """The sizes of L and R for a parameter of this shape, 0 for what it has not."""
        rows, columns = (math.prod(shape[:-1]), shape[-1]) if len(shape) >= 2 else (1, 1)
        if min(rows, columns) == 1:
            return 0, 0
        return rows if rows <= self.largest else 0, columns if columns <= self.largest else 0

    def problems(self) -> Iterator[str]:
        """One sentence for each value out of range."""
        yield from _shares(self, "beta1", "beta2")
        yield from _positive(self, "epsilon", "damping")
        if not 1 <= self.root_iterations <= 100:
            yield f"shampoo: root_iterations wants an integer from 1 to 100, got {self.root_iterations}"
        if self.largest < 2:
            yield f"shampoo: largest wants an integer of at least 2, got {self.largest}"
        yield from super().problems()


OPTIMIZERS: Vocabulary[Word] = Vocabulary("optimizer")
OPTIMIZERS.add("adam", Word(Adam, {"decoupled": False}))
OPTIMIZERS.add("adamw", Word(Adam, {"decoupled": True}, {"weight_decay": 0.01}))
OPTIMIZERS.add("sgd", Word(SGD))
OPTIMIZERS.add("lion", Word(Lion), "evolved-sign-momentum")
OPTIMIZERS.add("nadam", Word(NAdam, {"decoupled": False}), "nesterov-adam")
OPTIMIZERS.add("nadamw", Word(NAdam, {"decoupled": True}, {"weight_decay": 0.01}))
OPTIMIZERS.add("rmsprop", Word(RMSProp, {"inside": False}))
OPTIMIZERS.add("rmsprop-tf", Word(RMSProp, {"inside": True}, {"alpha": 0.9, "epsilon": 1e-10, "initial": 1.0}))
OPTIMIZERS.add("adagrad", Word(Adagrad))
OPTIMIZERS.add("adadelta", Word(Adadelta))
OPTIMIZERS.add("lamb", Word(Lamb))
OPTIMIZERS.add("muon", Word(Muon))
OPTIMIZERS.add("adafactor", Word(Adafactor))
OPTIMIZERS.add("shampoo", Word(Shampoo))
OPTIMIZERS.add("schedulefree", Word(ScheduleFree), "schedule-free-adamw")


def optimizer_kinds() -> dict[str, type[Optimizer]]:
    """The classes of all words, by the kinds that run.json names."""
    return {row.cls.kind: row.cls for row in OPTIMIZERS.values()}
