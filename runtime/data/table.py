"""Tables: rows of numbers, or of image files, with targets. What their columns are, and the data set that they make.

A reader (csv_file.py, parquet_file.py) gives `Rows`; here they become a data set, whatever they were read from.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netc.netspec.augment import Augment
from netc.runtime.data.damaged import skipped_note
from netc.runtime.data.dataset import Columns, Dataset
from netc.runtime.data.errors import MOST_PROBLEMS, DataError, refuse
from netc.runtime.data.examples import Array, Examples, digest_of
from netc.runtime.data.folder import EVERY, FolderSplit
from netc.runtime.data.image_file import survey
from netc.runtime.data.kept import keep
from netc.runtime.data.layout import ENDINGS, TEST_FOLDERS, TRAIN_FOLDERS
from netc.runtime.data.split import Indices, Split

TARGETS = ("label", "class", "target", "y")
"""Names of the column that is to be learnt, in any case; without one it is the last column."""
PARTS = ("split", "part", "subset")
"""Names of the column that says which rows are for training and which for test, in any case."""
MOST_CLASSES = 65_536
SHOWN = 12  # names of columns in a note
COUNTED = 1 << 12  # rows at a time
FEWEST = 4  # rows below which an order says nothing

OPTIONS = {
    "label": "the column to learn, by name or by number from 0; several with + between for a loss of floats",
    "drop": "columns to leave out, with + between",
    "test": "the file with the rows to test on",
}


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are, by their places: `inputs` of numbers or a `path` of images; `part` if any."""

    inputs: tuple[int, ...]
    targets: tuple[int, ...]
    path: int | None = None
    part: int | None = None


@dataclass(frozen=True)
class Rows:
    """The rows of a table: `inputs` float32 [N, F], or `paths` of images, N of them.

    `targets` are int32 [N], numbers of `words`, or float32 [N, K] where `words` is None. `part` uint8 [N]: 1 is test;
    `unread` rows had another part. `lines` are the lines of the first row and so on, where a sentence needs one.
    """

    names: tuple[str, ...]
    roles: Roles
    inputs: npt.NDArray[np.float32]
    targets: Array
    words: tuple[str, ...] | None
    paths: Sequence[str] = ()
    part: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.targets)


def roles_of(names: Sequence[str], first: Sequence[str], options: Mapping[str, str], where: str) -> Roles:
    """What the columns are, by the options, the names, and the cells of the first row; raises DataError."""
    refuse_repeated(names, names, where)
    folded = [name.strip().casefold() for name in names]
    given = options.get("label")
    dropped = {place_of(names, word, where) for word in options.get("drop", "").split("+") if word}
    if given is not None:
        targets = tuple(place_of(names, word, where) for word in given.split("+"))
    else:
        left = [i for i, name in enumerate(folded) if name not in PARTS and i not in dropped]
        named = [i for word in TARGETS for i in left if folded[i] == word]
        targets = ((named or left[-1:] or [0])[0],)
    if both := dropped & {*targets}:
        raise DataError(f"{where}: `label` and `drop` want different columns, got {names[both.pop()]} in both")
    left = [i for i in range(len(names)) if i not in dropped and i not in targets]
    part = next((folded.index(word) for word in PARTS if word in folded and folded.index(word) in left), None)
    path = next((i for i in left if Path(first[i].strip()).suffix.lower() in ENDINGS), None)
    inputs = () if path is not None else tuple(i for i in left if i != part)
    if path is None and not inputs:
        raise DataError(
            f"{where}: wants columns of numbers, or one of image files, beside {names[targets[0]]}, got none; add them"
        )
    return Roles(inputs, targets, path, part)


def refuse_repeated(names: Sequence[str], used: Sequence[str], where: str) -> None:
    """Raise DataError where two columns have one name of those used, for a column is found by its name."""
    count = Counter(names)
    if twice := [name for name in dict.fromkeys(used) if count[name] > 1]:
        raise DataError(
            f"{where}: wants a different name for each column, got more than one {', '.join(twice[:20])}; rename"
        )


def place_of(names: Sequence[str], word: str, where: str) -> int:
    """The place of a column that is given by its name or number; raises DataError."""
    if word in names:
        return names.index(word)
    if word.lstrip("-").isdigit() and -len(names) <= int(word) < len(names):
        return int(word) % len(names)
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise DataError(f"{where}: wants one of its columns, {shown}, or a number up to {len(names) - 1}, got {word!r}")


def part_of(word: str) -> int | None:
    """The part that a cell says: 0 to train on, 1 and more to test on, the first of TEST_FOLDERS first; None else."""
    folded = word.strip().casefold()
    if folded in TRAIN_FOLDERS:
        return 0
    return 1 + TEST_FOLDERS.index(folded) if folded in TEST_FOLDERS else None


def part_of_name(path: Path) -> int | None:
    """The part that a word of a file's name says, the first such word, as `part_of` does: `train-00000.parquet`."""
    words = re.split(r"[^a-z]+", path.stem.casefold())
    return next((part for word in words if (part := part_of(word)) is not None), None)


def held_note(files: Sequence[Path]) -> tuple[str, ...]:
    """The sentence about files that are for the test by their names; none of none."""
    if not files:
        return ()
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return (f"held out for the test by their names: {', '.join(file.name for file in files[:SHOWN])}{more}",)


def numbered_words(words: Sequence[str], codes: npt.NDArray[np.int32]) -> tuple[tuple[str, ...], Array]:
    """Classes in their order, whole numbers by size and words by letter, and the number of each row among them."""
    whole = all(_whole(word) for word in words)
    order = sorted(range(len(words)), key=lambda i: (int(float(words[i])), "") if whole else (0, words[i]))
    places = np.empty(len(words), np.int32)
    places[order] = np.arange(len(words), dtype=np.int32)
    named = tuple(str(int(float(words[i]))) if whole else words[i] for i in order)
    if len({*named}) < len(named):  # 1 and 1.0
        unique = tuple(dict.fromkeys(named))
        again = np.array([unique.index(name) for name in named], np.int32)
        return unique, again[places[codes]]
    return named, places[codes]


def _whole(word: str) -> bool:
    try:
        return "_" not in word and float(word).is_integer() and abs(float(word)) < 1 << 53
    except (ValueError, OverflowError):
        return False


def refuse_numbers(words: Sequence[str], column: str, where: str) -> None:
    """Raise DataError for a column of numbers where classes are wanted."""
    if len(words) > MOST_CLASSES:
        raise DataError(
            f"{where}: wants at most {MOST_CLASSES:,} classes in {column}, got more; if it holds numbers to be "
            "predicted give `loss=mse`, else the right column by `,label=NAME`"
        )
    for word in words:
        try:
            fraction = not float(word).is_integer()
        except (ValueError, OverflowError):
            continue
        if fraction:
            raise DataError(
                f"{where}: wants classes in {column}, got the number {word}; give `loss=mse` to predict numbers, or "
                "the right column by `,label=NAME`"
            )


def dataset_of(rows: Rows, test: Rows | None, path: Path, name: str, *, whole: bool, skip: bool = False) -> Dataset:
    """The data set of a table's rows, which are divided as `test`, the part column or nobody says; raises DataError.

    Where nobody says, every fifth row is test, or, with `whole`, all rows are both parts, with the same digest. With
    `skip` damaged images are left out, with a note.
    """
    if test is not None:
        rows = _joined(rows, test, name)
    given = rows.part is not None
    if len(rows) == 0:
        raise DataError(f"{name}: wants at least one row, got none; add some")
    if rows.part is not None:
        chosen = rows.part[rows.part > 0].min() if (rows.part > 0).any() else 1
        train, held = np.flatnonzero(rows.part == 0), np.flatnonzero(rows.part == chosen)
    else:
        every = np.arange(len(rows))
        train, held = every[every % EVERY != EVERY - 1], every[EVERY - 1 :: EVERY]
    if not (whole and not given):
        for role, which in (("training", train), ("test", held)):
            if len(which) == 0:
                least = "" if given else f" (every {EVERY}th of {len(rows)})"
                raise DataError(f"{name}: wants rows of the {role} part, got none{least}; add some")
    make = _images if rows.roles.path is not None else _numbers
    pool, native, digest, train_digest, damage = make(rows, train, held, path, name, skip=skip)
    if whole and not given:
        train = held = np.arange(len(rows))
    if damage:  # setdiff1d sorts copies of all
        train, held = (np.setdiff1d(which, [*damage]) for which in (train, held))
    notes = (*_notes(rows, path, said=given or whole), *([skipped_note([*damage.values()])] if damage else ()))
    return Dataset(
        name, pool.part(train), pool.part(held), rows.words or (), digest, f"table {path}", "its owner's", Augment(),
        native, notes, train_digest,
        Columns(tuple(rows.names[i] for i in rows.roles.inputs), tuple(rows.names[i] for i in rows.roles.targets)),
    )  # fmt: skip


Made = tuple[Split | Examples, tuple[int, ...], str, str, dict[int, str]]
"""All rows as a split, an example's shape, the digests of both and of the training part, what is wrong with which."""


def _numbers(rows: Rows, train: Indices, test: Indices, path: Path, name: str, *, skip: bool) -> Made:
    classes = rows.words or ()
    pairs = [(rows.inputs[places], rows.targets[places]) for places in (train, test)]
    pool = Examples(rows.inputs, rows.targets, standardise=True)
    return pool, pool.shape, digest_of(classes, *pairs), digest_of(classes, pairs[0]), {}


def _images(rows: Rows, train: Indices, test: Indices, path: Path, name: str, *, skip: bool) -> Made:
    """Images in files that a table names, by paths from the table's folder; each is read once, as in a folder."""
    root, problems, shapes = path.resolve().parent, dict[int, str](), Counter[tuple[int, int, int]]()
    sha, so_far = hashlib.sha256(b"netc listed images 1"), list[str]()
    for role, places in (("train", train), ("test", test)):
        for place in places.tolist():
            target = rows.words[rows.targets[place]] if rows.words else rows.targets[place].tolist()
            try:
                digest, shape = survey(root / rows.paths[place])
            except DataError as error:
                problems[place] = str(error)
                if len(problems) == MOST_PROBLEMS and not skip:
                    refuse(name, [*problems.values()])
                continue
            shapes[shape] += 1
            sha.update(f"\0{role}\0{rows.paths[place]}\0{target}\0{digest}".encode("utf-8", "surrogateescape"))
        so_far.append(sha.hexdigest())
    if not skip or not shapes:
        refuse(name, [*problems.values()])
    (height, width, _), _ = shapes.most_common(1)[0]
    native = (height, width, max(channels for _, _, channels in shapes))
    return keep(FolderSplit(root, tuple(rows.paths), rows.targets, native)), native, so_far[1], so_far[0], problems


def _joined(rows: Rows, test: Rows, name: str) -> Rows:
    """The rows to train on and those to test on as one table; raises DataError for other columns."""
    if (rows.words is None) != (test.words is None):
        raise DataError(f"{name}: wants one kind of target in both files, got classes and numbers")
    words, codes = rows.words, [rows.targets, test.targets]
    if rows.words is not None and test.words is not None:
        words = (*rows.words, *(word for word in test.words if word not in rows.words))
        codes[1] = np.array([words.index(word) for word in test.words], np.int32)[test.targets]
    part = np.concatenate([np.zeros(len(rows), np.uint8), np.ones(len(test), np.uint8)])
    return Rows(
        rows.names, rows.roles, np.concatenate([rows.inputs, test.inputs]), np.concatenate(codes), words,
        [*rows.paths, *test.paths], part,
    )  # fmt: skip


def _notes(rows: Rows, path: Path, *, said: bool) -> tuple[str, ...]:
    targets, inputs = ([rows.names[i] for i in places] for places in (rows.roles.targets, rows.roles.inputs))
    more = f" and {len(inputs) - SHOWN:,} more" if len(inputs) > SHOWN else ""
    what = "image files" if rows.roles.path is not None else ", ".join(inputs[:SHOWN]) + more
    kind = "classes" if rows.words is not None else "numbers"
    told = [f"{path.name}: inputs: {what}; target: {', '.join(targets)} ({kind})"]
    told += [
        f"{name} of {path.name} only counts the rows; leave it out by `,drop={name}`"
        for name, column in zip(inputs, rows.inputs.T, strict=False)
        if _counts_rows(column)
    ]
    return tuple(told) if said else (*told, f"every {EVERY}th row of {path.name} is held out for the test")


def _counts_rows(column: Array) -> bool:
    """Whether a column is 0, 1, 2, .. or 1, 2, 3, .. in order, of more rows than would be so by chance."""
    if len(column) <= FEWEST or column[0] not in (0, 1):
        return False
    parts = range(0, len(column), COUNTED)  # the first one tells, and takes little memory
    return all(
        bool((column[start : start + COUNTED] == column[0] + np.arange(start, min(start + COUNTED, len(column)))).all())
        for start in parts
    )
