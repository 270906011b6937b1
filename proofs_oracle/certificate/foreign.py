"""Operations of StableHLO in their general form, as texts of other projects use them; ours has special cases of some.

Their meaning is over a DualField. Integers and truth values are as the float run has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from netc.codegen.ir import Op
from netc.codegen.ops.table import Meaning, extreme
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.dual import CertifyError, Dual, UnreadError
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
    base: Ints

    @property
    def interior(self) -> Ints:
        """How many elements of padding stand between two of the operand."""
        return tuple(b - 1 for b in self.base)

    def taps(self) -> Iterator[Ints]:
        """Positions in row-major order."""
        return product(*(range(n) for n in self.size))

    def bounds(self, tap: Ints, out: Ints) -> tuple[Ints, Ints]:
        """Where a tap's elements begin and end."""
        start = tuple(t * d for t, d in zip(tap, self.dilation, strict=True))
        return start, tuple(a + (n - 1) * s + 1 for a, n, s in zip(start, out, self.stride, strict=True))


def reduce_window(A: Any, op: Op, x: Any, init: Any) -> Any:
    """The sum, product, maximum or minimum over each window; `init` pads, and is neutral or may be taken again."""
    w: Window = op.attr("window")
    padded, y = A.pad(x, init, w.low, w.high, w.interior), None
    for tap in w.taps():
        v = A.slice(padded, *w.bounds(tap, op.result.shape), w.stride)
        y = v if y is None else COMBINED[op.attr("by")](A, y, v)
    return y


COMBINED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda A, x, y: A.add(x, y),
    "mul": lambda A, x, y: A.mul(x, y),
    "max": lambda A, x, y: extreme(A, "GE", x, y),
    "min": lambda A, x, y: extreme(A, "LE", x, y),
    "and": lambda A, x, y: A.bits("and", x, y),
    "or": lambda A, x, y: A.bits("or", x, y),
    "xor": lambda A, x, y: A.bits("xor", x, y),
}
"""What combines two elements, by the name of its operation."""


def plain(x: Any) -> Array:
    """The numbers of the float run, or the integers."""
    return x.real if isinstance(x, Dual) else x


def reduce(A: Any, op: Op, x: Any) -> Any:
    """The elements along some axes combined, by halves."""
    combined = COMBINED[op.attr("by")]
    return halved(A, [x], op.attr("dims"), lambda a, b: [combined(A, a[0], b[0])])[0]


Together = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


def halved(A: Any, several: Sequence[Any], dims: Ints, together: Together) -> list[Any]:
    """Tensors of one shape reduced along axes by what is associative and commutative: one half with the other."""
    shape = A.shape(several[0])
    kept = tuple(i for i in range(len(shape)) if i not in dims)
    size = math.prod(shape[i] for i in dims)
    out = tuple(shape[i] for i in kept)
    rows = [A.reshape(A.transpose(x, (*dims, *kept)), (size, *out)) for x in several]
    while size > 1:
        half = size // 2
        low, high, rest = (
            [_part(A, x, 0, a, n) for x in rows] for a, n in ((0, half), (half, half), (2 * half, size % 2))
        )
        made = together(low, high)
        rows = [A.concatenate([m, extra], 0) for m, extra in zip(made, rest, strict=True)] if size % 2 else made
        size = half + size % 2
    return [A.reshape(x, out) for x in rows]


# -- single elements -------------------------------------------------------------------------------------------------


def divided(x: Array, y: Array) -> Array:
    """Integer division towards 0. Raises CertifyError for a divisor of 0."""
    if not np.all(y):
        raise CertifyError("wants divisors other than 0 for integers, got 0; its result is not defined")
    with np.errstate(over="ignore"):
        return np.asarray((x - np.fmod(x, y)) // y)


def raised(x: Array, y: Array) -> Array:
    """x^y for integers; for y < 0 what is left of a fraction: 0, or ±1 for x = ±1."""
    if (y < 0).any():
        raise CertifyError("wants integer exponents of at least 0, got a negative one; no rule")
    return np.asarray(np.power(x, y))


def integer_dot(A: Any, op: Op, x: Array, y: Array) -> Array:
    """Sums of products in the result's type."""
    held = A.floats.dtype(op.result.type.dtype)
    return np.asarray(A.floats.dot(x.astype(held), y.astype(held), op.attr("contract"), op.attr("batch")))


def _leading_zeros(x: Array) -> Array:
    word = x.view(f"u{x.dtype.itemsize}")
    zero = np.stack([(word >> i) == 0 for i in range(8 * x.dtype.itemsize)])
    return np.asarray(zero.sum(0), x.dtype)


INTEGER: dict[str, Callable[..., Array]] = {
    "divide": divided,
    "remainder": lambda x, y: x - divided(x, y) * y,
    "power": raised,
    "sign": np.sign,
    "sar": lambda x, y: np.right_shift(x.view(f"i{x.dtype.itemsize}"), y.view(f"i{y.dtype.itemsize}")).view(x.dtype),
    "popcnt": lambda x: np.bitwise_count(x.view(f"u{x.dtype.itemsize}")).astype(x.dtype),
    "clz": _leading_zeros,
}
"""Operations on integers, as the float run has them."""


STEPS: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "even": np.rint,
    "away": lambda x: np.trunc(x + np.copysign(0.5, x)),
    "sign": np.sign,
}
"""Functions that are constant between jumps: a whole number of the float run, without a tangent."""


def total_order(x: Array) -> Array:
    """Integers in the order of float64 numbers with -0 below 0 and NaN at the ends."""
    bits = np.ascontiguousarray(x, np.float64).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(0x7FFFFFFFFFFFFFFF), bits)


def remainder(A: Any, op: Op, x: Any, y: Any) -> Any:
    """x - n y, n the whole number of times that y goes into x, as the float run has it."""
    with np.errstate(all="ignore"):
        real = np.fmod(A.finite(x.real), A.finite(y.real))
        n = A.whole(np.rint((x.real - A.finite(real)) / y.real))
    return replace(A.sub(x, A.mul(n, y)), real=A.finite(real))


def unread(A: Any, op: Op) -> Any:
    """Raises what the reader had to say."""
    raise UnreadError(op.attr("why"))


UNREAD = "unread"
FOREIGN: dict[str, Meaning] = {
    "convolution": convolution,
    "reduce_window": reduce_window,
    "reduce": reduce,
    "integer": lambda A, op, *xs: INTEGER[op.attr("function")](*xs),
    "integer_dot": integer_dot,
    "step": lambda A, op, x: A.whole(STEPS[op.attr("function")](A.finite(x.real))),
    "is_finite": lambda A, op, x: np.isfinite(x.real),
    "total_compare": lambda A, op, x, y: A.compare(op.attr("direction"), total_order(plain(x)), total_order(plain(y))),
    "remainder": remainder,
    "rounded": lambda A, op, x: x,
    UNREAD: unread,
}
"""Each operation of foreign texts; indexing.py, ordering.py and functions.py add theirs."""


def as_ints(values: Iterable[int]) -> Ints:
    """A tuple of Python integers."""
    return tuple(int(v) for v in values)
