"""Weights & Biases: offline into the run's folder unless WANDB_MODE says online; `wandb sync` sends it later."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from netc.netspec.errors import UserError
from netc.runtime.files import write_whole
from netc.runtime.logs.log import Logged, LoggedRun, scalars
from netc.traces.schema import EvalRecord

MARK = "wandb-step"  # a file that holds the last step that was sent


class WandbRun:
    """A run of W&B's. One that goes on has the same id, and is sent the steps after the last that it was sent.

    These are, bit for bit, what it would have been sent without the stop. The id is of the folder's path.
    """

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        self.errors: tuple[type[Exception], ...] = (wandb.Error,)
        where = str(run.folder.absolute())
        settings = wandb.Settings(silent=True, console="off")
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        try:
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "netc"), name=run.name, dir=where, resume="allow",
                id=hashlib.sha256(where.encode()).hexdigest()[:16], mode=mode, config=dict(run.config),
                settings=settings,
            )  # fmt: skip
        except wandb.Error as error:
            raise UserError(f"`log=wandb` wants a run of W&B's, got: {error}; set WANDB_MODE=offline") from error
        self._mark = run.folder / MARK
        goes_on = bool(run.records) and self._mark.is_file()
        # the last step that was sent, and whether its evaluation was
        self._last = _pair(self._mark.read_text(encoding="utf-8")) if goes_on else (-1, 0)
        self._row: dict[str, float] = {}
        self._at = (-1, 0)
        self.write(run.records)

    def write(self, records: Sequence[Logged]) -> None:
        """Send the steps that are whole: W&B takes the numbers of one step together, and no step before its last."""
        before = self._last
        for record in records:
            if record.step > self._at[0]:
                self._send()
            at = record.step, int(isinstance(record, EvalRecord))
            if at > self._last:
                self._row |= scalars(record)
            self._at = max(self._at, at)
        if self._last > before:
            self._note()

    def _send(self) -> None:
        if self._row:
            self._run.log(self._row, step=self._at[0])
            self._last = self._at
        self._row = {}

    def _note(self) -> None:
        write_whole(self._mark, "{} {}\n".format(*self._last))

    def close(self) -> None:
        """Send the last step, and end it."""
        self._send()
        self._note()
        self._run.finish()


def _pair(text: str) -> tuple[int, int]:
    try:
        step, evaluated = text.split()
        return int(step), int(evaluated)
    except ValueError:  # the mark was altered: what W&B has of these steps it leaves as it is
        return -1, 0
