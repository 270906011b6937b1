"""A run looked at again for its report: every metric that it has, and its worst mistakes as pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netc.netspec.errors import NetcError
from netc.reports.charts import Chart
from netc.reports.scatter import Pairs, scatter
from netc.runs import Run
from netc.runtime.cache.store import Cache
from netc.runtime.data.dataset import Dataset, of_images
from netc.runtime.data.thumbnail import png
from netc.runtime.evaluate import classes_of, open_session
from netc.runtime.metrics.measure import show
from netc.runtime.metrics.seen import CLASSES, NUMBERS, task_of
from netc.runtime.metrics.table import chosen_metrics
from netc.runtime.metrics.worst import Mistake, Worst
from netc.runtime.run.checkpoint import exists
from netc.runtime.run.config import normalise_of


@dataclass(frozen=True)
class Pictured:
    """A mistake in words, and its image as a data URI, empty where there is none."""

    index: int
    true: str
    said: str
    true_chance: float
    said_chance: float
    image: str = ""


@dataclass(frozen=True)
class Looked:
    """What an evaluation found on `count` examples; where it could not be made, `problem` says why."""

    checkpoint: str = ""
    count: int = 0
    loss: float = 0.0
    kind: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    mistakes: tuple[Pictured, ...] = ()
    scatter: Chart | None = None  # of a regression
    problem: str = ""


def looked_at(
    run: Run, checkpoint: str, target: str | None, data_dir: Path | None, mistakes: int, cache: Cache
) -> Looked:
    """Evaluate a checkpoint of a run on the test part of its own data; what stands in the way becomes `problem`.

    A run that has no `best` yet is looked at by its `last`.
    """
    config = run.config
    if checkpoint == "best" and not exists(run.folder / "best"):  # it was never evaluated
        checkpoint = "last"
    try:
        data = run.data_of(None, checkpoint, data_dir)
        trainer, saved = open_session(config, run.folder, checkpoint, target or config.target, cache)
        if saved.meta.get("data_sha256") != data.digest:
            return Looked(problem=f"{config.data} is not the data that the run was trained on: its digest differs")
        task = task_of(config.net, config.recipe.loss, classes_of(saved), len(data.test))
        tallies = {word: metric.tally(task) for word, metric in chosen_metrics("all", task).items()}
        worst = [Worst(task, mistakes)] if task.kind == CLASSES and mistakes else []
        pairs = [Pairs(task)] if task.kind == NUMBERS else []
        sums = np.zeros(3)
        shown = (*tallies.values(), *worst, *pairs)
        show(trainer, data.test, config.training.batch, normalise_of(saved), task, shown, sums=sums)
        names = tuple(task.name(i) for i in range(task.width))
        pictured = tuple(_pictured(m, data, names) for w in worst for m in w.mistakes)
    except NetcError as error:
        return Looked(problem=str(error))
    found = {word: tally.result() for word, tally in tallies.items()}
    drawn = scatter(pairs[0].found) if pairs else None
    return Looked(checkpoint, int(sums[2]), sums[0] / sums[2], task.kind, found, pictured, drawn)


def _pictured(m: Mistake, data: Dataset, names: tuple[str, ...]) -> Pictured:
    image = ""
    if of_images(data.test):
        pixels = data.test.images(np.array([m.index], np.int64))[0]
        image = "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
    return Pictured(m.index, names[m.true], names[m.said], m.true_chance, m.said_chance, image)
