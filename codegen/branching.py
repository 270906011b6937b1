"""Branching flows as IR: a sequence on its way from one element of noise to the data, and a step of growing one.

The tree in which Billera et al. 2025 let the elements of the data coalesce is drawn by one number for each gap between
neighbours: the level of noise, the larger of two uniforms, below which the gap is open. For merging neighbours in a
uniform order leaves, seen from the root, gaps of which each is as likely to open first; and a node of w leaves that
waits for the first of its w - 1 gaps splits with w - 1 times the hazard of one, 2 / (1 - s) at s = 1 - t, that of
Beta(1, 2). So at level t an element is a run of leaves whose gaps are closed, and no tree has to be built.

Sums here have one term that is not 0, or are of few terms, and selects do what products of matrices would: `precision`
leaves them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netc.codegen.builder import Builder
from netc.codegen.draw import open_unit
from netc.codegen.ir import Value
from netc.codegen.mixing import happens
from netc.codegen.random import words
from netc.codegen.rules import part_stream
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class Chances:
    """Words of a key for each slot of a batch: `stream` is the first of their streams."""

    key: Value
    stream: int
    shape: tuple[int, int]

    def words(self, b: Builder, name: str) -> tuple[Value, Value]:
        """Two words for each slot, ui32 [B, S]."""
        pair = words(b, self.key, part_stream(self.stream, name), self.shape[0] * self.shape[1])
        first, second = (b.reshape(word, self.shape) for word in pair)
        return first, second

    def units(self, b: Builder, name: str) -> tuple[Value, Value]:
        """Two numbers in (0, 1) for each slot, [B, S]."""
        first, second = (open_unit(b, word) for word in self.words(b, name))
        return first, second


def _columns(b: Builder, x: Value, widths: Sequence[int]) -> list[Value]:
    """The columns of x [B, S, F], so many at a time; one alone is [B, S, 1]."""
    found, start = [], 0
    for width in widths:
        part = b.slice(x, (0, 0, start), (*x.shape[:2], start + width))
        found.append(part)
        start += width
    return found


def _table(b: Builder, *columns: Value) -> Value:
    """Columns [B, S, F] or [B, S] beside each other."""
    return b.concatenate([b.reshape(v, (*v.shape[:2], 1)) if len(v.shape) == 2 else v for v in columns], 2)


def _single(b: Builder, column: Value) -> Value:
    return b.reshape(column, column.shape[:2])


def _along(b: Builder, v: Value, axes: tuple[int, int], rank: int = 3) -> Value:
    """v [B, S] over `rank` axes, those after the first S long."""
    shape = (v.shape[0], *[v.shape[1]] * (rank - 1))
    return b.broadcast(v, TensorType(shape, v.type.dtype), axes)


def so_far(b: Builder, counts: Value) -> Value:
    """The sums of counts i32 [B, S] up to each one, itself among them."""
    wide = _along(b, counts, (0, 2))
    return b.sum(b.select(b.compare("LE", b.iota(2, wide.shape), b.iota(1, wide.shape)), wide, 0), (2,))


def arranged(b: Builder, rows: Value, counts: Value) -> tuple[Value, Value]:
    """Each row of rows [B, S, F] `counts` times, i32 [B, S], one behind the other; what does not fit is left out.

    The second result says which are a second copy, f32 [B, S]. Slots that are left are 0.
    """
    end = so_far(b, counts)
    start = b.sub(end, counts)
    slot = b.iota(1, (*counts.shape, counts.shape[1]))
    first, last = _along(b, start, (0, 2)), _along(b, end, (0, 2))
    own = b.op("and", b.compare("GE", slot, first), b.compare("LT", slot, last))
    second = b.sum(b.convert(b.op("and", own, b.compare("GT", slot, first)), "f32"), (2,))
    return _mixed(b, b.convert(own, "f32"), rows), second


def with_copies(b: Builder, x: Value, chances: Chances, deletions: float) -> tuple[Value, Value]:
    """The leaves of sequences x [B, S, C + 1], copies to be deleted among them, and which those are, f32 [B, S].

    Beside an element there is a copy with probability `deletions`, as far as slots are left, and of both one is to be
    deleted, either as likely.
    """
    values, there = _columns(b, x, (x.shape[2] - 1, 1))
    present = b.convert(b.compare("GT", _single(b, there), 0.5), "i32")
    whether, coin = chances.words(b, "copies")
    more = b.mul(b.convert(happens(b, whether, deletions), "i32"), present)
    length = b.broadcast(b.sum(present, (1,)), more, (0,))
    more = b.select(b.compare("LE", b.add(so_far(b, more), length), x.shape[1]), more, 0)
    later = b.convert(happens(b, coin, 0.5), "f32")
    rows = _table(b, values, *(b.convert(v, "f32") for v in (present, more)), later)
    leaves, second = arranged(b, rows, b.add(present, more))
    values, there, more_, later_ = _columns(b, leaves, (x.shape[2] - 1, 1, 1, 1))
    doomed = b.select(b.compare("EQ", _single(b, later_), second), _single(b, more_), 0.0)
    return _table(b, values, there), doomed


def bridged(
    b: Builder, x: Value, noise: Value, path: Value | None, time: Value, chances: Chances, deletions: float
) -> tuple[Value, Value]:
    """What the net sees of sequences x [B, S, C + 1] at levels `time` [B], and what it is to answer, [B, S, C + 2].

    `noise` [B, C] is the element that each begins with; `path` [B, S, S, C], of the standard deviation at which an
    element wanders, is what it is given between the level of a gap and the next higher one, by its first leaf.
    """
    width = x.shape[2] - 1
    leaves, doomed = with_copies(b, x, chances, deletions)
    values, flag = _columns(b, leaves, (width, 1))
    there = _single(b, flag)
    level = b.maximum(*chances.units(b, "gaps"))  # of the gap before each leaf; before the first there is none
    level = b.select(b.compare("EQ", b.iota(1, level.shape), 0), 0.0, level)
    apart, t = _apart(b, level), b.broadcast(time, level, (0,))
    among = _along(b, b.compare("GT", there, 0.5), (0, 2))

    # dx/ds = (x - A(s)) / s, A the mean of the run: x(t) = t x(1) + t (the integral of A(s) / s^2 from t to 1)
    stages = _Stages.of(b, level, apart, among, t)
    spent = stages.shares(b)
    moved = b.add(b.mul(b.broadcast(time, values, (0,)), b.broadcast(noise, values, (0, 2))), _mixed(b, spent, values))
    if path is not None:
        moved = b.add(moved, stages.wandered(b, path, t))

    run = b.op("and", among, b.compare("LE", apart, b.broadcast(time, apart, (0,))))
    count = b.sum(b.convert(run, "f32"), (2,))
    equal = b.div(1.0, b.maximum(count, 1.0))
    mean = _mixed(b, b.select(run, _along(b, equal, (0, 1)), 0.0), values)
    alone = b.select(b.compare("EQ", count, 1.0), doomed, 0.0)
    gone = b.op("and", b.compare("GT", alone, 0.5), b.compare("LE", t, _death(b, apart, among, chances)))
    first = b.op("or", b.compare("GT", level, t), b.compare("EQ", b.iota(1, level.shape), 0))
    stays = b.op("and", b.op("and", b.compare("GT", there, 0.5), first), b.op("not", gone))

    rows = _table(b, moved, there, mean, b.sub(count, 1.0), alone)
    found, _ = arranged(b, rows, b.convert(stays, "i32"))
    moved, flag, mean, splits, alone = _columns(b, found, (width, 1, width, 1, 1))
    splits = b.select(b.compare("GT", flag, 0.5), splits, -1.0)  # how the loss knows that there is no element
    return seen(b, _table(b, moved, flag), time), _table(b, mean, splits, alone)


def seen(b: Builder, state: Value, time: Value) -> Value:
    """What the net sees of sequences [B, S, C + 1] at levels `time` [B]: the level behind each element."""
    return _table(b, state, b.broadcast(time, TensorType(state.shape[:2]), (0,)))


def _apart(b: Builder, level: Value) -> Value:
    """The level below which two leaves are apart: the largest of a gap between them, 0 of one and itself. [B, S, S]."""
    size = level.shape[1]
    wide = _along(b, level, (0, 3), 4)
    i, j, gap = (b.iota(axis, (size,) * 3) for axis in range(3))
    between = b.op("and", b.compare("LT", b.minimum(i, j), gap), b.compare("LE", gap, b.maximum(i, j)))
    return b.max_over(b.select(b.broadcast(between, TensorType(wide.shape, "i1"), (1, 2, 3)), wide, 0.0), (3,))


@dataclass(frozen=True)
class _Stages:
    """What a sequence is between the level of each gap and the next higher one, or 1: `run` [B, S, S, S], of gap, i, j.

    `weight` [B, S] is t (1 / low - 1 / high), t times the integral of 1 / s^2 over what of the stage is above t.
    """

    run: Value
    weight: Value

    @classmethod
    def of(cls, b: Builder, level: Value, apart: Value, among: Value, t: Value) -> _Stages:
        own, other = _along(b, level, (0, 1)), _along(b, level, (0, 2))
        later = b.compare("LT", b.iota(1, own.shape), b.iota(2, own.shape))
        above = b.op("or", b.compare("GT", other, own), b.op("and", b.compare("EQ", other, own), later))
        higher = b.op("reduce_min", b.select(above, other, 1.0), b.scalar(1.0), dims=(2,))
        low, high = b.maximum(level, t), b.maximum(higher, t)
        wide = TensorType((*level.shape, *level.shape[1:], level.shape[1]))
        near = b.compare("LE", b.broadcast(apart, wide, (0, 2, 3)), b.broadcast(level, wide, (0, 1)))
        run = b.op("and", near, b.broadcast(among, TensorType(wide.shape, "i1"), (0, 2, 3)))
        return cls(run, b.sub(b.div(t, low), b.div(t, high)))

    def shares(self, b: Builder) -> Value:
        """How much of leaf j an element has got of which i is a leaf, [B, S, S]."""
        count = b.maximum(b.sum(b.convert(self.run, "f32"), (3,)), 1.0)
        share = b.div(b.broadcast(self.weight, count, (0, 1)), count)
        return b.sum(b.select(self.run, b.broadcast(share, TensorType(self.run.shape), (0, 1, 2)), 0.0), (1,))

    def wandered(self, b: Builder, path: Value, t: Value) -> Value:
        """t times the integral of dW / s from t to 1, [B, S, C]: a stage has path sqrt(t weight), its first leaf's."""
        leaf = b.iota(3, self.run.shape)
        first = b.op("reduce_min", b.select(self.run, leaf, leaf.shape[3]), b.scalar(leaf.shape[3], "i32"), dims=(3,))
        taken = b.compare("EQ", b.broadcast(first, leaf, (0, 1, 2)), leaf)
        spread = b.unary("sqrt", b.mul(t, self.weight))
        full = TensorType((*leaf.shape, path.shape[3]))
        kept = b.select(
            b.broadcast(taken, TensorType(full.shape, "i1"), (0, 1, 2, 3)), b.broadcast(path, full, (0, 1, 3, 4)), 0.0
        )
        steps = b.sum(kept, (3,))
        return b.sum(b.mul(b.broadcast(spread, steps, (0, 1)), steps), (1,))


def _mixed(b: Builder, shares: Value, values: Value) -> Value:
    """sum_j shares[i, j] values[j], of [B, S, S] and [B, S, C]."""
    full = TensorType((*shares.shape, values.shape[2]))
    return b.sum(b.mul(b.broadcast(shares, full, (0, 1, 2)), b.broadcast(values, full, (0, 2, 3))), (2,))


def _death(b: Builder, apart: Value, among: Value, chances: Chances) -> Value:
    """The level at which each leaf is deleted if it is to be: uniform below the one at which it came to be alone."""
    self_ = b.compare("EQ", b.iota(1, apart.shape), b.iota(2, apart.shape))
    others = b.select(b.op("and", among, b.op("not", self_)), apart, 1.0)
    birth = b.op("reduce_min", others, b.scalar(1.0), dims=(2,))
    return b.mul(birth, chances.units(b, "deaths")[0])


def grown(
    b: Builder, state: Value, answer: Value, noise: Value | None, time: Value, following: Value, chances: Chances
) -> Value:
    """Sequences [B, S, C + 1] at level `following` [], of the net's answer [B, S, C + 2] to them at `time` [].

    An element goes for where the net says, with `noise` [B, S, C] scaled as a Brownian bridge has it. It is deleted
    with the net's probability times the share 1 - following / time of what was left of its time, and else splits, in
    one step in two at most, with probability 1 - exp(-e), e the splits that the net expects times the part
    1 - (following / time)^2 of them that fall in the step. The second half stands behind the first; what finds no slot
    is left out.
    """
    width = state.shape[2] - 1
    values, flag = _columns(b, state, (width, 1))
    towards, s, d = _columns(b, answer, (width, 1, 1))
    left = b.div(following, time)
    moved = b.add(towards, b.mul(b.broadcast(left, values, ()), b.sub(values, towards)))
    if noise is not None:
        spread = b.unary("sqrt", b.mul(left, b.sub(time, following)))
        moved = b.add(moved, b.mul(b.broadcast(spread, noise, ()), noise))
    there = _single(b, flag)
    rest = b.broadcast(left, there, ())
    dies, splits = chances.units(b, "events")
    deleted = b.mul(b.unary("logistic", _single(b, d)), b.sub(1.0, rest))
    expected = b.unary("exp", b.minimum(b.maximum(_single(b, s), -100.0), 11.0))
    split = b.sub(1.0, b.unary("exp", b.unary("neg", b.mul(expected, b.sub(1.0, b.mul(rest, rest))))))
    count = b.select(b.compare("LT", splits, split), 2, b.constant(1, TensorType(there.shape, "i32")))
    count = b.select(b.compare("LT", dies, deleted), 0, count)
    count = b.select(b.compare("GT", there, 0.5), count, 0)
    found, _ = arranged(b, _table(b, moved, there), count)
    return found
