"""Where the replicas of a step meet: in what is a sum over the batch.

Each replica has an equal part of the batch and takes the shares of its examples in the means over the whole batch (1/B
each, B the whole batch's size). So the sum over replicas is the mean's gradient, and nothing is divided afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.steps import Derived


def met(b: Builder, found: Derived, held: Mapping[str, Value], replicas: int, *, synced: bool) -> Derived:
    """What all replicas derived together: sums of loss, hits and gradients, and statistics that all have alike.

    `synced` statistics are of all replicas' examples already; others are the mean of the replicas' own. A mean and a
    variance of equal parts: the mean is that of the whole batch, the variance is what it is within a replica on
    average, by which each normalises. A statistic that the step leaves as `held` has it is left alone.
    """
    if replicas == 1:
        return found
    with b.at("replicas", "vjp"):
        grads = {name: b.over_replicas(g, replicas) for name, g in found.grads.items()}
        loss, correct = (b.over_replicas(v, replicas) for v in (found.loss, found.correct))
        moved = {} if synced else {n: v for n, v in found.state.items() if v is not held[n]}
        means = {n: b.div(b.over_replicas(v, replicas), float(replicas)) for n, v in moved.items()}
        choices = found.choices and b.over_replicas(found.choices, replicas)
    return replace(found, loss=loss, correct=correct, grads=grads, state={**found.state, **means}, choices=choices)
