"""The form of a triangular system for compilers that have no word for it: products of blocks, as XLA does on a GPU.

x = a⁻¹ b. The blocks on the diagonal are inverted all at once, by doubling; then a row of blocks of x at a time is
x[i] = a[i, i]⁻¹ (b[i] - a[i, :i] x[:i]), corrected once by what it leaves of the right-hand side (iterative
refinement, Higham 2002, chapter 12). All are whole tensors: no loop over rows is left.

One inf or NaN in a column of b makes its whole block of rows of that column NaN: 0 inf above an inverse's diagonal, and
inf - inf in the correction. Substitution leaves the rows before it alone.
"""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.netspec.types import TensorType

ROWS, TURNS = 32, 32  # a block has so many rows, or more where there would be more than so many blocks


def by_blocks(b: Builder, op: Op, a: Value, y: Value) -> Value:
    """x of op(a) x = y, or of x op(a) = y, read as a system with a lower triangle on the left (ops/solve.py)."""
    rank, lower, left = len(a.shape), op.attr("lower"), op.attr("left_side")
    if op.attr("transpose_a") == left:
        a, lower = _turned(b, a), not lower
    y = y if left else _turned(b, y)
    if not lower:
        a, y = b.op("reverse", a, dims=(rank - 2, rank - 1)), b.op("reverse", y, dims=(rank - 2,))
    x = _forward(b, a, y, unit=op.attr("unit_diagonal"))
    x = x if lower else b.op("reverse", x, dims=(rank - 2,))
    return x if left else _turned(b, x)


def kept(b: Builder, op: Op, a: Value, y: Value) -> None:
    """The op itself: XLA has it."""


def _turned(b: Builder, x: Value) -> Value:
    rank = len(x.shape)
    return b.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def _forward(b: Builder, a: Value, y: Value, *, unit: bool) -> Value:
    *lead, n, r = y.shape
    batch = math.prod(lead)
    if not batch * n * r:
        return y
    size = min(_power(n), max(ROWS, _power(-(-n // TURNS))))
    count = -(-n // size)
    more = count * size - n
    flat = b.reshape(a, (batch, n, n))
    ones = b.constant(1.0, TensorType((batch, n), a.type.dtype))
    pivots = b.pad(ones if unit else b.reshape(_on_diagonal(b, flat, 1), (batch, n)), (0, 0), (0, more), value=1.0)
    a = b.pad(flat, (0, 0, 0), (0, more, more))
    y = b.pad(b.reshape(y, (batch, n, r)), (0, 0, 0), (0, more, 0))
    triangles = _triangles(b, _on_diagonal(b, a, size), pivots)
    inverses = b.reshape(_inverses(b, triangles, b.div(1.0, pivots)), (batch, count, size, size))
    triangles = b.reshape(triangles, inverses.shape)
    x: Value | None = None
    for i in range(count):
        at, end = i * size, (i + 1) * size
        row = b.slice(y, (0, at, 0), (batch, end, r))
        if x is not None:
            row = b.sub(row, _product(b, b.slice(a, (0, at, 0), (batch, end, at)), x))
        own, inverse = (
            b.reshape(b.slice(v, (0, i, 0, 0), (batch, i + 1, size, size)), (batch, size, size))
            for v in (triangles, inverses)
        )
        solved = _product(b, inverse, row)
        left = b.sub(row, _product(b, own, solved))
        solved = b.add(solved, _product(b, inverse, left))  # what an inverse of a block near a singular one loses
        x = solved if x is None else b.concatenate([x, solved], 1)
    assert x is not None  # there is a block
    return b.reshape(b.slice(x, (0, 0, 0), (batch, n, r)), (*lead, n, r))


def _power(n: int) -> int:
    """The power of two that is n or the next above."""
    return 1 << (n - 1).bit_length()


def _on_diagonal(b: Builder, a: Value, size: int) -> Value:
    """The blocks on the diagonal of each a [batch, n, n], as [batch n/size, size, size]."""
    batch, n, _ = a.shape
    count = n // size
    split = b.reshape(a, (batch, count, size, count, size))
    own = b.compare("EQ", *(b.iota(dim, split.shape) for dim in (1, 3)))
    return b.reshape(b.sum(b.select(own, split, 0.0), (3,)), (batch * count, size, size))


def _triangles(b: Builder, t: Value, pivots: Value) -> Value:
    """The lower triangles of t [count, size, size], with these diagonals."""
    rows, columns = (b.iota(dim, t.shape) for dim in (1, 2))
    below = b.select(b.compare("GT", rows, columns), t, 0.0)
    diagonal = b.broadcast(b.reshape(pivots, t.shape[:2]), t, (0, 1))
    return b.select(b.compare("EQ", rows, columns), diagonal, below)


def _inverses(b: Builder, t: Value, pivots: Value) -> Value:
    """Of lower triangles [count, size, size]: [p 0; q s]⁻¹ = [p⁻¹ 0; -s⁻¹ q p⁻¹ s⁻¹], for blocks of 1, 2, 4, .. rows.

    `pivots` are the reciprocals of their diagonals. What lies above these is not read.
    """
    count, size, _ = t.shape
    inverse = b.reshape(pivots, (count * size, 1, 1))
    while (k := inverse.shape[-1]) < size:
        pairs = count * size // (2 * k)
        both = b.reshape(inverse, (pairs, 2, k, k))
        p, s = (b.reshape(b.slice(both, (0, i, 0, 0), (pairs, i + 1, k, k)), (pairs, k, k)) for i in (0, 1))
        q = b.slice(_on_diagonal(b, t, 2 * k), (0, k, 0), (pairs, 2 * k, k))
        corner = b.unary("neg", _product(b, _product(b, s, q), p))
        above = b.concatenate([p, b.constant(0.0, q.type)], 2)
        inverse = b.concatenate([above, b.concatenate([corner, s], 2)], 1)
    return inverse


def _product(b: Builder, x: Value, y: Value) -> Value:
    """x y of each pair of [batch, .., ..]."""
    return b.dot(x, y, (2, 1), ((0,), (0,)))
