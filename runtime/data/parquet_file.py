"""Parquet: tables of numbers or of image files, and images that lie in the file, as the hubs keep their data sets.

An image is a column of bytes, or of a struct {bytes, path}; the classes' names are those of the ClassLabel in the
schema's metadata, where there are any. A file is read a row group at a time, and the last groups are held. Needs the
extra `parquet`, pyarrow.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.netspec.errors import UserError
from netc.netspec.install import install_extra
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.encoded_images import Listed, Place, encoded_images
from netc.runtime.data.errors import DataError, refuse
from netc.runtime.data.table import OPTIONS as TABLE_OPTIONS
from netc.runtime.data.table import (
    TARGETS,
    Rows,
    dataset_of,
    numbered_words,
    part_of_name,
    place_of,
    refuse_numbers,
    roles_of,
)

OPTIONS = {name: TABLE_OPTIONS[name] for name in ("label", "drop")}
HELD = 512 << 20  # bytes of row groups that are held at least, besides the two that were read last
FEW = 20  # problems of a kind
BATCH = 1 << 14  # rows of a table that are read at a time


def load_parquet(
    path: Path, name: str, options: Mapping[str, str], *, whole: bool = False, floats: bool = False, skip: bool = False
) -> Dataset:
    """Return the data at `path`, a file or a folder of files (in it, or in `data/` in it).

    Files whose names begin with train, and val or test are the two parts; without these every fifth row is test, or,
    with `whole`, all are both. Targets are classes, or with `floats` numbers. With `skip` damaged images are left out.
    Raises `DataError`, and UserError without pyarrow.
    """
    files = files_at(path, name)
    with sentences(files[0]):
        schema = parquet().read_schema(files[0])
        images = [f.name for f in schema if _is_image(f.type)]
    dropped = {word for word in options.get("drop", "").split("+") if word}
    images = [column for column in images if column not in dropped]
    if not images:
        return _table(files, path, name, options, whole=whole, floats=floats, skip=skip)
    label, classes = _label(schema, options, images[0], files[0])
    examples, problems = list[Listed](), list[str]()
    for number, file in enumerate(files):
        try:
            examples.extend(_examples(file, number, label))
        except DataError as error:
            problems += error.problems
    if not skip:
        refuse(name, problems)
    return encoded_images(
        examples, files, ParquetReader(tuple(files), images[0]), name, path, classes=None if floats else classes,
        damage=problems, whole=whole, floats=floats, skip=skip,
    )  # fmt: skip


class ParquetReader:
    """Reads images of a column: a place is the file's number, the row group and the row in it."""

    blocks = True

    def __init__(self, files: tuple[Path, ...], column: str) -> None:
        self.files, self.column = files, column
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def read(self, place: Place) -> bytes:
        """Return an image's bytes; raises DataError."""
        file, group, row = place
        with self._lock:
            found = self._group(file, group)
        with sentences(self.files[file]):
            value = found[row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise DataError(
                f"{self.files[file]}: wants the image's bytes in {self.column}, got none in row {row}; add it"
            )
        return content

    def _group(self, file: int, group: int) -> Any:
        """The column of a row group; the last ones are held."""
        if (file, group) in self._held:
            self._held.move_to_end((file, group))
            return self._held[file, group]
        path = self.files[file]
        with sentences(path), parquet().ParquetFile(path) as opened:
            found = opened.read_row_group(group, columns=[self.column]).column(self.column)
        self._held[file, group] = found
        while len(self._held) > 2 and sum(column.nbytes for column in self._held.values()) > HELD:
            self._held.popitem(last=False)
        return found


def parquet() -> Any:
    """pyarrow.parquet; raises UserError without it."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise UserError(
            f"parquet: wants pyarrow, got none that can be imported ({error}); {install_extra('parquet')}"
        ) from error
    return pyarrow.parquet


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """What pyarrow raises on damaged files becomes a DataError."""
    parquet()
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: wants a Parquet file, got no such file; check the path") from error
    except (OSError, ValueError, LookupError, TypeError, MemoryError, OverflowError, pa.ArrowException) as error:
        said = str(error).partition("\n")[0][:200]
        raise DataError(
            f"{path}: wants an intact Parquet file, got {type(error).__name__}: {said}; write it again"
        ) from error


def files_at(path: Path, name: str) -> list[Path]:
    """The file itself, or the .parquet files in a folder or its folder data; raises DataError for none."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.parquet")) or sorted((path / "data").glob("*.parquet"))
    if not found:
        raise DataError(f"{name}: wants .parquet files in {path} or its folder data, got none; check the path")
    return found


def _is_image(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _label(schema: Any, options: Mapping[str, str], image: str, path: Path) -> tuple[str, tuple[str, ...] | None]:
    """The column of targets, and the names of its classes where the metadata has them."""
    features = _features(schema)
    names = [n for n in schema.names if n != image]
    if (given := options.get("label")) is not None:
        label = schema.names[place_of(schema.names, given, str(path))]
    else:
        folded = {n.casefold(): n for n in names}
        named = [n for n in names if features.get(n, {}).get("_type") == "ClassLabel"]
        found = [folded[word] for word in TARGETS if word in folded] or (named if len(named) == 1 else [])
        if not found:
            raise DataError(
                f"{path}: wants the column to learn, one of {', '.join(names) or 'none'}; give it by `,label=NAME`"
            )
        label = found[0]
    own = features.get(label, {}).get("names")
    known = isinstance(own, list) and own and all(isinstance(n, str) for n in own)
    return label, tuple(own) if known else None  # type: ignore[arg-type]


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """What the hub's library says of the columns."""
    try:
        held = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        found = held["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}


def _examples(path: Path, number: int, label: str) -> Iterator[Listed]:
    """Each row's image and target; raises DataError with the rows that lack one."""
    row, missing = 0, list[int]()
    with sentences(path), parquet().ParquetFile(path) as opened:
        for group in range(opened.num_row_groups):
            for place, target in enumerate(opened.read_row_group(group, columns=[label]).column(label).to_pylist()):
                if target is None or isinstance(target, dict | list):
                    missing.append(row)
                else:
                    yield Listed(f"{path.name}, row {row}", (number, group, place), str(target))
                row += 1
    refuse(str(path), [f"{path}, row {n}: wants one target in {label}, got none or several" for n in missing[:FEW]])


def _table(
    files: Sequence[Path], path: Path, name: str, options: Mapping[str, str], *, whole: bool, floats: bool, skip: bool
) -> Dataset:
    """A table of numbers, or of image files by their paths."""
    parts = [part_of_name(file) for file in files] if len(files) > 1 else [None]
    found = [_rows(file, options, floats=floats) for file in files]
    if any(rows.names != found[0].names for rows in found):
        raise DataError(f"{name}: wants the same columns in all files, got others; give files of one table")
    words = None if floats else tuple(dict.fromkeys(word for rows in found for word in rows.words or ()))
    targets = [rows.targets for rows in found]
    if words is not None:
        codes = {word: number for number, word in enumerate(words)}
        targets = [np.array([codes[w] for w in rows.words or ()], np.int32)[rows.targets] for rows in found]
        words, joined = numbered_words(words, np.concatenate(targets))
        targets = [joined]
    part = None
    if None not in parts:
        part = np.concatenate([np.full(len(rows), p, np.uint8) for rows, p in zip(found, parts, strict=True)])
    rows = Rows(
        found[0].names, found[0].roles, _joined([rows.inputs for rows in found]), np.concatenate(targets), words,
        [file for rows in found for file in rows.paths], part,
    )  # fmt: skip
    return dataset_of(rows, None, path if path.is_file() else path / "table", name, whole=whole, skip=skip)


def _joined(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The arrays behind each other; one alone is not copied."""
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _rows(path: Path, options: Mapping[str, str], *, floats: bool) -> Rows:
    """The rows of a file, read so many at a time: no more than these are held besides what becomes of them."""
    with sentences(path), parquet().ParquetFile(path) as opened:
        names, count = tuple(opened.schema_arrow.names), opened.metadata.num_rows
        if count == 0:
            raise DataError(f"{path}: wants at least one row, got none; add some")
        head = next(batch for batch in _batches(opened) if batch.num_rows)
        first = [str(head.column(i)[0].as_py()) for i in range(len(names))]
    roles = roles_of(names, first, options, str(path))
    inputs = _Numbers(path, names, roles.inputs, count)
    measured = _Numbers(path, names, roles.targets if floats else (), count)
    if len(roles.targets) > 1 and not floats:
        raise DataError(f"{path}: wants one column of classes, got {len(roles.targets)}; give `loss=bce` or `loss=mse`")
    codes, labels, paths, missing = dict[str, int](), np.zeros(count, np.int32), list[str](), -1
    with sentences(path), parquet().ParquetFile(path) as opened:
        at = 0
        for batch in _batches(opened):
            inputs.take(batch, at)
            measured.take(batch, at)
            if not floats:
                cells = batch.column(roles.targets[0]).to_pylist()
                if missing < 0 and None in cells:
                    missing = at + cells.index(None)
                labels[at : at + len(cells)] = [codes.setdefault(str(cell), len(codes)) for cell in cells]
            if roles.path is not None:
                paths += map(str, batch.column(roles.path).to_pylist())
            at += batch.num_rows
    refuse(str(path), [*inputs.problems, *measured.problems])
    if floats:
        return Rows(names, roles, inputs.out, measured.out, None, paths)
    column = names[roles.targets[0]]
    if missing >= 0:
        raise DataError(f"{path}, row {missing}, column {column}: wants a class, got a missing one; fill it in")
    refuse_numbers([*codes], column, str(path))
    words, targets = numbered_words([*codes], labels)
    return Rows(names, roles, inputs.out, targets, words, paths)


def _batches(opened: Any) -> Iterator[Any]:
    """The rows of a file, at most BATCH at a time, one row group after the other: pyarrow holds those begun."""
    for group in range(opened.num_row_groups):
        yield from opened.iter_batches(batch_size=BATCH, row_groups=[group])


class _Numbers:
    """Columns of numbers as float32 [N, F], filled a batch of rows at a time; what is none is told in `problems`."""

    def __init__(self, path: Path, names: Sequence[str], places: Sequence[int], count: int) -> None:
        self.path, self.names, self.places = path, names, places
        self.out = np.zeros((count, len(places)), np.float32)
        self.problems = list[str]()
        self._told: Counter[int] = Counter()  # problems of a column; FEW where it holds no numbers at all

    def take(self, batch: Any, at: int) -> None:
        """Take the rows of a batch, which begin at `at`."""
        for column, place in enumerate(self.places):
            if self._told[place] >= FEW:
                continue
            try:
                with sentences(self.path):
                    values = batch.column(place).cast("float64").to_numpy(zero_copy_only=False)
            except DataError:
                self._told[place] = FEW
                kind = batch.column(place).type
                self.problems.append(
                    f"{self.path}, column {self.names[place]}: wants numbers, got {kind}; leave it out by `,drop=NAME`"
                )
                continue
            finite = np.isfinite(values) & (np.abs(values) < np.finfo(np.float32).max)
            for row in np.flatnonzero(~finite)[: FEW - self._told[place]].tolist():
                got = "a missing one" if np.isnan(values[row]) else f"{values[row]:g}"
                self.problems.append(
                    f"{self.path}, row {at + row}, column {self.names[place]}: wants a number, got {got}; fill it in, "
                    "or leave the column out by `,drop=NAME`"
                )
                self._told[place] += 1
            self.out[at : at + len(values), column] = np.where(finite, values, 0)
