"""A run looked at again for its report: every metric that it has, and its worst mistakes as pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netc.netspec.errors import NetcError
from netc.reports.charts import Chart
from netc.reports.scatter import Pairs, scatter
from netc.runs import Run
from netc.runtime.cache.store import Cache
from netc.runtime.data.augment import Images
from netc.runtime.data.batches import Normalise
from netc.runtime.data.dataset import AnySplit, Dataset, of_images
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.thumbnail import LONGEST, png
from netc.runtime.data.windows import TextSplit
from netc.runtime.evaluate import classes_of, lengths_of, open_session
from netc.runtime.metrics.measure import show
from netc.runtime.metrics.seen import CLASSES, NUMBERS, PIXELS, TOKENS, Task, task_of
from netc.runtime.metrics.table import chosen_metrics
from netc.runtime.metrics.worst import Mistake, Worst
from netc.runtime.metrics.worst_examples import WorstExamples
from netc.runtime.palette import coloured, hexadecimal
from netc.runtime.run.checkpoint import exists
from netc.runtime.run.config import normalise_of
from netc.runtime.trainer import Trainer

BEFORE = 40  # tokens that stand before a mistake of a text
MOST_COLOURS = 40  # classes that the key of masks names


@dataclass(frozen=True)
class Pictured:
    """A mistake in words, and its image as a data URI, empty where there is none; of a text what stands before it."""

    index: int
    true: str
    said: str
    true_chance: float
    said_chance: float
    image: str = ""
    before: str = ""


@dataclass(frozen=True)
class Masked:
    """An image of a class for each pixel, and the part of its pixels that is wrong.

    `image` is a data URI: the image, the true mask and what was said, side by side.
    """

    index: int
    wrong: float
    image: str


@dataclass(frozen=True)
class Looked:
    """What an evaluation found on `count` examples; where it could not be made, `problem` says why."""

    checkpoint: str = ""
    count: int = 0
    loss: float = 0.0
    kind: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    mistakes: tuple[Pictured, ...] = ()
    masks: tuple[Masked, ...] = ()
    colours: tuple[tuple[str, str], ...] = ()  # of the classes in the masks: a name, `#d92626`
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
        task = task_of(config.net, config.recipe.loss, classes_of(saved), len(data.test), lengths_of(data))
        tallies = {word: metric.tally(task) for word, metric in chosen_metrics("all", task).items()}
        worst = [Worst(task, mistakes)] if task.kind in (CLASSES, TOKENS) and mistakes else []
        of_masks = [WorstExamples(task, mistakes)] if task.kind == PIXELS and mistakes else []
        pairs = [Pairs(task)] if task.kind == NUMBERS else []
        sums = np.zeros(3)
        shown = (*tallies.values(), *worst, *of_masks, *pairs)
        show(trainer, data.test, config.training.batch, normalise_of(saved), task, shown, sums=sums)
        names = tuple(task.name(i) for i in range(task.width))
        pictured = tuple(_pictured(m, data, names, task) for w in worst for m in w.mistakes)
        batch, levels = config.training.batch, normalise_of(saved)
        masks = tuple(mask for each in of_masks for mask in _masked(each.worst, trainer, data.test, levels, batch))
    except NetcError as error:
        return Looked(problem=str(error))
    found = {word: tally.result() for word, tally in tallies.items()}
    drawn = scatter(pairs[0].found) if pairs else None
    colours = tuple((name, hexadecimal(i)) for i, name in enumerate(names[:MOST_COLOURS])) if masks else ()
    return Looked(checkpoint, int(sums[2]), sums[0] / sums[2], task.kind, found, pictured, masks, colours, drawn)


def _pictured(m: Mistake, data: Dataset, names: tuple[str, ...], task: Task) -> Pictured:
    image = before = ""
    if of_images(data.test):
        image = _uri(data.test.images(np.array([m.index], np.int64))[0])
    elif isinstance(data.test, TextSplit):
        example, place = divmod(m.index, task.places)
        tokens = data.test.windows(np.array([example], np.int64))[0][0]
        before = "".join(names[i] for i in tokens[max(0, place - BEFORE) : place + 1].tolist())
    return Pictured(m.index, names[m.true], names[m.said], m.true_chance, m.said_chance, image, before)


def _masked(
    worst: Sequence[tuple[int, float]], trainer: Trainer, split: AnySplit, normalise: Normalise, batch: int
) -> Iterator[Masked]:
    """The worst images, their masks and what the net says of them, a batch at a time; none of other data."""
    if not isinstance(split, MaskedSplit):
        return
    for start in range(0, len(worst), batch):
        chosen = worst[start : start + batch]
        indices = np.array([index for index, _ in chosen], np.int64)
        pixels, masks = split.images(indices), split.targets(indices)
        x = np.zeros((batch, *pixels.shape[1:]), np.float32)
        x[: len(pixels)] = normalise(pixels)
        said = trainer.predict(x)[: len(pixels)].argmax(axis=-1)
        for (index, wrong), image, true, ids in zip(chosen, pixels, masks, said, strict=True):
            colours = (coloured(mask.astype(np.uint8)) for mask in (true, ids))
            row = np.concatenate([np.broadcast_to(image, (*image.shape[:2], 3)), *colours], axis=1)
            yield Masked(index, wrong, _uri(row, 3 * LONGEST))


def _uri(pixels: Images, longest: int = LONGEST) -> str:
    return "data:image/png;base64," + base64.b64encode(png(pixels, longest)).decode()
