"""The outputs of a net on a test part, once or for several views of each example, on their way to the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from netc.netspec.errors import UserError
from netc.netspec.vocabulary import Vocabulary
from netc.runtime.backends.protocol import Array
from netc.runtime.data.batches import Normalise, eval_batches, prefetch
from netc.runtime.data.dataset import AnySplit, of_images
from netc.runtime.metrics.seen import JSON, LABELS, NUMBERS, Tally, Task, rows_of
from netc.runtime.metrics.table import Metric
from netc.runtime.trainer import Trainer

View = Callable[[Array], Array]

VIEWS: Vocabulary[View] = Vocabulary("test-time augmentation")
"""What is done to images [B, H, W, C] for a second look, and to outputs [B, .., W, K] to undo it."""
VIEWS.add("flip", lambda a: np.ascontiguousarray(a[:, :, ::-1]), "hflip", "mirror")


def measured(
    trainer: Trainer, test: AnySplit, batch: int, normalise: Normalise, task: Task, metrics: Mapping[str, Metric]
) -> dict[str, JSON]:
    """The metrics, by word, of the state that the trainer holds, on a test part."""
    tallies = {word: metric.tally(task) for word, metric in metrics.items()}
    show(trainer, test, batch, normalise, task, tallies.values())
    return {word: tally.result() for word, tally in tallies.items()}


def show(
    trainer: Trainer,
    test: AnySplit,
    batch: int,
    normalise: Normalise,
    task: Task,
    tallies: Iterable[Tally],
    *,
    tta: str = "",
    sums: Array | None = None,
) -> None:
    """Show a test part's outputs to the tallies, a batch at a time; `tta` averages over a second view of each image.

    The targets of a table and what is predicted of them are in their own units.
    `sums`, where it is given, gets the trainer's sums over the examples as they are.
    """
    tallies, view = list(tallies), None
    if tta:
        view = VIEWS.find(tta, "`tta`")
        if not of_images(test):
            raise UserError(f"`tta={tta}` applies to images only; leave it out")
    first = 0
    for b in prefetch(eval_batches(test, batch=batch, normalise=normalise)):
        if sums is not None:
            sums += trainer.sums(b.x, b.y, b.weight)
        outputs = trainer.predict(b.x)
        if view is not None:
            again = trainer.predict(view(b.x))
            outputs = averaged(task, outputs, view(again) if again.ndim == 4 else again)
        real = b.weight > 0
        outputs, y = (normalise.target.undone(a[real]) for a in (outputs, b.y))
        for seen in rows_of(task, first + np.flatnonzero(real), outputs, y):
            for tally in tallies:
                tally.add(seen)
        first += batch


def averaged(task: Task, one: Array, two: Array) -> Array:
    """Outputs whose probabilities are the means of the two outputs'; of a regression the means of the outputs."""
    a, b = one.astype(np.float64), two.astype(np.float64)
    if task.kind == NUMBERS:
        return (a + b) / 2
    if task.kind == LABELS:
        below = np.logaddexp(-np.logaddexp(0, a), -np.logaddexp(0, b))  # log of the two chances against, added
        above = np.logaddexp(-np.logaddexp(0, -a), -np.logaddexp(0, -b))
        return np.asarray(above - below)
    a, b = (z - np.logaddexp.reduce(z, axis=-1, keepdims=True) for z in (a, b))
    return np.asarray(np.logaddexp(a, b) - np.log(2))
