"""Writing a trace while a run goes on, and taking it up again after the run was killed."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from netc.traces.errors import TraceError
from netc.traces.read import Order, scan, split_lines, timing_path
from netc.traces.schema import EvalRecord, Header, Record, StepRecord, TimingRecord, to_line


class TraceWriter:
    """Writes `trace.jsonl` at `path` and its sibling `timing.jsonl`, a line per record.

    Each record is with the operating system when `write` returns, so a killed process loses none; `sync` is
    for what must survive the machine.

    `resume_from_step=None` starts a new trace, in a folder made if need be. `resume_from_step=s` takes up an
    existing one: the records of steps below `s` stay, those of step `s` and after are cut off, together with
    a half-written last line. The bytes are then those of a run that never stopped, provided that step
    `s - 1` and its evaluation had been written when the checkpoint was made. `resume_from_step=0` keeps
    the header only (or, where there is no trace yet, starts one).

    Raises TraceError: a new trace where there is one already; a resumed one that is missing, damaged, lacks
    steps before `s`, or has another header (every field that differs is named).
    """

    def __init__(self, path: Path, header: Header, resume_from_step: int | None = None) -> None:
        self.path = path
        self.timing_path = timing_path(path)
        if path == self.timing_path:
            raise TraceError(f"{path}: wants another name than that of the wall times; call it trace.jsonl")
        if resume_from_step is not None and resume_from_step < 0:
            raise TraceError(f"resume_from_step wants 0 or more, or None, got {resume_from_step}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume_from_step is None:
            trace, timing = _absent(path), _absent(self.timing_path)
        else:
            # Both are read before either is cut: an error leaves the files as they were.
            trace = _kept_trace(path, header, resume_from_step)
            timing = _kept(self.timing_path, resume_from_step, timing=True)
        self._trace = _Stream(path, trace)
        self._timing = _Stream(self.timing_path, timing)
        if trace.size == 0:
            self._trace.write(header)

    def write(self, record: StepRecord | EvalRecord | TimingRecord) -> None:
        """Append one record to the file that it belongs to.

        Raises TraceError when its step does not come after those written, and when the file cannot be
        written.
        """
        stream = self._timing if isinstance(record, TimingRecord) else self._trace
        stream.write(record)

    def sync(self) -> None:
        """Force both files to the disk; call it before a checkpoint, which must not be ahead of them."""
        self._trace.sync()
        self._timing.sync()

    def close(self) -> None:
        """Close both files. Closing twice is allowed."""
        self._trace.close()
        self._timing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Kept:
    """The part of a file that stays: its size in bytes, and its records."""

    size: int = 0
    records: tuple[Record, ...] = ()


def _absent(path: Path) -> _Kept:
    if path.exists():
        raise TraceError(f"{path}: wants a new file, got one that exists; resume it or use another folder")
    return _Kept()


def _kept(path: Path, step: int, *, timing: bool = False) -> _Kept:
    # Lines after the cut are not parsed: they go, whatever they hold.
    try:
        lines = split_lines(path.read_bytes())
    except FileNotFoundError:
        return _Kept()
    except OSError as error:
        raise TraceError(f"{path}: wants a file that can be read, got: {error.strerror}") from error
    whole = [line for line in lines if line.endswith(b"\n")]
    records: list[Record] = []
    for _, record in scan(path, whole, timing=timing):
        if isinstance(record, StepRecord | EvalRecord | TimingRecord) and record.step >= step:
            break
        records.append(record)
    return _Kept(sum(map(len, whole[: len(records)])), tuple(records))


def _kept_trace(path: Path, header: Header, step: int) -> _Kept:
    kept = _kept(path, step)
    if not kept.records:
        if step > 0:
            raise TraceError(f"{path}: wants the trace of steps before {step}, got none; start from step 0")
        return kept
    theirs = kept.records[0]
    if names := [name for name in header.kinds if getattr(header, name) != getattr(theirs, name)]:
        parts = (f"{name} ({getattr(theirs, name)} there, {getattr(header, name)} here)" for name in names)
        raise TraceError(
            f"{path}:1: wants the header of the run that resumes, got one that differs in {', '.join(parts)};"
            " resume with the same spec, data, recipe and versions, or start in another folder"
        )
    steps = [record.step for record in kept.records if isinstance(record, StepRecord)]
    # A trace that has every step must have them up to the one resumed from. One that was thinned need not.
    if steps and steps[-1] - steps[0] == len(steps) - 1 and len(steps) > 1 and steps[-1] < step - 1:
        raise TraceError(
            f"{path}: wants every step before {step}, got them up to {steps[-1]};"
            f" resume from a checkpoint made at or before step {steps[-1]}"
        )
    return kept


class _Stream:
    """One file, open for appending, that keeps its records in order."""

    def __init__(self, path: Path, kept: _Kept) -> None:
        self._path = path
        self._order = Order(timing=path == timing_path(path))
        for record in kept.records:
            self._order.admit(record)
        try:
            self._file = path.open("ab", buffering=0)
            self._file.truncate(kept.size)
        except OSError as error:
            raise TraceError(f"{path}: wants a file that can be written, got: {error.strerror}") from error

    def write(self, record: Record) -> None:
        try:
            self._order.admit(record)
        except TraceError as error:
            raise TraceError(f"{self._path}: {error}") from error
        line = memoryview(to_line(record))
        try:
            while line:  # an unbuffered write may take only the first part
                line = line[self._file.write(line) :]
        except OSError as error:
            raise TraceError(
                f"{self._path}: wants to append a {record.kind} record, got: {error.strerror};"
                " mend that and resume the run"
            ) from error

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
