"""Gather, scatter and slices at computed places. Indices are integers, so they are known numbers here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netc.codegen.ir import Op
from netc.codegen.ops.table import Meaning
from netc.proofs_oracle.certificate.dual import CertifyError, Dual, FloatRunError
from netc.proofs_oracle.certificate.foreign import COMBINED, Ints, Window, plain
from netc.proofs_oracle.certificate.residues import Array


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
    sorted: bool = False
    unique: bool = False


def places(n: Indexing, shape: Ints, ids: Array, out: Ints, clamped: bool) -> tuple[Array, Array]:
    """For each element of `out`: its place in the flat operand, and whether that is inside it. Raises CertifyError.

    What the text promises of the indices is looked at: where a promise is broken, what a program gives is undefined.
    """
    if ids.dtype.kind == "u":
        ids = np.minimum(ids, ids.dtype.type(min(1 << 62, np.iinfo(ids.dtype).max)))
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
        if not clamped and ((start > -n.sizes[d]) & (start < 0) | (start > last) & (start < shape[d])).any():
            raise CertifyError("wants windows of a scatter inside or outside, got one across the edge; no rule")
        inside = inside & (start >= 0) & (start <= last)
        at[d] = at[d] + (np.clip(start, 0, last) if clamped else start)
    plain = [i for i in range(ids.ndim) if i != n.vector]
    for d, b in zip(n.operand_batch, n.index_batch, strict=True):
        at[d] = at[d] + grid[batch_axes[plain.index(b)]]
    if n.sorted:
        _want_sorted(at, tuple(1 if i in n.offset else size for i, size in enumerate(out)))
    for axis, d in zip(n.offset, within, strict=True):
        at[d] = at[d] + grid[axis]
    flat = np.zeros((), np.int64)
    for d, size in enumerate(shape):
        flat = flat * size + at[d]
    return np.broadcast_to(flat, out), np.broadcast_to(inside, out)


def gather(A: Any, op: Op, x: Any, ids: Array) -> Any:
    """Slices of x at clamped indices."""
    return A.gather(x, places(op.attr("numbers"), A.shape(x), ids, op.result.shape, True)[0])


def scatter_add(A: Any, x: Any, at: Array, inside: Array, updates: Any) -> Any:
    """x + the updates at places of the flat tensor, of those that are inside."""
    places, size = at[inside], A.shape(x)

    def placed(v: Array) -> Array:
        return np.bincount(places, v[inside], math.prod(size)).reshape(size)

    if not isinstance(x, Dual):
        return x + placed(updates).astype(x.dtype)
    zero = np.zeros((1,) * x.res.ndim)
    res = A.field.add(np.stack([placed(v) for v in updates.res]), np.broadcast_to(zero, x.res.shape))
    tan = None if updates.tan is None else A.field.add(
        np.stack([placed(v) for v in updates.tan]), np.broadcast_to(zero, x.res.shape)
    )  # fmt: skip
    return A.add(x, Dual(placed(updates.real), res, tan, updates.deg, updates.tdeg))


def placed(x: Any, at: Array, updates: Any) -> Any:
    """x with the updates at places of the flat tensor, each of them once."""

    def put(v: Array, new: Array) -> Array:
        flat = np.array(v).reshape(-1)
        flat[at.reshape(-1)] = new.reshape(-1)
        return flat.reshape(v.shape)

    def rows(v: Array, new: Array) -> Array:
        return np.stack([put(a, b) for a, b in zip(v, np.broadcast_to(new, (len(v), *new.shape[1:])), strict=True)])

    if not isinstance(x, Dual):
        return put(x, updates)
    tan = None
    if x.tan is not None or updates.tan is not None:
        zeros = (np.zeros_like(x.res), np.zeros_like(updates.res))
        old, new = (z if v.tan is None else v.tan for v, z in zip((x, updates), zeros, strict=True))
        tan = rows(old, new)
    real, res = put(x.real, updates.real), rows(x.res, updates.res)
    return Dual(real, res, tan, x.deg | updates.deg, x.tdeg | updates.tdeg)


def _want_sorted(at: Sequence[Array], shape: Ints) -> None:
    """Starting indices, in the order of the batch, must not fall: compared axis by axis of the operand."""
    starts = np.stack([np.broadcast_to(a, shape).reshape(-1) for a in at])
    step = np.diff(starts, axis=1)
    first = np.argmax(step != 0, 0) if len(step) else np.zeros(0, int)
    if step.size and (np.take_along_axis(step, first[None], 0) < 0).any():
        raise FloatRunError(
            "wants indices in order, as indices_are_sorted says, got others; leave indices_are_sorted out"
        )


def scatter(A: Any, op: Op, x: Any, ids: Array, updates: Any) -> Any:
    """x combined with the updates at their indices; those outside are left out."""
    n: Indexing = op.attr("numbers")
    at, inside = places(n, A.shape(x), ids, A.shape(updates), False)
    taken = at[inside]
    count = np.bincount(taken, minlength=1)
    if n.unique and (count > 1).any():
        raise FloatRunError("wants each index once, as unique_indices says, got one twice; leave unique_indices out")
    by = op.attr("by")
    if by == "add":
        return scatter_add(A, x, np.where(inside, at, 0), inside, updates)
    if by == "set" and (count > 1).any():
        raise FloatRunError(
            "wants each index of a scatter that sets once, got one twice: which update stays is not said"
        )
    source = np.flatnonzero(inside)
    for turn in _turns(taken):
        old, new = A.gather(x, taken[turn]), A.gather(updates, source[turn])
        x = placed(x, taken[turn], new if by == "set" else COMBINED[by](A, old, new))
    return x


def _turns(taken: Array) -> Iterator[Array]:
    """Which updates go first, second, ..: none of them to one place twice."""
    left = np.arange(taken.size)
    while left.size:
        _, first = np.unique(taken[left], return_index=True)
        yield left[first]
        left = np.delete(left, first)


def select_and_scatter(A: Any, op: Op, x: Any, dy: Any, init: Any) -> Any:
    """dy is added at the element of its window that is selected: the first that no later one beats, in row-major order.

    Element b beats a, chosen so far, unless `a direction b`. Padding is never selected. The others get `init` = 0.
    """
    w: Window = op.attr("window")
    out, real, floats = A.shape(dy), plain(x), A.floats
    size = math.prod(A.shape(x))
    numbered = floats.pad(np.arange(size).reshape(A.shape(x)), -1, w.low, w.high, w.interior)
    chosen = np.full(out, -1)
    flat = np.ascontiguousarray(real).reshape(-1)
    for tap in w.taps():
        place = floats.slice(numbered, *w.bounds(tap, out), w.stride)
        kept = floats.compare(op.attr("direction"), flat[chosen], flat[place])
        chosen = np.where((place >= 0) & ((chosen < 0) | ~kept), place, chosen)
    zero = A.broadcast(init, A.shape(x), ())
    return scatter_add(A, zero, np.maximum(chosen, 0), chosen >= 0, dy)


def _starts(shape: Ints, sizes: Ints, at: Sequence[Array]) -> Ints:
    return tuple(int(np.clip(int(i), 0, n - k)) for i, n, k in zip(at, shape, sizes, strict=True))


def dynamic_slice(A: Any, op: Op, x: Any, *at: Array) -> Any:
    """A part from computed places on, moved inside where it would reach out."""
    sizes: Ints = op.attr("sizes")
    start = _starts(A.shape(x), sizes, at)
    return A.slice(x, start, tuple(a + k for a, k in zip(start, sizes, strict=True)), (1,) * len(sizes))


def dynamic_update_slice(A: Any, op: Op, x: Any, update: Any, *at: Array) -> Any:
    """x with a part replaced from computed places on, moved inside where it would reach out."""
    shape, sizes = A.shape(x), A.shape(update)
    start = _starts(shape, sizes, at)
    flat = np.arange(math.prod(shape)).reshape(shape)
    part = flat[tuple(slice(a, a + k) for a, k in zip(start, sizes, strict=True))]
    return placed(x, part, update)


INDEXED: dict[str, Meaning] = {
    "gather": gather,
    "scatter": scatter,
    "select_and_scatter": select_and_scatter,
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
}
"""Operations with computed places."""
