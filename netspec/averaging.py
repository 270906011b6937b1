"""Averaging: the mean of the weights that a training went through, kept beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from netc.netspec.vocabulary import option


@dataclass(frozen=True)
class Averaging:
    """At most one average a of the parameters and of the running statistics w, moved on after each step; 0 is none.

    `ema` d: a <- a + (1 - d) (w - a), an exponential moving average that begins as the weights after the first step, as
    torch's AveragedModel does. `ema_warmup`: after step t, counted from 0, d is min(ema, (1 + t) / (10 + t)), so that
    early weights are soon forgotten (TensorFlow's ExponentialMovingAverage with num_updates).
    `swa_start` s: a is w before step s; then the plain mean of the weights after every `swa_every`-th step from s on
    (stochastic weight averaging, Izmailov et al. 2018). Running statistics are averaged as the weights are: those of
    the last step belong to other weights.
    """

    ema: float = option(0.0, "Keep an exponential moving average of the weights with this decay; 0 is off.", later=True)
    ema_warmup: bool = option(False, "Warm up the decay: (1 + t) / (10 + t) at step t, at most ema.", later=True)
    swa_start: int = option(0, "Keep the mean of the weights from this step on; 0 is off.", later=True)
    swa_every: int = option(1, "Average the weights every N steps from swa_start on.", later=True)

    @property
    def word(self) -> str:
        """The average's name, `ema` or `swa`; empty if there is none."""
        return "ema" if self.ema else "swa" if self.swa_start else ""

    @property
    def asked(self) -> str:
        """The option that asks for it; empty if there is none."""
        return "ema" if self.ema else "swa_start" if self.swa_start else ""

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each value out of range, and for options that say nothing or contradict."""
        if not (0 <= self.ema < 1) or (self.ema and not math.isfinite(1 / (1 - self.ema))):
            yield f"`ema` wants a decay in [0, 1), where 0 turns it off, got {self.ema}"
        if self.ema_warmup and not self.ema:
            yield "`ema_warmup` belongs to `ema`, got no `ema`; give `ema=0.9999`, or leave it out"
        for name, least in (("swa_start", 0), ("swa_every", 1)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value < 1 << 31:
                yield f"`{name}` wants a number of steps of at least {least}, got {value!r}"
        if self.swa_every != 1 and not self.swa_start:
            yield "`swa_every` belongs to `swa_start`, got no `swa_start`; give `swa_start`, or leave it out"
        if self.ema and self.swa_start:
            yield "weights are averaged in one way, got `ema` and `swa_start`; leave one out"
