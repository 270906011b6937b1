"""Operations of StableHLO in their general form, as texts of other projects use them; ours has special cases of some.

Their meaning is over a DualField. Indices of gather and scatter are integers, so they are known numbers here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from netc.codegen.ir import Op
from netc.codegen.ops import OPS
from netc.codegen.ops.table import Meaning, extreme
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.residues import Array

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """The numbers of one convolution. Axes of an image: batch, channels, spatial; of a kernel: inputs, outputs."""

    x_axes: tuple[int, int, Ints]
    w_axes: tuple[int, int, Ints]
    y_axes: tuple[int, int, Ints]
    stride: Ints
    low: Ints
    high: Ints
    x_dilation: Ints
    w_dilation: Ints
    reversal: tuple[bool, ...]
    feature_groups: int
    batch_groups: int


def _spread(A: Any, x: Any, c: Convolution, zero: Any) -> Any:
    """[N, S.., C] with zeros around and between the pixels."""
    interior = tuple(d - 1 for d in c.x_dilation)
    return A.pad(x, zero, (0, *c.low, 0), (0, *c.high, 0), (0, *interior, 0))


def _batch_groups_to_channels(A: Any, x: Any, groups: int) -> Any:
    """[g N, S.., C] -> [N, S.., g C]: output features of group i see the images of group i."""
    if groups == 1:
        return x
    shape = A.shape(x)
    n, rank = shape[0] // groups, len(shape)
    apart = A.reshape(x, (groups, n, *shape[1:]))
    moved = A.transpose(apart, (*range(1, rank), 0, rank))
    return A.reshape(moved, (n, *shape[1:-1], groups * shape[-1]))


def convolution(A: Any, op: Op, x: Any, w: Any) -> Any:
    """y[n, p, o] = sum over taps a and inputs i of x[n, stride p + dilation a, i] w[a, i, o], for each group."""
    c: Convolution = op.attr("numbers")
    zero = A.constant(0.0, TensorType((), op.result.type.dtype))
    (xn, xc, xs), (wi, wo, ws), (yn, yc, ys) = c.x_axes, c.w_axes, c.y_axes
    x = _batch_groups_to_channels(A, A.transpose(x, (xn, *xs, xc)), c.batch_groups)
    w = A.transpose(w, (*ws, wi, wo))
    turned = tuple(i for i, r in enumerate(c.reversal) if r)
    w = A.reverse(w, turned) if turned else w
    x = _spread(A, x, c, zero)
    out = tuple(op.result.shape[i] for i in ys)
    y = _grouped(A, x, w, c, out, max(c.feature_groups, c.batch_groups))  # [N, out.., O]
    place = {yn: 0, yc: len(out) + 1, **{axis: i + 1 for i, axis in enumerate(ys)}}
    return A.transpose(y, tuple(place[i] for i in range(len(place))))


def _grouped(A: Any, x: Any, w: Any, c: Convolution, out: Ints, groups: int) -> Any:
    kernel, (inputs, features) = A.shape(w)[:-2], A.shape(w)[-2:]
    rank = len(out)
    n = A.shape(x)[0]
    own = features // groups
    by_output = math.prod(kernel) > math.prod(out)
    pieces = []
    for g in range(groups):
        xg = _part(A, x, rank + 1, g * inputs, inputs)
        wg = _part(A, w, rank + 1, g * own, own)
        if by_output:
            axes = tuple(range(1, rank + 2))
            rows = [
                A.dot(v, wg, (axes, tuple(range(rank + 1))), ((), ()))  # [N, O]
                for v in _views(A, xg, out, c.stride, kernel, c.w_dilation)
            ]
            stacked = A.concatenate([A.reshape(r, (n, 1, own)) for r in rows], 1)
            pieces.append(A.reshape(stacked, (n, *out, own)))
        else:
            views = list(_views(A, xg, kernel, c.w_dilation, out, c.stride))
            taps = views[0] if len(views) == 1 else A.concatenate(views, rank + 1)
            flat = A.reshape(wg, (math.prod(kernel) * inputs, own))
            pieces.append(A.dot(taps, flat, ((rank + 1,), (0,)), ((), ())))
    return pieces[0] if groups == 1 else A.concatenate(pieces, rank + 1)


def _part(A: Any, x: Any, axis: int, start: int, size: int) -> Any:
    shape = A.shape(x)
    if size == shape[axis]:
        return x
    low, high = [0] * len(shape), list(shape)
    low[axis], high[axis] = start, start + size
    return A.slice(x, tuple(low), tuple(high), (1,) * len(shape))


def _views(A: Any, x: Any, over: Ints, step: Ints, size: Ints, stride: Ints) -> Iterator[Any]:
    """For each position in `over`: the pixels from step * position on, `size` of them, `stride` apart."""
    shape = A.shape(x)
    for position in product(*(range(n) for n in over)):
        start = tuple(s * i for s, i in zip(step, position, strict=True))
        limit = tuple(a + (n - 1) * s + 1 for a, n, s in zip(start, size, stride, strict=True))
        yield A.slice(x, (0, *start, 0), (shape[0], *limit, shape[-1]), (1, *stride, 1))


# -- windows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """Sizes along every axis."""

    size: Ints
    stride: Ints
    low: Ints
    high: Ints
    dilation: Ints

    def taps(self) -> Iterator[Ints]:
        """Positions in row-major order."""
        return product(*(range(n) for n in self.size))

    def bounds(self, tap: Ints, out: Ints) -> tuple[Ints, Ints]:
        """Where a tap's elements begin and end."""
        start = tuple(t * d for t, d in zip(tap, self.dilation, strict=True))
        return start, tuple(a + (n - 1) * s + 1 for a, n, s in zip(start, out, self.stride, strict=True))


def reduce_window(A: Any, op: Op, x: Any, init: Any) -> Any:
    """The sum, maximum or minimum over each window; `init` pads, and is their neutral element."""
    w: Window = op.attr("window")
    padded, y = A.pad(x, init, w.low, w.high, (0,) * len(w.low)), None
    for tap in w.taps():
        v = A.slice(padded, *w.bounds(tap, op.result.shape), w.stride)
        by = op.attr("by")
        y = v if y is None else A.add(y, v) if by == "add" else extreme(A, "GE" if by == "max" else "LE", y, v)
    return y


def select_and_scatter(A: Any, op: Op, x: Any, dy: Any, init: Any) -> Any:
    """dy goes to the first largest element of its window, in row-major order; the others get `init` = 0."""
    w: Window = op.attr("window")
    out = A.shape(dy)
    low = A.constant(-math.inf, TensorType((), op.result.type.dtype))
    padded, top = A.pad(x, low, w.low, w.high, (0,) * len(w.low)), None
    views = [A.slice(padded, *w.bounds(tap, out), w.stride) for tap in w.taps()]
    for v in views:
        top = v if top is None else extreme(A, "GE", top, v)
    none, dx = A.broadcast(init, out, ()), None
    interior = tuple(s - 1 for s in w.stride)
    for tap, v in zip(w.taps(), views, strict=True):
        hit = A.compare("EQ", v, top)
        start, limit = w.bounds(tap, out)
        before = tuple(s - lo for s, lo in zip(start, w.low, strict=True))
        after = tuple(n - e - hi for n, e, hi in zip(A.shape(padded), limit, w.high, strict=True))
        placed = A.pad(A.select(hit, dy, none), init, before, after, interior)
        dy = A.select(hit, none, dy)
        dx = placed if dx is None else A.add(dx, placed)
    return dx


# -- indices ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Indexing:
    """Dimension numbers of a gather, or of a scatter under the gather's names: its updates are what a gather gives."""

    offset: Ints
    collapsed: Ints
    operand_batch: Ints
    index_batch: Ints
    index_map: Ints
    vector: int
    sizes: Ints


def places(n: Indexing, shape: Ints, ids: Array, out: Ints, clamped: bool) -> tuple[Array, Array]:
    """For each element of `out`: its place in the flat operand, and whether that is inside it."""
    rows = np.moveaxis(ids if n.vector < ids.ndim else ids[..., None], n.vector, -1).astype(np.int64)
    batch_axes = tuple(i for i in range(len(out)) if i not in n.offset)
    within = [d for d in range(len(shape)) if d not in n.collapsed and d not in n.operand_batch]
    grid = np.indices(out, sparse=True)
    at: list[Any] = [np.zeros((1,) * len(out), np.int64) for _ in shape]
    inside = np.ones((1,) * len(out), np.bool_)
    index = tuple(grid[a] for a in batch_axes)
    for position, d in enumerate(n.index_map):
        start = rows[(*index, position)]
        last = shape[d] - n.sizes[d]
        inside = inside & (start >= 0) & (start <= last)
        at[d] = at[d] + (np.clip(start, 0, last) if clamped else start)
    for axis, d in zip(n.offset, within, strict=True):
        at[d] = at[d] + grid[axis]
    plain = [i for i in range(ids.ndim) if i != n.vector]
    for d, b in zip(n.operand_batch, n.index_batch, strict=True):
        at[d] = at[d] + grid[batch_axes[plain.index(b)]]
    flat = np.zeros((), np.int64)
    for d, size in enumerate(shape):
        flat = flat * size + at[d]
    return np.broadcast_to(flat, out), np.broadcast_to(inside, out)


def gather(A: Any, op: Op, x: Any, ids: Array) -> Any:
    """Slices of x at clamped indices."""
    return A.gather(x, places(op.attr("numbers"), A.shape(x), ids, op.result.shape, True)[0])


def scatter(A: Any, op: Op, x: Any, ids: Array, updates: Any) -> Any:
    """x + the updates at their indices; those outside are left out."""
    at, inside = places(op.attr("numbers"), A.shape(x), ids, A.shape(updates), False)
    return A.scatter_add(x, np.where(inside, at, 0), inside, updates)


FOREIGN: dict[str, Meaning] = {
    "convolution": convolution,
    "reduce_window": reduce_window,
    "select_and_scatter": select_and_scatter,
    "gather": gather,
    "scatter": scatter,
    "reduce_and": lambda A, op, x, i: np.asarray(x.all(axis=op.attr("dims"))),
    "reduce_or": lambda A, op, x, i: np.asarray(x.any(axis=op.attr("dims"))),
}


def meaning_of(kind: str) -> Meaning:
    """The meaning of an operation, ours or foreign."""
    return FOREIGN[kind] if kind in FOREIGN else OPS[kind].meaning


def as_ints(values: Sequence[int]) -> Ints:
    """A tuple of Python integers."""
    return tuple(int(v) for v in values)
