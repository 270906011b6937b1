"""BLAS, level 1: vectors."""

from __future__ import annotations

import math

from netc.codegen.blas.matrices import inner, times
from netc.codegen.blas.table import Computed, Operand, Routine
from netc.codegen.builder import Builder
from netc.codegen.ir import Value


def dot(b: Builder, x: Value, y: Value) -> Computed:
    """xᵀ y."""

    def pull(g: Value) -> tuple[Value, ...]:
        return times(b, g, y), times(b, g, x)  # dx = g y, dy = g x

    return Computed((inner(b, x, y),), pull)


def nrm2(b: Builder, x: Value) -> Computed:
    """sqrt(xᵀ x), of x over its largest element, so that no square overflows: s r with s = max |x|, r = sqrt(q)."""
    s = b.max_over(_absolute(b, x), (0,))
    none = b.compare("EQ", s, 0.0)
    over = b.div(x, b.broadcast(b.select(none, 1.0, s), x, ()))
    q = inner(b, over, over)
    r = b.unary("sqrt", q)

    def pull(g: Value) -> tuple[Value, ...]:
        part = b.div(r, b.select(none, 1.0, q))  # dx = g x / (s r) = g (x / s) (r / q); at x = 0 it is taken as 0
        return (times(b, b.mul(g, part), over),)

    return Computed((b.select(b.compare("EQ", s, math.inf), s, b.mul(s, r)),), pull)  # inf / inf is none


def asum(b: Builder, x: Value) -> Computed:
    """The sum of |x|."""

    def pull(g: Value) -> tuple[Value, ...]:
        sign = b.select(b.compare("LT", x, 0.0), -1.0, b.select(b.compare("GT", x, 0.0), 1.0, _zeros(b, x)))
        return (times(b, g, sign),)  # dx = g sign(x)

    return Computed((b.sum(_absolute(b, x), (0,)),), pull)


def iamax(b: Builder, x: Value) -> Computed:
    """The first index, from 0, of the largest |x|; of a NaN where there is one."""
    size = _absolute(b, x)
    at_most = b.compare("EQ", size, b.broadcast(b.max_over(size, (0,)), size, ()))
    found = b.op("or", at_most, b.compare("NE", x, x))
    places = b.iota(0, x.shape)
    last = b.scalar(x.shape[0] - 1, "i32")
    first = b.op("reduce_min", b.select(found, places, x.shape[0] - 1), last, dims=(0,))
    return Computed((first,), None)


def axpy(b: Builder, alpha: Value, x: Value, y: Value) -> Computed:
    """alpha x + y."""

    def pull(g: Value) -> tuple[Value, ...]:
        return inner(b, x, g), times(b, alpha, g), g  # dα = xᵀ g, dx = α g, dy = g

    return Computed((b.add(times(b, alpha, x), y),), pull)


def scal(b: Builder, alpha: Value, x: Value) -> Computed:
    """alpha x."""

    def pull(g: Value) -> tuple[Value, ...]:
        return inner(b, x, g), times(b, alpha, g)  # dα = xᵀ g, dx = α g

    return Computed((times(b, alpha, x),), pull)


def copy(b: Builder, x: Value) -> Computed:
    """x."""
    return Computed((x,), lambda g: (g,))


def swap(b: Builder, x: Value, y: Value) -> Computed:
    """y and x."""
    return Computed((y, x), lambda gx, gy: (gy, gx))


def rot(b: Builder, x: Value, y: Value, c: Value, s: Value) -> Computed:
    """c x + s y and c y - s x: a turn in the plane of each x[i], y[i]."""

    def pull(gx: Value, gy: Value) -> tuple[Value, ...]:
        dx, dy = _turned(b, gx, gy, c, b.unary("neg", s))  # dx = c gx - s gy, dy = c gy + s gx: the turn back
        dc = b.add(inner(b, x, gx), inner(b, y, gy))  # dc = xᵀ gx + yᵀ gy
        ds = b.sub(inner(b, y, gx), inner(b, x, gy))  # ds = yᵀ gx - xᵀ gy
        return dx, dy, dc, ds

    return Computed(_turned(b, x, y, c, s), pull)


def _turned(b: Builder, x: Value, y: Value, c: Value, s: Value) -> tuple[Value, Value]:
    return b.add(times(b, c, x), times(b, s, y)), b.sub(times(b, c, y), times(b, s, x))


def _absolute(b: Builder, x: Value) -> Value:
    return b.maximum(x, b.unary("neg", x))


def _zeros(b: Builder, x: Value) -> Value:
    return b.constant(0.0, x.type)


X, Y, ALPHA = Operand("x", "n"), Operand("y", "n"), Operand("alpha")
ROWS: tuple[Routine, ...] = (
    Routine("dot", 1, "result = xᵀ y", (X, Y), ("result",), dot),
    Routine("nrm2", 1, "result = sqrt(xᵀ x)", (X,), ("result",), nrm2),
    Routine("asum", 1, "result = sum of |x|", (X,), ("result",), asum),
    Routine("iamax", 1, "index = first i of the largest |x[i]|", (X,), ("index",), iamax, differentiable=False),
    Routine("axpy", 1, "y = alpha x + y", (ALPHA, X, Y), ("y",), axpy),
    Routine("scal", 1, "x = alpha x", (ALPHA, X), ("x",), scal),
    Routine("copy", 1, "y = x", (X,), ("y",), copy),
    Routine("swap", 1, "x, y = y, x", (X, Y), ("x", "y"), swap),
    Routine("rot", 1, "x, y = c x + s y, c y - s x", (X, Y, Operand("c"), Operand("s")), ("x", "y"), rot),
)  # fmt: skip
