"""Labels that are no class, left out of the loss: of a loss that judges each class id by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.losses import emit_loss, mean_of_each
from netc.netspec.loss import Loss


@dataclass(frozen=True)
class Masked:
    """The loss of each id by itself, [B, ..], 0 where it is no class, and the pullback from one number for all.

    `good` says which ids are classes.
    """

    each: Value
    good: Value
    pull: Callable[[Value], Value]


def judge_masked(b: Builder, loss: Loss, z: Value, ids: Value) -> Masked:
    """The loss of z [B, .., K] against ids [B, ..] of which some may be no class. Each is judged as one example."""
    good = _in_range(b, ids, z.shape[-1])
    rows = ids.type.size
    known = b.reshape(b.select(good, ids, 0), (rows,))
    judged = emit_loss(b, loss, b.reshape(z, (rows, z.shape[-1])), known)
    each = b.select(good, b.reshape(judged.each, ids.shape), 0.0)

    def pull(d: Value) -> Value:
        masked = b.select(good, b.broadcast(d, each, ()), 0.0)
        return b.reshape(judged.pull(b.reshape(masked, (rows,))), z.shape)

    return Masked(each, good, pull)


def share_of(b: Builder, ids: Value, classes: int, replicas: int = 1) -> tuple[Value, Value]:
    """The share of one label in the mean over those that are classes, and how many are none; scalars.

    Of the labels of all replicas. Counted as integers: floats would not be exact beyond 2^24. Where none is a class the
    share is 1, of nothing.
    """
    truths = b.convert(_in_range(b, ids, classes), "i32")
    count = b.over_replicas(b.sum(truths, tuple(range(len(ids.shape)))), replicas)
    good = b.convert(count, "f32")
    return b.div(1.0, b.maximum(good, 1.0)), b.sub(float(replicas * ids.type.size), good)


def evaluated(b: Builder, loss: Loss, z: Value, ids: Value) -> tuple[Value, Value]:
    """The loss of each example and the part of it that counts, [B]: its labels that are classes."""
    masked = judge_masked(b, loss, z, ids)
    return mean_of_each(b, masked.each), mean_of_each(b, b.convert(masked.good, z.type.dtype))


def _in_range(b: Builder, ids: Value, classes: int) -> Value:
    """Truth values [B, ..]: whether an id is one of 0..K-1."""
    return b.op("and", b.compare("GE", ids, 0), b.compare("LT", ids, classes))
