"""When and how the state of a run goes to its checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from netc.netspec.errors import NetcError
from netc.runtime.backends.protocol import Array
from netc.runtime.processes.group import ALONE, Together
from netc.runtime.run import checkpoint
from netc.runtime.run.checkpoint_manifest import described
from netc.runtime.run.config import Saving
from netc.runtime.run.pieces import Written
from netc.runtime.run.resume import Notice, kept, kept_name
from netc.runtime.run.standing import Standing
from netc.runtime.run.traced import AnyTrace
from netc.runtime.session import DTYPES
from netc.runtime.trainer import Trainer
from netc.traces.errors import TraceError
from netc.traces.write import NOTHING


class NonFiniteError(NetcError):
    """The loss became infinite or NaN; the last good checkpoint is kept."""


def diverged(folder: Path, what: str, value: float, *, data_is_broken: bool = False) -> NonFiniteError:
    """The error that says so, and whether it lies in the data."""
    if data_is_broken:
        return NonFiniteError(f"{what} is {value}: `x` holds NaN or infinity; leave such examples out, or fix them")
    return NonFiniteError(
        f"{what} is {value}; the checkpoint {folder / 'last'} is the last good one; "
        "try a lower `lr` or a longer `warmup`"
    )


@dataclass
class Counter:
    """Where a run stands: steps done, the best accuracy so far, the last, and whether the last epoch was evaluated.

    `lowest` is the lowest test loss so far, by which `best` is chosen where a loss knows no accuracy; `standing` is
    what patience, a plateau and other metrics need besides.
    `settled`: the state on the device is the one after `step` steps. Between two calls it always is.
    """

    step: int = 0
    best: float = -1.0
    last: float = 0.0
    evaluated: bool = True
    settled: bool = True
    lowest: float = math.inf
    standing: Standing = field(default_factory=Standing)


@dataclass
class Saver:
    """Writes the checkpoints of a run in `folder`; `meta` is what all of them say, `saved` the step of `last`.

    Of several processes the one that leads writes them, or, where each has its pieces of the state, all do.
    """

    folder: Path
    session: Trainer
    saving: Saving
    meta: Mapping[str, Any]
    together: Together = ALONE
    trace: AnyTrace | None = None
    saved: int | None = None
    _count: int = 0  # of the checkpoints that all wrote
    _look: int = 0  # the step at which all look at the clock of the one that leads, and how often they did
    _looks: int = 0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._since = time.monotonic()

    @property
    def in_pieces(self) -> bool:
        """Whether each of several processes has some of the state alone."""
        return self.together.part.count > 1 and self.session.program.sharding is not None

    def due(self, before: int, step: int) -> bool:
        """Whether `last` is to be written within an epoch, now that steps `before` to `step` were done."""
        every, minutes = self.saving.every, self.saving.minutes
        if every > 0 and before // every != step // every:
            return True
        if not minutes:
            return False
        if not self.in_pieces:
            return time.monotonic() - self._since >= 60 * minutes
        if step < self._look:
            return False
        self._looks += 1
        self._look = int(self.together.shared(f"look {self._looks}", lambda: str(self._next_look(step))))
        return self._look == step

    def _next_look(self, step: int) -> int:
        """The step at which all look again whether the leader's clock says that `last` is to be written; now, if it is.

        As late as the time that the steps so far took lets expect, but for as many steps more at most.
        """
        done, passed = max(step - (self.saved or 0), 1), time.monotonic() - self._since
        left = 60 * self.saving.minutes - passed
        return step + max(min(int(done * left / passed), done), 1) if left > 0 else step

    def last(self, counter: Counter) -> None:
        """Write `last`; the one that it replaces is kept if so many are wanted.

        Raises NonFiniteError, and leaves the one that was there, if a number of the state is not finite.
        """
        older = self.saving.keep > 1 and self.saved is not None and self.saved != counter.step
        self._write("last", counter, kept_name(self.saved) if older and self.saved is not None else "")
        self.saved, self._since = counter.step, time.monotonic()
        self.prune()

    def prune(self) -> None:
        """Remove the checkpoints before `last` that are too many."""
        for path in kept(self.folder)[self.saving.keep - 1 :] if self.together.leads else ():
            checkpoint.remove(path)

    def evaluated(self, counter: Counter, *, better: bool) -> None:
        """Note the evaluation of the state that `last` holds there, and write `best` if it is better.

        `best` comes first: a process that is killed between the two evaluates once more.
        """
        if better:
            self._write("best", counter)
        if self.saved == counter.step and self.together.leads:
            checkpoint.restate(self.folder, "last", self._meta(counter))
        elif self.saved != counter.step:
            self.last(counter)

    def _write(self, name: str, counter: Counter, older: str = "") -> None:
        if self.in_pieces:
            return self._write_pieces(name, counter, older)
        if not self.together.leads:  # the state is the same in all processes
            return
        state = self.session.fetch()
        if broken := _broken(state.items()):
            raise diverged(self.folder, f"{broken} after step {counter.step - 1}", float("nan"))
        checkpoint.save(self.folder, name, state, self._meta(counter), older=older)

    def _write_pieces(self, name: str, counter: Counter, older: str) -> None:
        """All write their pieces into one folder, which the leader then puts in its place.

        Nobody goes on before: the folder of the next checkpoint is begun when this one stands.
        """
        self._count += 1
        group, key = self.together, f"checkpoint {self._count}"
        new = Path(group.shared(key, lambda: str(checkpoint.begin(self.folder, name).absolute())))
        pieces = self.session.pieces()
        own = checkpoint.write_pieces(new, group.part.index, group.part.count, pieces)
        own = replace(own, broken=_broken((n, p.array) for n, of in pieces.items() for p in of))
        written = [Written.from_json(text) for text in group.gathered(f"{key} written", own.to_json())]
        broken = next((w.broken for w in written if w.broken), "")

        def bind() -> str:
            if broken:
                checkpoint.remove(new)
            else:
                slots = self.session.program.state
                tensors = [described(s.name, np.dtype(DTYPES[s.type.dtype]).name, s.type.shape) for s in slots]
                checkpoint.bind(new, name, written, tensors, self._meta(counter), older=older)
            return ""

        group.shared(f"{key} bound", bind)
        if broken:
            raise diverged(self.folder, f"{broken} after step {counter.step - 1}", float("nan"))

    def _meta(self, counter: Counter) -> dict[str, Any]:
        # a state before step 0 binds nothing of a trace
        seal = self.trace.sync() if self.trace and counter.step else NOTHING
        state: dict[str, Any] = {
            "step": counter.step,
            "best": counter.best,
            "last": counter.last,
            "evaluated": counter.evaluated,
        }
        if math.isfinite(counter.lowest):
            state["lowest_loss"] = counter.lowest
        if counter.standing != Standing():
            state["standing"] = asdict(counter.standing)
        return {**self.meta, **state, "trace": seal._asdict()}


def _broken(tensors: Iterable[tuple[str, Array]]) -> str:
    """The name of a tensor with a number that is not finite, or nothing."""
    return next((n for n, t in tensors if t.dtype.kind == "f" and not np.isfinite(t).all()), "")


@dataclass
class Rescue:
    """Around a run: an error that it did not expect costs no step that was done."""

    saver: Saver
    counter: Counter
    trace: AnyTrace
    noted: Notice

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        counter, saver = self.counter, self.saver
        if not isinstance(error, Exception) or isinstance(error, NonFiniteError) or not counter.step:
            return
        # the trace lacks steps if it was the writing of the trace that failed
        whole = counter.settled and self.trace.step == counter.step - 1
        if saver.saved != counter.step and whole and not saver.in_pieces:  # where it is, the others' are not to be had
            with suppress(NetcError, TraceError, OSError):  # the error that led here is the one to tell of
                saver.last(counter)
        if saver.saved is not None:
            self.noted(f"the state after step {saver.saved - 1} is saved; {saver.folder} can be resumed")
