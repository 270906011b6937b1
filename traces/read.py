"""Reading a trace back."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netc.traces.errors import TraceError
from netc.traces.files import read_regular
from netc.traces.line import from_line
from netc.traces.schema import (
    ChangeRecord,
    EvalRecord,
    Header,
    Record,
    SealRecord,
    StepRecord,
    TimingRecord,
    changed,
)

TIMING = "timing.jsonl"
"""The name of the file of wall times beside a trace."""


LARGEST = 1 << 30  # bytes of a trace; a step has about 150
SHORTEST = 24  # bytes of a line

ALTERED = "the file was altered: put it back, or move it away and go on without the wall times so far"


@dataclass(frozen=True)
class Trace:
    """What one run did: its header, and its step and evaluation records in order of step.

    `changes` say where it was continued as another run, on request.
    """

    header: Header
    steps: tuple[StepRecord, ...]
    evals: tuple[EvalRecord, ...]
    changes: tuple[ChangeRecord, ...] = ()

    @property
    def headers(self) -> tuple[Header, ...]:
        """The header, and what it became with each change."""
        found = [self.header]
        for change in self.changes:
            found.append(changed(found[-1], change.fields))
        return tuple(found)


def read(path: Path) -> Trace:
    """Read a whole `trace.jsonl`.

    Raises TraceError naming the file and the line: a file that cannot be read, a first line that is no
    header, a line that is damaged, cut short or out of order.
    """
    records = [record for _, record in scan(path, complete_lines(path))]
    if not records:
        raise TraceError(f"{path}: wants a header on line 1, got an empty file")
    return Trace(
        header=header_of(records),
        steps=tuple(record for record in records if isinstance(record, StepRecord)),
        evals=tuple(record for record in records if isinstance(record, EvalRecord)),
        changes=tuple(record for record in records if isinstance(record, ChangeRecord)),
    )


def read_timing(path: Path) -> tuple[TimingRecord, ...]:
    """Read the wall times of a run. `path` is the `timing.jsonl` itself.

    Raises TraceError as `read` does.
    """
    records = (record for _, record in scan(path, complete_lines(path), timing=True))
    return tuple(record for record in records if isinstance(record, TimingRecord))


def timing_path(path: Path) -> Path:
    """The file of wall times that belongs to the trace `path`: its sibling `timing.jsonl`."""
    return path.with_name(TIMING)


def complete_lines(path: Path) -> list[bytes]:
    """The lines of a file, each with its newline.

    Raises TraceError when the file cannot be read and when its last line has no newline: a writer was killed
    while writing it.
    """
    lines = split_lines(_bytes(path))
    if lines and not lines[-1].endswith(b"\n"):
        raise TraceError(
            f"{path}:{len(lines)}: wants a whole line, got one without its end, as a killed run leaves it;"
            " resume the run, or delete this line"
        )
    return lines


def split_lines(content: bytes) -> list[bytes]:
    """Split at newlines only, and keep them; only the last line may lack one."""
    *whole, rest = content.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def scan(path: Path, lines: list[bytes], *, timing: bool = False) -> Iterator[tuple[int, Record]]:
    """Parse lines one by one, as pairs of line number (from 1) and record, and check their order.

    A trace is a header and then steps, evaluations and changes; a timing file (`timing=True`) has timing records, and
    seals, which must be the digests of what is above them. Steps increase strictly, except that an evaluation may share
    the step before it. `path` is for messages.

    Raises TraceError naming the file and the line.
    """
    order, above = Order(timing=timing), hashlib.sha256()
    for number, line in enumerate(lines, start=1):
        try:
            record = from_line(line)
            order.admit(record)
        except TraceError as error:
            raise TraceError(f"{path}:{number}: {error}") from error
        if isinstance(record, SealRecord) and record.sha256 != above.hexdigest():
            raise TraceError(
                f"{path}:{number}: wants lines above it of SHA-256 {record.sha256[:12]}, got others; {ALTERED}"
            )
        above.update(line)
        yield number, record


def header_of(records: list[Record]) -> Header:
    """The header of records that `scan` let pass."""
    header = records[0]
    assert isinstance(header, Header)  # Order admits nothing else first
    return header


class Order:
    """Which record may follow which in one file; the reader and the writer hold themselves to it.

    `step` is the last step so far, -1 before the first.
    """

    def __init__(self, *, timing: bool = False) -> None:
        self._wanted: tuple[type[Record], ...] = (TimingRecord, SealRecord) if timing else (Header,)
        self.step = -1
        self._eval = -1

    def admit(self, record: Record) -> None:
        """Take `record` as the next one.

        Raises TraceError when it may not come here; it is then not taken.
        """
        if not isinstance(record, self._wanted):
            words = " or ".join(kind.kind for kind in self._wanted)
            raise TraceError(f"wants a record of kind {words} here, got {record.kind}")
        match record:
            case Header():
                self._wanted = (StepRecord, EvalRecord, ChangeRecord)
            case ChangeRecord(step=step):
                if step <= self.step:
                    raise TraceError(f"wants a change from a step after {self.step} on, got step {step}")
            case EvalRecord(step=step):
                if step < self.step or step <= self._eval:
                    raise TraceError(
                        f"wants an evaluation after step {max(self.step, self._eval)}, got step {step};"
                        " a step is evaluated once, before the next"
                    )
                self._eval = step
            case StepRecord(step=step) | TimingRecord(step=step):
                if step <= max(self.step, self._eval):
                    raise TraceError(f"wants a step after {max(self.step, self._eval)}, got step {step}")
                self.step = step


def _bytes(path: Path) -> bytes:
    try:
        content = read_regular(path, LARGEST)
        if content.count(b"\n") * SHORTEST > len(content):  # before each of them becomes an object
            raise TraceError(f"{path}: wants a record in each line, got lines too short for one; give a trace")
        return content
    except OSError as error:
        raise TraceError(f"{path}: wants a file that can be read, got: {error.strerror}; check the path") from error
