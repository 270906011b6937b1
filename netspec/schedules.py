"""Schedules: how the learning rate falls after the warm-up. `SCHEDULES` is the vocabulary."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.vocabulary import Vocabulary


@dataclass(frozen=True)
class Schedule(ABC):
    """A schedule as a value: fields are its options. With it the rate is floor + (lr - floor) factor(t).

    t goes from 0, the end of the warm-up, to 1, the end of the run; floor is `lr * final`.
    """

    kind: ClassVar[str]

    @abstractmethod
    def factor(self, t: float) -> float:
        """What is left at t in [0, 1] of what the rate falls by: 1 is all of it."""

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option out of range."""
        return iter(())


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


SCHEDULES: Vocabulary[type[Schedule]] = Vocabulary("decay")
SCHEDULES.add("cosine", Cosine)
SCHEDULES.add("constant", Constant, "none")
