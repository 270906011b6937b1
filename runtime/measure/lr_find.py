"""A range test of the learning rate: the loss while the rate rises from step to step (Smith 2017, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from netc.runtime.compare.replay import Replay
from netc.runtime.trainer import Trainer
from netc.runtime.weights.teacher import given_tensors

Stepped = Callable[[float, float], None]

MEMORY = 0.9  # of the smoothed loss, a step
WORSE = 4.0  # times the lowest smoothed loss: there the test ends
SETTLED = 10  # steps before it may end, and before the suggestion


@dataclass(frozen=True)
class Range:
    """What a range test found: the rate, the loss and the smoothed loss of each step, and a rate to train with.

    `steepest` is the rate at which the smoothed loss falls fastest over log(rate), the suggestion of fastai's finder;
    `lowest` that of the lowest smoothed loss, from which on training becomes unstable. None where there is no fall.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float | None
    lowest: float | None


def rates_between(low: float, high: float, steps: int) -> list[float]:
    """Rates in equal steps of their logarithm."""
    ratio = math.log(high / low) / (steps - 1)
    return [low * math.exp(ratio * i) for i in range(steps)]


def find_range(
    session: Trainer, replay: Replay, rates: list[float], stepped: Stepped = lambda rate, loss: None
) -> Range:
    """Train a step at each rate, from the training's first state and on its batches; nothing is written.

    Ends where the smoothed loss is WORSE times its lowest, or no number any more.
    """
    session.init(replay.config.seed)
    if given := given_tensors(replay.config, replay.start):
        session.restore(session.fetch() | given)
    seen: list[float] = []
    smoothed: list[float] = []
    moving, lowest = 0.0, math.inf
    for rate, step in zip(rates, _lasting(replay, len(rates)).steps(), strict=True):
        loss = float(session.train_step(step.x, step.y, rate)["loss"])
        if not math.isfinite(loss):
            break
        moving = MEMORY * moving + (1 - MEMORY) * loss
        even = moving / (1 - MEMORY ** (len(seen) + 1))
        seen.append(loss)
        smoothed.append(even)
        stepped(rate, loss)
        lowest = min(lowest, even)
        if len(seen) > SETTLED and even > WORSE * lowest:
            break
    steepest, least = suggestion(rates[: len(seen)], smoothed)
    return Range(tuple(rates[: len(seen)]), tuple(seen), tuple(smoothed), steepest, least)


def suggestion(rates: list[float], smoothed: list[float]) -> tuple[float | None, float | None]:
    """The rate of the steepest fall before the lowest loss, and that of the lowest loss."""
    if len(smoothed) <= SETTLED:
        return None, None
    least = int(np.argmin(smoothed))
    slopes = np.gradient(np.asarray(smoothed), np.log(np.asarray(rates)))[: least + 1]
    if least < 1 or slopes.min() >= 0:
        return None, None
    return rates[int(np.argmin(slopes))], rates[least]


def _lasting(replay: Replay, steps: int) -> Replay:
    """The same training, of so many steps."""
    training = replace(replay.config.training, epochs=-(-steps // replay.per_epoch), max_steps=steps)
    return replace(replay, config=replace(replay.config, training=training))
