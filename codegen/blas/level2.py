"""BLAS, level 2: a matrix and vectors."""

from __future__ import annotations

from netc.codegen.blas.level1 import ALPHA, X
from netc.codegen.blas.matrices import (
    inner,
    of_symmetric,
    of_triangular,
    outer,
    product,
    solved,
    symmetric,
    times,
    triangular,
)
from netc.codegen.blas.table import Computed, Operand, Routine, other
from netc.codegen.builder import Builder
from netc.codegen.ir import Value


def gemv(b: Builder, alpha: Value, a: Value, x: Value, beta: Value, y: Value, *, trans: str = "n") -> Computed:
    """alpha op(a) x + beta y."""
    p = product(b, a, x, trans)

    def pull(g: Value) -> tuple[Value, ...]:
        ag = times(b, alpha, g)
        da = outer(b, ag, x) if trans == "n" else outer(b, x, ag)  # d op(A) = α g xᵀ
        dx = product(b, a, ag, other("trans", trans))  # dx = α op(A)ᵀ g
        return inner(b, p, g), da, dx, inner(b, y, g), times(b, beta, g)  # dα = pᵀ g, dβ = yᵀ g, dy = β g

    return Computed((b.add(times(b, alpha, p), times(b, beta, y)),), pull)


def ger(b: Builder, alpha: Value, x: Value, y: Value, a: Value) -> Computed:
    """alpha x yᵀ + a."""

    def pull(g: Value) -> tuple[Value, ...]:
        gy = product(b, g, y)
        dx, dy = times(b, alpha, gy), times(b, alpha, product(b, g, x, "t"))  # dx = α G y, dy = α Gᵀ x
        return inner(b, x, gy), dx, dy, g  # dα = xᵀ G y, dA = G

    return Computed((b.add(times(b, alpha, outer(b, x, y)), a),), pull)


def symv(b: Builder, alpha: Value, a: Value, x: Value, beta: Value, y: Value, *, uplo: str = "u") -> Computed:
    """alpha s x + beta y, with s the symmetric matrix of which a triangle is stored in a."""
    s = symmetric(b, a, uplo)
    p = product(b, s, x)

    def pull(g: Value) -> tuple[Value, ...]:
        ag = times(b, alpha, g)
        da = of_symmetric(b, outer(b, ag, x), uplo)  # dS = α g xᵀ
        return inner(b, p, g), da, product(b, s, ag), inner(b, y, g), times(b, beta, g)  # dx = α Sᵀ g = α S g

    return Computed((b.add(times(b, alpha, p), times(b, beta, y)),), pull)


def trmv(b: Builder, a: Value, x: Value, *, uplo: str = "u", trans: str = "n", diag: str = "n") -> Computed:
    """op(t) x, with t the triangular matrix that is stored in a."""

    def pull(g: Value) -> tuple[Value, ...]:
        (dx,) = trmv(b, a, g, uplo=uplo, trans=other("trans", trans), diag=diag).results  # dx = op(T)ᵀ g
        dt = outer(b, g, x) if trans == "n" else outer(b, x, g)  # d op(T) = g xᵀ
        return of_triangular(b, dt, uplo, diag), dx

    return Computed((product(b, triangular(b, a, uplo, diag), x, trans),), pull)


def trsv(b: Builder, a: Value, x: Value, *, uplo: str = "u", trans: str = "n", diag: str = "n") -> Computed:
    """op(t)⁻¹ x."""

    def solution(y: Value, by: str) -> Value:
        return b.reshape(solved(b, a, b.reshape(y, (*y.shape, 1)), "l", uplo, by, diag), y.shape)

    z = solution(x, trans)

    def pull(g: Value) -> tuple[Value, ...]:
        dx = solution(g, other("trans", trans))  # dx = op(T)⁻ᵀ g: the other triangular system
        dt = b.unary("neg", outer(b, dx, z) if trans == "n" else outer(b, z, dx))  # d op(T) = -dx zᵀ
        return of_triangular(b, dt, uplo, diag), dx

    return Computed((z,), pull)


SQUARE, BETA = Operand("a", "nn"), Operand("beta")
ACROSS, ALONG = Operand("x", "n", "trans", "m"), Operand("y", "m", "trans", "n")
TRIANGULAR = ("uplo", "trans", "diag")
ROWS: tuple[Routine, ...] = (
    Routine("gemv", 2, "y = alpha op(a) x + beta y", (ALPHA, Operand("a", "mn"), ACROSS, BETA, ALONG), ("y",), gemv,
            ("trans",)),
    Routine("ger", 2, "a = alpha x yᵀ + a", (ALPHA, Operand("x", "m"), Operand("y", "n"), Operand("a", "mn")), ("a",),
            ger),
    Routine("symv", 2, "y = alpha sym(a) x + beta y", (ALPHA, SQUARE, X, BETA, Operand("y", "n")), ("y",), symv,
            ("uplo",)),
    Routine("trmv", 2, "x = op(tri(a)) x", (SQUARE, X), ("x",), trmv, TRIANGULAR),
    Routine("trsv", 2, "x = op(tri(a))⁻¹ x", (SQUARE, X), ("x",), trsv, TRIANGULAR),
)  # fmt: skip
