"""The form of a linear recurrence: doubling, in ceil(log2 T) steps of whole tensors."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value


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
