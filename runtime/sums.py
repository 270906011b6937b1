"""The sums of an evaluation over a test part."""

from __future__ import annotations

from collections.abc import Callable

from netc.runtime.backends.protocol import Array
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
) -> Array:
    """(loss, correct, count) and what is said of experts, float64 [3 + experts], summed over a test split.

    Or over the batches until `stop` says so. With `averaged`, of the averages of the weights. Of each batch the session
    gets a `part`: it knows the others.
    """
    total = session.no_sums()
    for b in prefetch(eval_batches(test, batch=batch, normalise=normalise, part=part)):
        if stop():
            break
        total += session.sums(b.x, b.y, b.weight, averaged=averaged)
    return total
