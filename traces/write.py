"""Writing a trace while a run goes on, and taking it up again after the run was killed."""

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from netc.traces.errors import TraceError
from netc.traces.line import to_line
from netc.traces.read import ALTERED, Order, scan, split_lines, timing_path
from netc.traces.schema import (
    CHANGEABLE,
    ChangeRecord,
    EvalRecord,
    Header,
    Record,
    SealRecord,
    StepRecord,
    TimingRecord,
    changed,
)

COMPUTED_BY = frozenset({"target", "module_sha256", "program_sha256", "versions"})
"""The fields of a header that say not what is computed, but by what."""

Accept = Mapping[str, Callable[[Any, Any], bool]]
"""For a field of the header: whether a run whose trace has the first value may go on with the second."""


class Seal(NamedTuple):
    """What a checkpoint binds a trace by: its bytes so far and their SHA-256."""

    bytes: int
    sha256: str


NOTHING = Seal(0, hashlib.sha256().hexdigest())


class TraceWriter:
    """Writes `trace.jsonl` at `path` and its sibling `timing.jsonl`, a line per record.

    Each record is with the operating system when `write` returns, so a killed process loses none; `sync` is
    for what must survive the machine. Links are not followed.

    `resume_from_step=None` starts a new trace, in a folder made if need be. `resume_from_step=s` takes up an
    existing one: the records of steps below `s` stay, those of step `s` and after are cut off, together with
    a half-written last line. With `seal`, that of the checkpoint, exactly those bytes stay, and must be the same. The
    bytes are then those of a run that never stopped, provided that step `s - 1` had been written when the checkpoint
    was made. `resume_from_step=0` keeps the header only (or, where there is no trace yet, starts one).

    A resumed trace must have the same header, but for fields that `accept` lets pass: a ChangeRecord says what they are
    from step `s` on, or, where no step is kept, a new header; `changes` are their names.

    Raises TraceError: a new trace where there is one already; a resumed one that is missing, damaged, lacks
    steps before `s`, or has another header (every field that differs is named).
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        resume_from_step: int | None = None,
        *,
        seal: Seal | None = None,
        accept: Accept | None = None,
    ) -> None:
        self.path = path
        self.timing_path = timing_path(path)
        self.changes: tuple[str, ...] = ()
        self.watch: Callable[[Record], None] | None = None  # gets each record that is written from here on
        if path == self.timing_path:
            raise TraceError(f"{path}: wants a name other than that of the wall times; call it trace.jsonl")
        if resume_from_step is not None and resume_from_step < 0:
            raise TraceError(f"resume_from_step wants 0 or more, or None, got {resume_from_step}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume_from_step is None:
            trace, timing = _absent(path), _absent(self.timing_path)
        else:
            # Both are read before either is cut: an error leaves the files as they were.
            trace = _kept_trace(path, resume_from_step, seal)
            self.changes = _differing(path, trace, header, accept or {})
            if self.changes and not resume_from_step:
                trace = _Kept()
            timing = _kept(self.timing_path, resume_from_step, timing=True)
        self._trace = _Stream(path, trace)
        self._timing = _Stream(self.timing_path, timing)
        if not trace.content:
            self._trace.write(header)
        elif self.changes:
            assert resume_from_step  # or the header would be new
            now = {name: getattr(header, name) for name in self.changes}
            self._trace.write(ChangeRecord(resume_from_step, now))

    @property
    def step(self) -> int:
        """The last step that was written, or -1."""
        return self._trace.order.step

    def write(self, record: StepRecord | EvalRecord | TimingRecord) -> None:
        """Append one record to the file that it belongs to.

        Raises TraceError when its step does not come after those written, and when the file cannot be
        written; half a line is taken back then.
        """
        stream = self._timing if isinstance(record, TimingRecord) else self._trace
        stream.write(record)
        if self.watch is not None:
            self.watch(record)

    def sync(self) -> Seal:
        """Force both files to the disk and return the trace's seal; call it before a checkpoint, which binds it."""
        if self._timing.unsealed:
            self._timing.write(SealRecord(self._timing.seal.sha256))
        self._trace.sync()
        self._timing.sync()
        return self._trace.seal

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
    """The part of a file that stays, and its records."""

    content: bytes = b""
    records: tuple[Record, ...] = ()


def _absent(path: Path) -> _Kept:
    if os.path.lexists(path):  # a link that leads nowhere too
        raise TraceError(f"{path}: wants a new file, got one that exists; resume it or use another folder")
    return _Kept()


def _content(path: Path) -> bytes:
    try:
        with os.fdopen(_open(path, os.O_RDONLY), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise TraceError(f"{path}: wants a file that can be read, got: {_said(error)}") from error


def _kept(path: Path, step: int, *, timing: bool = False) -> _Kept:
    # Lines after the cut are not parsed: they go, whatever they hold.
    lines = split_lines(_content(path))
    whole = [line for line in lines if line.endswith(b"\n")]
    records: list[Record] = []
    for _, record in scan(path, whole, timing=timing):
        if not isinstance(record, Header | SealRecord) and getattr(record, "step", -1) >= step:
            break
        records.append(record)
    # Each checkpoint seals the wall times above it. Where its seal is not the last line kept, a step was altered into a
    # later one, or the seal's own line lost its end.
    sealed = timing and step > 0 and any(b'"seal"' in line for line in lines)
    if sealed and not records:
        deque(scan(path, whole, timing=timing), maxlen=0)  # what is cut off all the same is as it was sealed
    elif sealed and not isinstance(records[-1], SealRecord):
        raise TraceError(f"{path}:{len(records)}: wants a seal after this line, got other records or none; {ALTERED}")
    return _Kept(b"".join(whole[: len(records)]), tuple(records))


def _kept_trace(path: Path, step: int, seal: Seal | None) -> _Kept:
    if seal is not None and step > 0:
        return _sealed(path, seal)
    kept = _kept(path, step)
    if not kept.records:
        if step > 0:
            raise TraceError(f"{path}: wants the trace of steps before {step}, got none; start from step 0")
        return kept
    steps = [record.step for record in kept.records if isinstance(record, StepRecord)]
    # A trace that has every step must have them up to the one resumed from. One that was thinned need not.
    if steps and steps[-1] - steps[0] == len(steps) - 1 and len(steps) > 1 and steps[-1] < step - 1:
        raise TraceError(
            f"{path}: wants every step before {step}, got them up to {steps[-1]};"
            f" resume from a checkpoint made at or before step {steps[-1]}"
        )
    return kept


def _sealed(path: Path, seal: Seal) -> _Kept:
    content = _content(path)[: seal.bytes]
    if (digest := hashlib.sha256(content).hexdigest()) != seal.sha256:
        got = digest[:12] if len(content) == seal.bytes else f"only {len(content)} bytes"
        raise TraceError(
            f"{path}: wants its first {seal.bytes} bytes to have SHA-256 {seal.sha256[:12]}, as the checkpoint says, "
            f"got {got}; the file was cut short or altered: put it back, or start another run from its weights by "
            "`init`"
        )
    return _Kept(content, tuple(record for _, record in scan(path, split_lines(content))))


def _differing(path: Path, kept: _Kept, header: Header, accept: Accept) -> tuple[str, ...]:
    """The fields in which `header` differs from the one in force; raises TraceError for one that may not."""
    if not kept.records:
        return ()
    theirs = kept.records[0]
    assert isinstance(theirs, Header)  # Order admits nothing else first
    for record in kept.records:
        if isinstance(record, ChangeRecord):
            theirs = changed(theirs, record.fields)
    pairs = {name: (getattr(theirs, name), getattr(header, name)) for name in header.kinds}
    names = [name for name, (there, here) in pairs.items() if there not in (here, "")]  # "": older than the field
    refused = [n for n in names if n not in CHANGEABLE or n not in accept or not accept[n](*pairs[n])]
    if refused:
        anyway = ", or go on all the same with `same_bits=False`" if set(refused) <= COMPUTED_BY else ""
        parts = (f"{name} ({pairs[name][0]} there, {pairs[name][1]} here)" for name in refused)
        raise TraceError(
            f"{path}:1: wants the header of the run that resumes, got one that differs in {', '.join(parts)};"
            f" resume with the same spec, data, recipe and versions, or start in another folder{anyway}"
        )
    return tuple(names)


def _open(path: Path, flags: int) -> int:
    """Open a regular file and nothing that it links to; a pipe without another end is not waited for."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "no regular file")
    return handle


def _said(error: OSError) -> str:
    return "a link; move it away" if error.errno == errno.ELOOP else str(error.strerror)


class _Stream:
    """One file, open for appending, that keeps its records in order and knows its digest."""

    def __init__(self, path: Path, kept: _Kept) -> None:
        self._path = path
        self.order = Order(timing=path == timing_path(path))
        for record in kept.records:
            self.order.admit(record)
        self._size, self._sha = len(kept.content), hashlib.sha256(kept.content)
        self._on_disk = -1  # what was kept may not be there yet
        self.unsealed = bool(kept.records) and not isinstance(kept.records[-1], SealRecord)
        try:
            self._file = os.fdopen(_open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab", buffering=0)
            self._file.truncate(self._size)
        except OSError as error:
            raise TraceError(f"{path}: wants a file that can be written, got: {_said(error)}") from error

    @property
    def seal(self) -> Seal:
        return Seal(self._size, self._sha.hexdigest())

    def write(self, record: Record) -> None:
        try:
            self.order.admit(record)
        except TraceError as error:
            raise TraceError(f"{self._path}: {error}") from error
        line = to_line(record)
        rest = memoryview(line)
        try:
            while rest:  # an unbuffered write may take only the first part
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._take_back()
            raise TraceError(
                f"{self._path}: cannot append a {record.kind} record: {error.strerror}; fix that and resume the run"
            ) from error
        self._size += len(line)
        self._sha.update(line)
        self.unsealed = not isinstance(record, SealRecord)

    def _take_back(self) -> None:
        try:
            self._file.truncate(self._size)
        except OSError:  # then a resume cuts it off
            return

    def sync(self) -> None:
        if self._on_disk != self._size:
            os.fsync(self._file.fileno())
            self._on_disk = self._size

    def close(self) -> None:
        self._file.close()
