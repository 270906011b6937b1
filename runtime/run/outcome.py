"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `interrupted`: before its end, after a checkpoint, by the signal of that number.

    `early`: its patience was at an end before its steps were. `waiting` is the part of the steps' time, 0 to 1, that
    was waiting for batches.
    """

    folder: Path
    steps: int
    accuracy: float
    best: float
    seconds: float
    interrupted: bool
    signal: int = 0
    early: bool = False
    waiting: float = 0.0
