"""Reading a trace back."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netc.traces.errors import TraceError
from netc.traces.schema import EvalRecord, Header, Record, StepRecord, TimingRecord, from_line

TIMING = "timing.jsonl"
"""The name of the file of wall times beside a trace."""


@dataclass(frozen=True)
class Trace:
    """What one run did: its header, and its step and evaluation records in order of step."""

    header: Header
    steps: tuple[StepRecord, ...]
    evals: tuple[EvalRecord, ...]


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


def digest(path: Path) -> str:
    """The SHA-256 of a trace file as 64 hex digits: two runs that did the same have the same.

    Raises TraceError when the file cannot be read.
    """
    return hashlib.sha256(_bytes(path)).hexdigest()


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

    A trace is a header and then steps and evaluations; a timing file (`timing=True`) has timing records only.
    Steps increase strictly, except that an evaluation may share the step before it. `path` is for messages.

    Raises TraceError naming the file and the line.
    """
    order = Order(timing=timing)
    for number, line in enumerate(lines, start=1):
        try:
            record = from_line(line)
            order.admit(record)
        except TraceError as error:
            raise TraceError(f"{path}:{number}: {error}") from error
        yield number, record


def header_of(records: list[Record]) -> Header:
    """The header of records that `scan` let pass."""
    header = records[0]
    assert isinstance(header, Header)  # Order admits nothing else first
    return header


class Order:
    """Which record may follow which in one file; the reader and the writer hold themselves to it."""

    def __init__(self, *, timing: bool = False) -> None:
        self._wanted: tuple[type[Record], ...] = (TimingRecord,) if timing else (Header,)
        self._step = -1
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
                self._wanted = (StepRecord, EvalRecord)
            case EvalRecord(step=step):
                if step < self._step or step <= self._eval:
                    raise TraceError(
                        f"wants an evaluation after step {max(self._step, self._eval)}, got step {step};"
                        " a step is evaluated once, before the next"
                    )
                self._eval = step
            case StepRecord(step=step) | TimingRecord(step=step):
                if step <= max(self._step, self._eval):
                    raise TraceError(f"wants a step after {max(self._step, self._eval)}, got step {step}")
                self._step = step


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TraceError(f"{path}: wants a file that can be read, got: {error.strerror}") from error
