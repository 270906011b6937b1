"""Branching flows in JAX: sequences walked from noise to the data, event by event, and what a net is to answer of them.

Of the same words of Threefry as netc's, by another way: gaps open one after the other, and between two of them each
run of leaves goes straight for its mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from netc.proofs_oracle.references.mixing import gaussian, stream, words

if TYPE_CHECKING:
    from jax import Array

    from netc.netspec.process import BranchingFlow


def branching(flow: BranchingFlow, key: Array, x: Array, time: Array) -> tuple[Array, Array]:
    """What the net sees of sequences x [B, S, C + 1] at levels `time` [B], and its target, [B, S, C + 2]."""
    batch, slots, width = x.shape

    def pair(name: str) -> tuple[Array, Array]:
        first, second = words(key, stream("(process)", name), batch * slots)
        return first.reshape(batch, slots), second.reshape(batch, slots)

    def units(name: str) -> list[Array]:
        return [((word >> 9) + 0.5) / 2**23 for word in pair(name)]

    whether, coin = (word >> 8 for word in pair("copies"))
    noise, path = (
        gaussian(key, (batch, *shape, width - 1), *(stream("(process)", f"{name}{i}") for i in (0, 1)))
        for name, shape in (("noise", ()), ("path", (slots, slots)))
    )
    wanted = whether < round(flow.deletions * 2**24)
    level = jnp.maximum(*units("gaps"))
    drawn = (wanted, coin < 2**23, level, units("deaths")[0])
    found: tuple[Array, Array] = jax.vmap(_one)(x, time, noise, flow.wander * path, *drawn)
    return found


def _one(
    x: Array, t: Array, noise: Array, path: Array, wanted: Array, later: Array, level: Array, u: Array
) -> tuple[Array, Array]:
    slots = len(x)
    index = jnp.arange(slots)
    present = x[:, -1] > 0.5
    more = wanted & present
    more = more & (present.sum() + jnp.cumsum(more) <= slots)
    copies = present.astype(int) + more
    leaf, total = jnp.repeat(index, copies, total_repeat_length=slots), copies.sum()
    there = index < total
    second = jnp.concatenate([jnp.zeros(1, bool), leaf[1:] == leaf[:-1]])
    doomed = more[leaf] & (later[leaf] == second) & there
    values = jnp.where(there[:, None], x[leaf, :-1], 0.0)
    gap = jnp.where((index > 0) & there, level, -1.0)  # the level of the gap before a leaf, -1 where there is none

    def runs(opened: Array) -> Array:
        number = jnp.cumsum(opened)
        return (number[:, None] == number[None]) & there[None]

    def mean(run: Array) -> Array:
        found: Array = run @ values / jnp.maximum(run.sum(1), 1)[:, None]
        return found

    place, s = jnp.broadcast_to(noise, values.shape), jnp.ones(())
    opened = jnp.zeros(slots, bool)
    level = level.at[0].set(0.0)
    for event in jnp.argsort(-level):  # the last one is no gap's
        after, run = jnp.maximum(level[event], t), runs(opened)
        bridge = jnp.sqrt(after * (s - after) / s) * path[event][jnp.argmax(run, axis=1)]
        place, s = mean(run) + after / s * (place - mean(run)) + bridge, after
        opened = opened | ((gap == level[event]) & (level[event] > t))
    run = runs(opened)
    towards, count = mean(run), run.sum(1)
    before, behind = jnp.where(gap > 0, gap, 1.0), jnp.where(gap > 0, gap, 1.0)[1:]
    birth = jnp.minimum(before, jnp.concatenate([behind, jnp.ones(1)]))
    alone = doomed & (count == 1)
    kept = there & (opened | (index == 0)) & ~(alone & (t <= birth * u))
    order = jnp.argsort(~kept, stable=True)
    full = (index < kept.sum())[:, None]
    state = jnp.where(full, jnp.concatenate([place, jnp.ones((slots, 1))], 1)[order], 0.0)
    answer = jnp.where(full, jnp.concatenate([towards, (count - 1)[:, None], alone[:, None]], 1)[order], 0.0)
    answer = answer.at[:, -2].set(jnp.where(full[:, 0], answer[:, -2], -1.0))
    return jnp.concatenate([state, jnp.full((slots, 1), t)], 1), answer
