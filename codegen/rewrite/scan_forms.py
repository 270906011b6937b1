"""Two forms of a linear recurrence: doubling, in ceil(log2 T) steps of whole tensors, and one step after the other."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.netspec.types import TensorType

BLOCK = 64  # steps that are written one after the other; longer sequences are cut into blocks, which go side by side


def _later(b: Builder, x: Value, axis: int, by: int, reverse: bool, value: float) -> Value:
    """y[t] = x[t - by] (or x[t + by] in reverse), and `value` where that is outside x."""
    n = x.shape[axis]
    zeros = (0,) * len(x.shape)
    shift = tuple(by if i == axis else 0 for i in range(len(x.shape)))
    start = shift if reverse else zeros
    limit = tuple(size if i != axis or reverse else n - by for i, size in enumerate(x.shape))
    kept = b.slice(x, start, limit)
    return b.pad(kept, *((zeros, shift) if reverse else (shift, zeros)), value=value)


def doubling(b: Builder, op: Op, a: Value, u: Value) -> Value:
    """Hillis and Steele 1986: after k steps h[t] sums the 2^k terms up to t, and a[t] is the product of their factors.

    h[t] <- h[t] + a[t] h[t - s], a[t] <- a[t] a[t - s], for s = 1, 2, 4, ..; before the start h is 0. What a becomes
    there never meets anything but zeros.
    """
    axis, reverse, by = op.attr("axis"), op.attr("reverse"), 1
    while by < u.shape[axis]:
        u = b.add(u, b.mul(a, _later(b, u, axis, by, reverse, 0.0)))
        if 2 * by < u.shape[axis]:
            a = b.mul(a, _later(b, a, axis, by, reverse, 0.0))
        by *= 2
    return u


def _at(b: Builder, x: Value, axis: int, place: int) -> Value:
    """x[.., place, ..] along the axis, which stays, of size 1."""
    start = tuple(place if i == axis else 0 for i in range(len(x.shape)))
    return b.slice(x, start, tuple(place + 1 if i == axis else n for i, n in enumerate(x.shape)))


def stepwise(b: Builder, op: Op, a: Value, u: Value) -> Value:
    """h[t] = u[t] + a[t] h[t - 1], written step by step: a step reads a t-th part of memory, which caches hold.

    More than BLOCK steps are cut into blocks k of as many: s[k, j] is h[k, j] from 0 at the block's start and p[k, j]
    the product of a[k, 0] to a[k, j], for all blocks at once; then h[k, j] = s[k, j] + p[k, j] h[k - 1, last]
    (Blelloch 1990). With `reverse` both go from the end.
    """
    axis, reverse, n = op.attr("axis"), op.attr("reverse"), u.shape[op.attr("axis")]
    blocks = -(-n // BLOCK)
    steps = -(-n // blocks)
    places = range(steps)[::-1] if reverse else range(steps)
    a, u = (_cut(b, v, axis, blocks, steps) for v in (a, u))
    s: dict[int, Value] = {}
    p: dict[int, Value] = {}
    before: int | None = None
    for j in places:
        factor, added = _at(b, a, axis + 1, j), _at(b, u, axis + 1, j)
        s[j] = added if before is None else b.add(added, b.mul(factor, s[before]))
        if blocks > 1:
            p[j] = factor if before is None else b.mul(factor, p[before])
        before = j
    h = b.concatenate([s[j] for j in range(steps)], axis + 1)
    if blocks > 1:
        entering = _entering(b, s[places[-1]], p[places[-1]], axis, reverse)
        h = b.add(h, b.mul(b.concatenate([p[j] for j in range(steps)], axis + 1), _repeated(b, entering, h, axis + 1)))
    shape = op.result.shape
    whole = b.reshape(h, (*shape[:axis], blocks * steps, *shape[axis + 1 :]))
    return whole if blocks * steps == n else b.slice(whole, (0,) * len(shape), shape)


def _cut(b: Builder, x: Value, axis: int, blocks: int, steps: int) -> Value:
    """[.., T, ..] -> [.., blocks, steps, ..]; zeros, which no step that is kept reads, fill the last block."""
    spare = tuple(blocks * steps - n if i == axis else 0 for i, n in enumerate(x.shape))
    x = b.pad(x, (0,) * len(spare), spare) if any(spare) else x
    return b.reshape(x, (*x.shape[:axis], blocks, steps, *x.shape[axis + 1 :]))


def _entering(b: Builder, s: Value, p: Value, axis: int, reverse: bool) -> Value:
    """What h is before each block, [.., blocks, 1, ..]: s and p are those of the blocks' last steps."""
    blocks = s.shape[axis]
    first, *others = range(blocks)[::-1] if reverse else range(blocks)
    one = TensorType(tuple(1 if i == axis else n for i, n in enumerate(s.shape)), s.type.dtype)
    h = {first: b.constant(0.0, one)}
    for k, before in zip(others, [first, *others], strict=False):
        h[k] = b.add(_at(b, s, axis, before), b.mul(_at(b, p, axis, before), h[before]))
    return b.concatenate([h[k] for k in range(blocks)], axis)


def _repeated(b: Builder, x: Value, like: Value, axis: int) -> Value:
    """The axis of size 1 as wide as that of `like`."""
    kept = tuple(i for i in range(len(x.shape)) if i != axis)
    return b.broadcast(b.reshape(x, tuple(x.shape[i] for i in kept)), like, kept)
