"""The logs of a run: a thread hands them the records that the trace was given, so that no step waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any

from netc.netspec.errors import NetcError, UserError
from netc.runtime.logs.log import Log, Logged, LoggedRun
from netc.runtime.logs.table import LOGS
from netc.runtime.run.config import Logging
from netc.traces.read import read
from netc.traces.schema import EvalRecord, Record, StepRecord, TimingRecord

WAITING = 20_000  # records; a training that is faster than its logs waits for them then
FAULTS: tuple[type[Exception], ...] = (
    OSError, RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
    EOFError, ImportError, MemoryError,
)  # fmt: skip
TOGETHER = 500  # records that are written in one go


class Tee:
    """Takes the records of a run. A log that fails is left out from then on, which is said; the run goes on."""

    def __init__(self, logs: dict[str, Log], every: int, noted: Callable[[str], None]) -> None:
        self._logs, self._every, self._noted = logs, every, noted
        self._queue: Queue[Logged | None] = Queue(WAITING)
        self._said: list[str] = []
        self._thread = Thread(target=self._work, name="netc-logs", daemon=True)
        self._thread.start()

    def take(self, record: Record) -> None:
        """Take a record: an evaluation, and each step that is logged."""
        if isinstance(record, EvalRecord) or (
            isinstance(record, StepRecord | TimingRecord) and record.step % self._every == 0
        ):
            self._put(record)
        self._tell()

    def _put(self, record: Logged | None) -> None:
        while self._thread.is_alive():  # else it ended in an error that Python has printed
            try:
                return self._queue.put(record, timeout=1)
            except Full:
                continue

    def _work(self) -> None:
        ended = False
        while not ended:
            records = [self._queue.get()]
            while len(records) < TOGETHER and records[-1] is not None:
                try:
                    records.append(self._queue.get_nowait())
                except Empty:
                    break
            ended = records[-1] is None
            self._each(partial(_write, records=[r for r in records if r is not None]))

    def _each(self, act: Callable[[Log], None]) -> None:
        for word, log in list(self._logs.items()):
            faults: tuple[type[Exception], ...] = (*FAULTS, *log.errors)  # of others' packages: none may end a run
            try:
                act(log)
            except faults as error:
                del self._logs[word]
                said = f"{error}" or type(error).__name__
                self._said.append(f"{word} is no longer logged to, because it failed: {said}; the run continues")

    def _tell(self) -> None:
        while self._said:
            self._noted(self._said.pop(0))

    def close(self) -> None:
        """Write what is left, and end the logs."""
        self._put(None)
        self._thread.join()
        self._each(lambda log: log.close())
        self._tell()


def _write(log: Log, records: list[Logged]) -> None:
    log.write(records)


def _opened(words: Sequence[str], run: LoggedRun) -> dict[str, Log]:
    """The logs; where one cannot be opened, those that are open are closed."""
    logs: dict[str, Log] = {}
    for word in words:
        try:
            logs[word] = LOGS[word].opened(run)
        except Exception as error:
            for log in logs.values():
                with suppress(Exception):
                    log.close()
            if isinstance(error, NetcError | OSError):
                raise
            raise UserError(f"`log={word}` wants a log that can be opened, got: {error}; leave it out") from error
    return logs


@contextmanager
def logged(
    asked: Logging, folder: Path, config: dict[str, Any], noted: Callable[[str], None], *, resume: bool
) -> Iterator[Callable[[Record], None] | None]:
    """What takes the records of a run from here on, or None where nothing is logged.

    Of a run that goes on to be opened once the trace is: it has the records in its logs that its trace has. Raises
    UserError, or OSError, for a log that cannot be opened; of one that begins nothing else must be written before.
    """
    if not asked.to:
        yield None
        return
    records: list[StepRecord | EvalRecord] = []
    if resume:
        trace = read(folder / "trace.jsonl")
        records = [s for s in trace.steps if s.step % asked.every == 0]
        records = sorted([*records, *trace.evals], key=lambda r: (r.step, isinstance(r, EvalRecord)))
    run = LoggedRun(folder, folder.name, config, records)
    tee = Tee(_opened(asked.to, run), asked.every, noted)
    try:
        yield tee.take
    finally:
        tee.close()
