"""The sums of an evaluation over a test part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netc.runtime.data.batches import Normalise, eval_batches, prefetch
from netc.runtime.data.dataset import AnySplit
from netc.runtime.data.part import WHOLE, Part
from netc.runtime.trainer import Trainer


def sums(
    session: Trainer,
    test: AnySplit,
    batch: int,
    normalise: Normalise,
    stop: Callable[[], bool] = lambda: False,
    *,
    averaged: bool = False,
    part: Part = WHOLE,
) -> tuple[float, float, float]:
    """(loss, correct, count) summed over a test split, or over the batches until `stop` says so.

    With `averaged`, of the averages of the weights. Of each batch the session gets a `part`: it knows the others.
    """
    total = np.zeros(3)
    for b in prefetch(eval_batches(test, batch=batch, normalise=normalise, part=part)):
        if stop():
            break
        total += session.eval_step(b.x, b.y, b.weight, averaged=averaged)
    return float(total[0]), float(total[1]), float(total[2])
