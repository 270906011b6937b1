"""Schedules: how the learning rate goes after the warm-up. `SCHEDULES` is the vocabulary.

Lengths are shares of what follows the warm-up: a fall every 30 of 90 epochs is `every` 1/3.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import ClassVar

from netc.netspec.vocabulary import Vocabulary, option


@dataclass(frozen=True)
class Schedule(ABC):
    """A schedule as a value: fields are its options. With it the rate is floor + (lr - floor) factor(t).

    t goes from 0, the end of the warm-up, to 1, the end of the run; floor is `lr * final`.
    """

    kind: ClassVar[str]
    own_warmup: ClassVar[bool] = False  # then no other is wanted where none is stated
    by_evaluation: ClassVar[bool] = False  # evaluations decide, so that a step's number alone does not say its rate

    @abstractmethod
    def factor(self, t: float) -> float:
        """What is left at t in [0, 1] of what the rate falls by: 1 is all of it."""

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        return iter(())

    def _outside(self, wanted: str, fits: Callable[[float], bool], *names: str) -> Iterator[str]:
        """A sentence for each of these options, or of all, that does not fit."""
        for name in names or tuple(f.name for f in fields(self)):
            if not fits(value := getattr(self, name)):
                yield f"{self.kind}: {name} wants {wanted}, got {value}"


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine, (1 + cos(pi t)) / 2 (Loshchilov and Hutter 2017)."""

    kind: ClassVar[str] = "cosine"

    def factor(self, t: float) -> float:
        """(1 + cos(pi t)) / 2."""
        return 0.5 * (1 + math.cos(math.pi * t))


@dataclass(frozen=True)
class Constant(Schedule):
    """The rate stays at lr."""

    kind: ClassVar[str] = "constant"

    def factor(self, t: float) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line, 1 - t."""

    kind: ClassVar[str] = "linear"

    def factor(self, t: float) -> float:
        """1 - t."""
        return 1 - t


@dataclass(frozen=True)
class Polynomial(Schedule):
    """(1 - t)^power: the "poly" rate of segmentation is power 0.9 (Chen et al. 2017)."""

    kind: ClassVar[str] = "polynomial"
    power: float = option(2.0, "Exponent of the remaining fraction of the run.")

    def factor(self, t: float) -> float:
        """(1 - t)^power."""
        return float((1 - t) ** self.power)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        return self._outside("a positive number", lambda v: 0 < v < math.inf)


@dataclass(frozen=True)
class Step(Schedule):
    """gamma^floor(t / every): times gamma after each `every`, a share of the run (He et al. 2016)."""

    kind: ClassVar[str] = "step"
    gamma: float = option(0.1, "Factor by which the rate drops.")
    every: float = option(1 / 3, "Interval between drops, as a fraction of the run.")

    def factor(self, t: float) -> float:
        """gamma^floor(t / every); t / every may be an integer but for its rounding."""
        return float(self.gamma ** math.floor(t / self.every + 1e-9))

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        return self._outside("a number above 0, at most 1", lambda v: 0 < v <= 1)


@dataclass(frozen=True)
class Exponential(Schedule):
    """left^t: the same share is lost in each step, and `left` is there at the end."""

    kind: ClassVar[str] = "exponential"
    left: float = option(0.01, "Final rate, as a fraction of the peak.")

    def factor(self, t: float) -> float:
        """left^t."""
        return float(self.left**t)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        return self._outside("a number above 0, at most 1", lambda v: 0 < v <= 1)


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Half a cosine `cycles` times, each `growth` times as long as the last (Loshchilov and Hutter 2017, SGDR)."""

    kind: ClassVar[str] = "cosine-restarts"
    cycles: int = option(4, "Number of cycles.")
    growth: float = option(1.0, "Length of each cycle relative to the one before.")

    @property
    def spans(self) -> tuple[tuple[float, float], ...]:
        """Where each cycle begins and ends, in t."""
        ends = [sum(self.growth**i for i in range(n)) for n in range(self.cycles + 1)]
        return tuple((a / ends[-1], b / ends[-1]) for a, b in pairwise(ends))

    def factor(self, t: float) -> float:
        """(1 + cos(pi u)) / 2 at the share u of the cycle that has gone."""
        begin, end = next(span for span in self.spans if t < span[1] or span[1] == 1)
        return 0.5 * (1 + math.cos(math.pi * (t - begin) / (end - begin)))

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        yield from self._outside("an integer from 1 to 1000", lambda v: 1 <= v <= 1000, "cycles")
        yield from self._outside("a number from 0.1 to 10", lambda v: 0.1 <= v <= 10, "growth")
        if self.growth != 1 and self.cycles > 30:
            yield f"cosine-restarts: cycles wants at most 30 if they grow, got {self.cycles}"


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """1 / sqrt(1 + t / timescale). With timescale warmup / (epochs - warmup) it is that of Vaswani et al. 2017."""

    kind: ClassVar[str] = "inverse-sqrt"
    timescale: float = option(0.1, "Time for the rate to fall to 0.7 of the peak, as a fraction of the run.")

    def factor(self, t: float) -> float:
        """1 / sqrt(1 + t / timescale)."""
        return 1 / math.sqrt(1 + t / self.timescale)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        return self._outside("a number from 1e-6 to 1e6", lambda v: 1e-6 <= v <= 1e6)


@dataclass(frozen=True)
class StableDecay(Schedule):
    """1, and in the last `fall` of the run a straight line to 0 (Zhai et al. 2022; Hu et al. 2024 call it WSD)."""

    kind: ClassVar[str] = "stable-decay"
    fall: float = option(0.2, "Length of the final decay, as a fraction of the run.")

    def factor(self, t: float) -> float:
        """min(1, (1 - t) / fall)."""
        return min(1.0, (1 - t) / self.fall)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        return self._outside("a number above 0, at most 1", lambda v: 0 < v <= 1)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a cosine up from `begins` to 1 in the first `rise` of the run, one down to `ends` (Smith and Topin 2019).

    It is its own warm-up. As torch.optim.lr_scheduler.OneCycleLR has it: begins 1 / 25, ends 1 / 250000.
    """

    kind: ClassVar[str] = "one-cycle"
    own_warmup: ClassVar[bool] = True
    rise: float = option(0.3, "Length of the rise, as a fraction of the run.")
    begins: float = option(0.04, "Initial rate, as a fraction of lr.", flag="begins-at")
    ends: float = option(4e-6, "Final rate, as a fraction of lr.", flag="ends-at")

    def factor(self, t: float) -> float:
        """Up to 1 at t = rise, and down."""
        low, u = (self.begins, t / self.rise - 1) if t < self.rise else (self.ends, (t - self.rise) / (1 - self.rise))
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * u))

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        yield from self._outside("a number between 0 and 1", lambda v: 0 < v < 1, "rise")
        yield from self._outside("a number from 0 to 1", lambda v: 0 <= v <= 1, "begins", "ends")


@dataclass(frozen=True)
class Plateau(Schedule):
    """Times gamma after `wait` evaluations in a row that are no better, down to the floor, as Keras counts them.

    Evaluations, not t, decide: they are compared as for `best`, by more than `min_delta`. torch's ReduceLROnPlateau
    with patience p falls at evaluation p + 1 that is no better: wait is p + 1.
    """

    kind: ClassVar[str] = "plateau"
    by_evaluation: ClassVar[bool] = True
    gamma: float = option(0.1, "Factor by which the rate drops.")
    wait: int = option(5, "Evaluations in a row without improvement before the rate drops.")

    def factor(self, t: float) -> float:
        """1: of time alone it does not fall."""
        return 1.0

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        yield from self._outside("a number above 0, below 1", lambda v: 0 < v < 1, "gamma")
        yield from self._outside("a positive integer", lambda v: v >= 1, "wait")


SCHEDULES: Vocabulary[type[Schedule]] = Vocabulary("decay")
SCHEDULES.add("cosine", Cosine)
SCHEDULES.add("constant", Constant, "none")
SCHEDULES.add("linear", Linear)
SCHEDULES.add("polynomial", Polynomial, "poly")
SCHEDULES.add("step", Step, "staircase")
SCHEDULES.add("exponential", Exponential, "exp")
SCHEDULES.add("cosine-restarts", CosineRestarts, "sgdr", "cosine-warm-restarts")
SCHEDULES.add("inverse-sqrt", InverseSqrt, "rsqrt", "inverse-square-root")
SCHEDULES.add("stable-decay", StableDecay, "wsd", "warmup-stable-decay", "trapezoidal")
SCHEDULES.add("one-cycle", OneCycle)
SCHEDULES.add("plateau", Plateau, "reduce-on-plateau", "reduce-lr-on-plateau")
