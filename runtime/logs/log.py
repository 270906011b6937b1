"""What a log is, and what of a run's records it is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from netc.traces.schema import EvalRecord, StepRecord, TimingRecord

Logged = StepRecord | EvalRecord | TimingRecord

# what a record's fields are called in a log
NAMES: Mapping[type[Logged], Mapping[str, str]] = {
    StepRecord: {"loss": "train/loss", "lr": "train/lr", "grad_norm": "train/grad_norm",
                 "param_norm": "train/param_norm", "expert_most": "train/expert_most",
                 "expert_least": "train/expert_least"},
    EvalRecord: {"loss": "test/loss", "accuracy": "test/accuracy", "averaged_loss": "test/averaged_loss",
                 "averaged_accuracy": "test/averaged_accuracy"},
    TimingRecord: {"seconds": "time/step_seconds", "waited": "time/waited_seconds"},
}  # fmt: skip


@dataclass(frozen=True)
class LoggedRun:
    """A run that a log is opened for: its folder, its name, its run.json, and the records that stand in its trace.

    Those of a run that begins are none; of one that goes on, all up to the checkpoint.
    """

    folder: Path
    name: str
    config: Mapping[str, Any]
    records: Sequence[StepRecord | EvalRecord] = ()


class Log(Protocol):
    """Takes records in their order, a few at a time."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its package may raise besides Python's own errors."""

    def write(self, records: Sequence[Logged]) -> None:
        """Write them, so that a killed process loses none."""

    def close(self) -> None:
        """End it."""


def scalars(record: Logged) -> dict[str, float]:
    """The numbers of a record by the names that logs have for them, without those that are none."""
    found = {name: getattr(record, field, None) for field, name in NAMES[type(record)].items()}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def key(record: Logged) -> tuple[str, int]:
    """What two equal records of a run have in common: their kind and their step."""
    return record.kind, record.step
