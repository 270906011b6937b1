"""The numbers of an epoch's steps on their way to the trace."""

from __future__ import annotations

import time
from typing import NamedTuple, Self

from netc.runtime.run.traced import AnyTrace
from netc.traces.schema import StepRecord, TimingRecord

WRITING = 0.25  # seconds between two writings of the trace


class StepDone(NamedTuple):
    """What a StepRecord is made of, in its order, and not yet checked: that is left to the writing, as the rest is."""

    step: int
    epoch: int
    loss: float
    lr: float
    grad_norm: float
    param_norm: float
    expert_most: float | None = None
    expert_least: float | None = None


class Ledger:
    """Takes the numbers of steps and writes their records a few times a second, and at the end.

    One by one they would cost a small net's step several times as much: the step's arithmetic has filled the caches.
    A killed process loses those since the last writing, which a resume would cut off: no checkpoint comes before it.
    """

    def __init__(self, trace: AnyTrace) -> None:
        self._trace, self._held, self._due = trace, list[tuple[StepDone, float, float]](), 0.0

    def add(self, done: StepDone, seconds: float, waited: float = 0.0) -> None:
        """Take a step's numbers, its wall time, and how long it waited for its batch."""
        self._held.append((done, seconds, waited))
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Hand all that was taken to the operating system."""
        held, self._held = self._held, []
        for done, seconds, waited in held:
            self._trace.write(StepRecord(*done))
            self._trace.write(TimingRecord(done.step, seconds, waited))
        self._due = time.monotonic() + WRITING

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.write()
        if error[0] is not None:
            self._trace.sync()
