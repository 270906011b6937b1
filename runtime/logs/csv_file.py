"""`metrics.csv`: a row for each step that is logged and each evaluation, with the numbers that the trace has."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from netc.runtime.files import write_whole
from netc.runtime.logs.log import Logged, LoggedRun
from netc.traces.schema import EvalRecord, StepRecord, single_to_json

NAME = "metrics.csv"
STEP = ("epoch", "loss", "lr", "grad_norm", "param_norm")
TEST = ("loss", "accuracy", "averaged_loss", "averaged_accuracy")
HEAD = ("step", *STEP, *(f"test_{name}" for name in TEST))


class CsvFile:
    """The file. A run that goes on writes it anew up to its checkpoint: then it is as if nobody had stopped the run."""

    errors: tuple[type[Exception], ...] = ()

    def __init__(self, run: LoggedRun) -> None:
        path = run.folder / NAME
        write_whole(path, _text([HEAD, *_rows(run.records)]))
        self._file = path.open("a", encoding="ascii", newline="")

    def write(self, records: Sequence[Logged]) -> None:
        """Append their rows."""
        self._file.write(_text(_rows(records)))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows(records: Iterable[Logged]) -> Iterable[Sequence[object]]:
    for record in records:
        if isinstance(record, StepRecord):
            yield [record.step, *_numbers(record, STEP), *[""] * len(TEST)]
        elif isinstance(record, EvalRecord):
            yield [record.step, record.epoch, *[""] * (len(STEP) - 1), *_numbers(record, TEST)]


def _numbers(record: Logged, names: Sequence[str]) -> Iterable[object]:
    """As the trace has them: the shortest decimals of float32, and NaN and Infinity by their names."""
    for name in names:
        value = getattr(record, name)
        yield "" if value is None else value if isinstance(value, int) else single_to_json(value)


def _text(rows: Iterable[Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
