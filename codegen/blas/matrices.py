"""What the routines are made of: multiples, products, and matrices of which one triangle is read."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value


def times(b: Builder, alpha: Value, x: Value) -> Value:
    """The scalar alpha times x."""
    return b.mul(b.broadcast(alpha, x, ()), x)


def inner(b: Builder, x: Value, y: Value) -> Value:
    """The sum of the products of the elements of x and y."""
    every = tuple(range(len(x.shape)))
    return b.dot(x, y, (every, every))


def product(b: Builder, x: Value, y: Value, by_x: str = "n", by_y: str = "n") -> Value:
    """op(x) op(y) of matrices, or of a matrix and a vector; op transposes by `t`."""
    left = 1 if by_x == "n" and len(x.shape) == 2 else 0
    right = 1 if by_y == "t" and len(y.shape) == 2 else 0
    return b.dot(x, y, (left, right))


def outer(b: Builder, x: Value, y: Value) -> Value:
    """x yᵀ of vectors."""
    return b.dot(x, y, ((), ()))


def within(b: Builder, n: int, uplo: str, *, strict: bool = False) -> Value:
    """Whether a place of [n, n] is in the triangle: `u` above the diagonal, `l` below it, with it or, strict, not."""
    rows, columns = (b.iota(dim, (n, n)) for dim in (0, 1))
    low, high = (rows, columns) if uplo == "u" else (columns, rows)
    return b.compare("LT" if strict else "LE", low, high)


def triangle(b: Builder, x: Value, uplo: str, *, strict: bool = False) -> Value:
    """The triangle of x, zeros in the other."""
    return b.select(within(b, x.shape[0], uplo, strict=strict), x, 0.0)


def triangular(b: Builder, a: Value, uplo: str, diag: str) -> Value:
    """The triangular matrix that is stored in a."""
    t = triangle(b, a, uplo)
    return t if diag == "n" else b.select(_diagonal(b, a.shape[0]), 1.0, t)


def of_triangular(b: Builder, dt: Value, uplo: str, diag: str) -> Value:
    """The gradient of a by that of the triangular matrix: of what is not read it is 0."""
    return triangle(b, dt, uplo, strict=diag == "u")


def symmetric(b: Builder, a: Value, uplo: str) -> Value:
    """The symmetric matrix of which a triangle is stored in a."""
    return b.select(within(b, a.shape[0], uplo), a, b.transpose(a, (1, 0)))


def of_symmetric(b: Builder, ds: Value, uplo: str) -> Value:
    """The gradient of a by that of the symmetric matrix: what is stored once and stands twice has both shares."""
    both = triangle(b, b.add(ds, b.transpose(ds, (1, 0))), uplo, strict=True)
    return b.select(_diagonal(b, ds.shape[0]), ds, both)


def solved(b: Builder, a: Value, y: Value, side: str, uplo: str, trans: str, diag: str) -> Value:
    """x of op(t) x = y, or of x op(t) = y where the side is `r`, with t the triangular matrix that is stored in a."""
    words = {"left_side": side == "l", "lower": uplo == "l", "transpose_a": trans == "t", "unit_diagonal": diag == "u"}
    return b.op("triangular_solve", a, y, **words)


def _diagonal(b: Builder, n: int) -> Value:
    return b.compare("EQ", b.iota(0, (n, n)), b.iota(1, (n, n)))
