"""A column of text in Parquet files, each row a document: `parquet:PATH,text=COLUMN`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from netc.runtime.data.corpus import Pieces, surveyed
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.parquet_file import files_at, parquet, sentences
from netc.runtime.data.table import held_note, part_of_name
from netc.runtime.data.text import Reading, of_corpus

OPTION = "text"
ROWS = 256  # that are read at a time


@dataclass(frozen=True)
class Column:
    """The rows of a column of files, in their order."""

    paths: tuple[Path, ...]
    column: str

    def pieces(self) -> Pieces:
        """Each row as a document, an empty one where there is none; a line that ends in CR LF ends in LF."""
        for path in self.paths:
            with sentences(path), parquet().ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=ROWS, columns=[self.column]):
                    for value in batch.column(0).to_pylist():
                        yield (value or "").replace("\r\n", "\n"), True


def load_column(path: Path, name: str, options: Mapping[str, str], reading: Reading) -> Dataset:
    """The column that `text` in the options names, as a data set of text.

    Files with val or test as a word of their names are for the test; without such files the last tenth is. An
    evaluation of the whole takes those files alone. Raises DataError for a column that is none of text, and UserError
    without pyarrow.
    """
    files, column = files_at(path, name), options[OPTION]
    for file in files:
        with sentences(file):
            known = [f.name for f in parquet().read_schema(file) if str(f.type) in ("string", "large_string")]
        if column not in known:
            raise DataError(
                f"{file}: `text` wants one of its columns of text ({', '.join(known) or 'it has none'}), got "
                f"{column!r}; name such a one"
            )
    held = [file for file in files if part_of_name(file)]
    train = [file for file in files if file not in held]
    if not train and not reading.whole:
        raise DataError(f"{name} wants training files in addition to those for the test, got only {held[0].name}")
    apart = bool(train and held)
    cut = surveyed(Column(tuple(train), column)).characters if apart else 0
    reading = replace(reading, whole=reading.whole and not apart)
    found = of_corpus(Column((*train, *held), column), name, (str(path), "your own"), reading, cut)
    return replace(found, notes=(*found.notes, *held_note(held))) if apart else found
