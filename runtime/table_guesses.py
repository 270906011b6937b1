"""What a run that was trained on a table says of the rows of another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from netc.netspec.batch import Batch
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import eval_batches
from netc.runtime.data.csv_file import read_inputs
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import Array, Examples
from netc.runtime.evaluate import Guess, Unread, at_once, classes_of, columns_of, open_session
from netc.runtime.run.checkpoint import Checkpoint
from netc.runtime.run.config import RunConfig, normalise_of


def guess_rows(
    config: RunConfig,
    tables: Iterable[Path],
    folder: Path,
    which: str,
    target: str,
    cache: Cache,
    weights: str | None,
    saved: Checkpoint,
    batch: Batch | None = None,
) -> Iterator[Guess | Unread]:
    """What a run's checkpoint `saved` says of each row of the tables, in their order; an `Unread` for what is no table.

    A guess is named `FILE, line N`. Of a loss of floats it has the numbers of the columns that the net learnt.
    """
    columns, session = columns_of(saved), None
    for path in tables:
        try:
            x, lines = read_inputs(path, columns)
        except DataError as error:
            yield Unread(str(path), str(error))
            continue
        if session is None:
            session, _ = open_session(config, folder, which, target, cache, weights, saved, batch)
        classes, normalise, metric = classes_of(saved), normalise_of(saved), config.recipe.loss.metric
        rows = Examples(x, np.zeros(len(x), np.int32), standardise=bool(normalise.mean))
        each = at_once(config, batch)
        for start, some in enumerate(eval_batches(rows, batch=each, normalise=normalise)):
            out = normalise.target.undone(session.predict_part(some.x[some.weight > 0])).astype(np.float64)
            for line, row in zip(lines[start * each :], out, strict=False):
                yield _guess(f"{path}, line {line}", row, classes, columns.targets, metric)


def _guess(name: str, row: Array, classes: tuple[str, ...], targets: tuple[str, ...], metric: str) -> Guess:
    if metric == "nothing":
        return Guess(name, tuple(zip(targets, row.tolist(), strict=True)), measured=True)
    e = np.exp(row - row.max())
    chances = 1 / (1 + np.exp(-row)) if metric == "side" else e / e.sum()
    named = [*(classes or targets), *(f"class {k}" for k in range(len(classes or targets), len(row)))]
    return Guess(name, tuple((named[k], float(chances[k])) for k in np.argsort(-chances, kind="stable").tolist()))
