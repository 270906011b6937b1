"""Tables in text files, of comma-separated values and the like: read a row at a time into numbers of 4 bytes."""

from __future__ import annotations

import csv
import errno
import io
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.runtime.data.dataset import Columns, Dataset
from netc.runtime.data.errors import MOST_PROBLEMS, DataError, refuse
from netc.runtime.data.layout import ENDINGS
from netc.runtime.data.table import (
    MOST_CLASSES,
    Roles,
    Rows,
    dataset_of,
    numbered_words,
    part_of,
    refuse_numbers,
    refuse_repeated,
    roles_of,
)
from netc.runtime.files import opened

LARGEST = 1 << 40
LONGEST_LINE = 1 << 19  # characters
DELIMITERS = ",;\t|"
"""Of these the one that is most often in the first line is between the cells."""
LARGEST_FLOAT = float(np.finfo(np.float32).max)
FEW = 3  # sentences about one column
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-", "missing"))

HEADER = "yes or no: whether the first line has the names of the columns, where netc does not see it by itself"


def load_csv(
    path: Path, name: str, options: Mapping[str, str], *, whole: bool = False, floats: bool = False, skip: bool = False
) -> Dataset:
    """Return the table at `path`: columns of numbers, or one of image files, and a column of targets.

    Targets are classes, or with `floats` numbers. Image files are named from the table's folder. `options` are those of
    `OPTIONS`. Without a part to test on (a column `split`, or the option `test`) every fifth row is test; with `whole`
    all rows are both. With `skip` damaged images are left out. Raises DataError with every cell that is wrong, by its
    line and column.
    """
    rows = read_csv(path, options, floats=floats)
    test = (
        read_csv(Path(options["test"]).expanduser(), options, floats=floats, like=rows) if "test" in options else None
    )
    return dataset_of(rows, test, path, name, whole=whole, skip=skip)


def read_inputs(path: Path, columns: Columns) -> tuple[npt.NDArray[np.float32], Sequence[int]]:
    """The columns that a net takes, float32 [N, F], and the line of each row; other columns are passed over.

    They are found by their names; a table without names has them alone, in their order. Raises DataError.
    """
    with _reading(path) as reader:
        lines = iter(reader)
        first = next(lines, None)
        if first is None:
            raise DataError(f"{path}: wants a table, got no rows; add some")
        names = tuple(cell.strip() for cell in first)
        if absent := [name for name in columns.inputs if name not in names]:
            if len(names) != len(columns.inputs) or not all(map(_number, first)):
                raise DataError(
                    f"{path}: wants the columns that the net was trained on, got none of the name "
                    f"{', '.join(absent[:20])}; it has {', '.join(names[:20])}"
                )
            names, begun = columns.inputs, [first]
        else:
            begun = []
        refuse_repeated(names, columns.inputs, str(path))
        found = _Found(path, names, Roles(tuple(names.index(name) for name in columns.inputs), ()), floats=True)
        for row in chain(begun, lines):
            found.add(row, reader.line)
    return found.rows().inputs, found.lines


class _Reader:
    """The rows of an open file, with the number of the line that the last one ended in; blank ones are passed over."""

    def __init__(self, text: io.TextIOWrapper, path: Path) -> None:
        first = text.readline(LONGEST_LINE)
        text.seek(0)
        delimiter = max(DELIMITERS, key=first.count)
        self.rows = csv.reader(_lines(text, path), delimiter=delimiter)

    def __iter__(self) -> Iterator[list[str]]:
        return (row for row in self.rows if row)

    @property
    def line(self) -> int:
        return self.rows.line_num


def _lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """The lines; raises DataError for one whose cells would take much more memory than the file."""
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise DataError(
                f"{path}: wants lines of less than {LONGEST_LINE:,} characters, got a longer one; is it a table?"
            )
        yield line


@contextmanager
def _reading(path: Path) -> Iterator[_Reader]:
    """An open table; what cannot be read becomes a DataError."""
    try:
        with opened(path, LARGEST) as raw:
            yield _Reader(io.TextIOWrapper(raw, "utf-8-sig", newline=""), path)
    except OSError as error:
        got = "no such file; check the path" if error.errno == errno.ENOENT else f"{error.strerror}; check it"
        raise DataError(f"{path}: wants a table, got {got}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: wants a table in UTF-8, got byte {error.object[error.start]:#04x}; save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}: wants a table of comma-separated values, got one that is not ({error})") from error


def read_csv(path: Path, options: Mapping[str, str], *, floats: bool = False, like: Rows | None = None) -> Rows:
    """The rows of a table; with `like`, one of the same columns. Raises DataError with every cell that is wrong."""
    with _reading(path) as reader:
        lines = iter(reader)
        head = [next(lines, None), next(lines, None)]
        first, second = head
        if first is None:
            raise DataError(f"{path}: wants a table, got no rows; add some")
        named = _has_names(first, second, options.get("header", ""), path)
        names = tuple(cell.strip() for cell in first) if named else tuple(f"column {i}" for i in range(len(first)))
        if named and second is None:
            raise DataError(f"{path}: wants rows below the names of the columns, got none; add some")
        if like is not None and names != like.names:
            raise DataError(
                f"{path}: wants the columns of the other file, {', '.join(like.names[:20])}, got "
                f"{', '.join(names[:20])}; give one table in two files"
            )
        roles = (
            like.roles
            if like is not None
            else roles_of(names, (second if named else first) or first, options, str(path))
        )
        found = _Found(path, names, roles, floats=floats)
        begun = [row for row in (head[1:] if named else head) if row is not None]
        for row in begun:
            found.add(row, reader.line - (row is not begun[-1]))
        for row in lines:
            found.add(row, reader.line)
    return found.rows()


def _has_names(first: Sequence[str], second: Sequence[str] | None, said: str, path: Path) -> bool:
    """Whether the first row holds names: where a number stands below a word, or where it is nothing but words."""
    if said not in ("", "yes", "no"):
        raise DataError(f"{path}: `header` wants yes or no, got {said!r}")
    if said:
        return said == "yes"
    if second is not None and any(_number(b) and not _number(a) for a, b in zip(first, second, strict=False)):
        return not any(cell.strip().casefold() in MISSING for cell in first)
    return not any(_number(cell) or Path(cell.strip()).suffix.lower() in ENDINGS for cell in first)


def _number(cell: str) -> bool:
    """Whether a cell is a decimal number; 1_000, which Python takes for one, is none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


class _Found:
    """What has been read of a table."""

    def __init__(self, path: Path, names: tuple[str, ...], roles: Roles, *, floats: bool) -> None:
        self.path, self.names, self.roles, self.floats = path, names, roles, floats
        self.numbers, self.targets = array("f"), array("f" if floats else "i")
        self.words: dict[str, int] = {}
        self.paths: list[str] = []
        self.parts = array("B")
        self.problems: list[str] = []
        self.of_column: Counter[str] = Counter()
        self.lines = array("I")
        self.pick = _picker(roles.inputs)
        self.pick_targets = _picker(roles.targets)

    def add(self, row: list[str], line: int) -> None:
        """Take a row, which ends in that line."""
        if len(row) != len(self.names):
            self._wrong(line, f"wants {len(self.names)} cells, as the first line has, got {len(row)}; fix it")
            return
        roles = self.roles
        if roles.path is None and not self._numbers(row, roles.inputs, self.pick(row), self.numbers, line):
            return
        if roles.path is not None:
            self.paths.append(row[roles.path].strip())
        if roles.part is not None:
            part = part_of(row[roles.part])
            if part is None:
                self._wrong(line, f"wants train or test, got {row[roles.part]!r}; fix it", self.names[roles.part])
                return
            self.parts.append(part)
        if self.floats:
            if not self._numbers(row, roles.targets, self.pick_targets(row), self.targets, line):
                return
        else:
            self._word(row[roles.targets[0]].strip(), line)
        self.lines.append(line)

    def _numbers(self, row: list[str], places: tuple[int, ...], cells: Any, into: Any, line: int) -> bool:
        """Take a row's cells as numbers; whether they are all."""
        try:
            found = list(map(float, cells))
        except ValueError:
            found = [math.nan]
        # the sum is NaN where a cell is
        finite = sum(map(abs, found)) <= LARGEST_FLOAT or all(abs(value) <= LARGEST_FLOAT for value in found)
        if finite and "_" not in "".join(cells):
            into.extend(found)
            return True
        for place in places:
            if (problem := _no_number(row[place])) is not None:
                self._wrong(line, problem, self.names[place])
        return False

    def _word(self, word: str, line: int) -> None:
        if word.casefold() in MISSING and word != "-":
            self._wrong(line, "wants a class, got a missing one; fill it in", self.names[self.roles.targets[0]])
        if len(self.words) <= MOST_CLASSES:
            self.targets.append(self.words.setdefault(word, len(self.words)))

    def _wrong(self, line: int, what: str, column: str = "") -> None:
        self.of_column[column] += 1
        if self.of_column[column] <= FEW:  # a whole column is wrong more often than many columns
            self.problems.append(f"{self.path}, line {line}{f', column {column}' if column else ''}: {what}")
        if len(self.problems) == MOST_PROBLEMS:
            refuse(str(self.path), self.problems)

    def rows(self) -> Rows:
        """All of it; raises DataError for what is wrong."""
        for column, count in self.of_column.items():
            if count > FEW:
                self.problems.append(
                    f"{self.path}{f', column {column}' if column else ''}: {count - FEW:,} more like it"
                )
        refuse(str(self.path), self.problems)
        numbers = np.frombuffer(self.numbers, np.float32) if self.numbers else np.zeros(0, np.float32)
        inputs = numbers.reshape(len(self.lines), len(self.roles.inputs))
        part = np.frombuffer(self.parts, np.uint8) if self.parts else None
        if self.floats:
            found = np.frombuffer(self.targets, np.float32) if self.targets else np.zeros(0, np.float32)
            targets = found.reshape(len(self.lines), len(self.roles.targets))
            return Rows(self.names, self.roles, inputs, targets, None, self.paths, part)
        if len(self.roles.targets) > 1:
            raise DataError(
                f"{self.path}: wants one column of classes, got {len(self.roles.targets)}; several are targets of a "
                "loss of floats: give `loss=bce` or `loss=mse`"
            )
        refuse_numbers([*self.words], self.names[self.roles.targets[0]], str(self.path))
        words, codes = numbered_words([*self.words], np.frombuffer(self.targets, np.int32))
        return Rows(self.names, self.roles, inputs, codes, words, self.paths, part)


def _picker(places: tuple[int, ...]) -> Any:
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places) if places else lambda row: ()


def _no_number(cell: str) -> str | None:
    """Why a cell is no number, or None."""
    if cell.strip().casefold() in MISSING:
        return "wants a number, got a missing one; fill it in, or leave the column out by `,drop=NAME`"
    shown = cell if len(cell) <= 40 else f"{cell[:40]}.."
    if not _number(cell):
        return f"wants a number, got {shown!r}; fix it, or leave the column out by `,drop=NAME`"
    if not math.isfinite(float(cell)):
        return f"wants a finite number, got {shown!r}; fix it"
    return f"wants numbers up to 3.4e38, got {shown}; scale that column" if abs(float(cell)) > LARGEST_FLOAT else None
