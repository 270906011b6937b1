"""BLAS, level 3: matrices."""

from __future__ import annotations

from netc.codegen.blas.level1 import ALPHA
from netc.codegen.blas.level2 import BETA
from netc.codegen.blas.matrices import (
    inner,
    of_symmetric,
    of_triangular,
    product,
    solved,
    symmetric,
    times,
    triangle,
    triangular,
    within,
)
from netc.codegen.blas.table import Computed, Operand, Routine, other
from netc.codegen.builder import Builder
from netc.codegen.ir import Value


def gemm(
    b: Builder, alpha: Value, a: Value, y: Value, beta: Value, c: Value, *, transa: str = "n", transb: str = "n"
) -> Computed:
    """alpha op(a) op(b) + beta c; `y` is b, and `b` the builder, here and below."""
    p = product(b, a, y, transa, transb)

    def pull(g: Value) -> tuple[Value, ...]:
        ag = times(b, alpha, g)
        # d op(A) = α G op(B)ᵀ, d op(B) = op(A)ᵀ α G; the transpose of that where op transposes
        da = product(b, ag, y, "n", other("transb", transb)) if transa == "n" else product(b, y, ag, transb, "t")
        dy = product(b, a, ag, other("transa", transa)) if transb == "n" else product(b, ag, a, "t", transa)
        return inner(b, p, g), da, dy, inner(b, c, g), times(b, beta, g)  # dα = <P, G>, dβ = <C, G>, dC = β G

    return Computed((b.add(times(b, alpha, p), times(b, beta, c)),), pull)


def symm(
    b: Builder, alpha: Value, a: Value, y: Value, beta: Value, c: Value, *, side: str = "l", uplo: str = "u"
) -> Computed:
    """alpha s b + beta c, or alpha b s + beta c, with s the symmetric matrix of which a triangle is stored in a."""
    s = symmetric(b, a, uplo)

    def beside(x: Value) -> Value:
        return product(b, s, x) if side == "l" else product(b, x, s)

    p = beside(y)

    def pull(g: Value) -> tuple[Value, ...]:
        ag = times(b, alpha, g)
        ds = product(b, ag, y, "n", "t") if side == "l" else product(b, y, ag, "t")  # dS = α G Bᵀ, or Bᵀ α G
        dy = beside(ag)  # dB = α Sᵀ G = α S G, or α G S
        return inner(b, p, g), of_symmetric(b, ds, uplo), dy, inner(b, c, g), times(b, beta, g)

    return Computed((b.add(times(b, alpha, p), times(b, beta, c)),), pull)


def syrk(b: Builder, alpha: Value, a: Value, beta: Value, c: Value, *, uplo: str = "u", trans: str = "n") -> Computed:
    """alpha op(a) op(a)ᵀ + beta c in the triangle, c in the other."""
    p = product(b, a, a, trans, other("trans", trans))
    own = within(b, c.shape[0], uplo)

    def pull(g: Value) -> tuple[Value, ...]:
        h = triangle(b, g, uplo)
        w = times(b, alpha, b.add(h, b.transpose(h, (1, 0))))
        da = product(b, w, a) if trans == "n" else product(b, a, w)  # d op(A) = α (H + Hᵀ) op(A), H the triangle of G
        dc = b.select(own, times(b, beta, g), g)
        return inner(b, p, h), da, inner(b, c, h), dc  # dα = <P, H>, dβ = <C, H>

    return Computed((b.select(own, b.add(times(b, alpha, p), times(b, beta, c)), c),), pull)


def trmm(
    b: Builder, alpha: Value, a: Value, y: Value, *, side: str = "l", uplo: str = "u", transa: str = "n",
    diag: str = "n",
) -> Computed:  # fmt: skip
    """alpha op(t) b, or alpha b op(t), with t the triangular matrix that is stored in a."""
    t = triangular(b, a, uplo, diag)
    p = product(b, t, y, transa) if side == "l" else product(b, y, t, "n", transa)

    def pull(g: Value) -> tuple[Value, ...]:
        back = trmm(b, alpha, a, g, side=side, uplo=uplo, transa=other("transa", transa), diag=diag)
        da = of_triangular(b, _of_op(b, times(b, alpha, g), y, side, transa), uplo, diag)
        return inner(b, p, g), da, back.results[0]  # dα = <P, G>, dB = α op(T)ᵀ G, or α G op(T)ᵀ

    return Computed((times(b, alpha, p),), pull)


def trsm(
    b: Builder, alpha: Value, a: Value, y: Value, *, side: str = "l", uplo: str = "u", transa: str = "n",
    diag: str = "n",
) -> Computed:  # fmt: skip
    """alpha op(t)⁻¹ b, or alpha b op(t)⁻¹."""
    x = solved(b, a, y, side, uplo, transa, diag)

    def pull(g: Value) -> tuple[Value, ...]:
        back = trsm(b, alpha, a, g, side=side, uplo=uplo, transa=other("transa", transa), diag=diag)
        (dy,) = back.results  # dB = α op(T)⁻ᵀ G, or α G op(T)⁻ᵀ: the other triangular system
        dt = b.unary("neg", _of_op(b, dy, x, side, transa))  # d op(T) = -dB Xᵀ, or -Xᵀ dB
        return inner(b, x, g), of_triangular(b, dt, uplo, diag), dy  # dα = <X, G>

    return Computed((times(b, alpha, x),), pull)


def _of_op(b: Builder, g: Value, x: Value, side: str, transa: str) -> Value:
    """dT where d op(T) is g xᵀ, or xᵀ g with T on the right."""
    if side == "l":
        return product(b, g, x, "n", "t") if transa == "n" else product(b, x, g, "n", "t")
    return product(b, x, g, "t") if transa == "n" else product(b, g, x, "t")


A_OR_T, B_OR_T = Operand("a", "mk", "transa", "km"), Operand("b", "kn", "transb", "nk")
BESIDE, B, C = Operand("a", "mm", "side", "nn"), Operand("b", "mn"), Operand("c", "mn")
TRIANGULAR = ("side", "uplo", "transa", "diag")
ROWS: tuple[Routine, ...] = (
    Routine("gemm", 3, "c = alpha op(a) op(b) + beta c", (ALPHA, A_OR_T, B_OR_T, BETA, C), ("c",), gemm,
            ("transa", "transb")),
    Routine("symm", 3, "c = alpha sym(a) b + beta c", (ALPHA, BESIDE, B, BETA, C), ("c",), symm, ("side", "uplo")),
    Routine("syrk", 3, "tri(c) = alpha op(a) op(a)ᵀ + beta c",
            (ALPHA, Operand("a", "nk", "trans", "kn"), BETA, Operand("c", "nn")), ("c",), syrk, ("uplo", "trans")),
    Routine("trmm", 3, "b = alpha op(tri(a)) b", (ALPHA, BESIDE, B), ("b",), trmm, TRIANGULAR),
    Routine("trsm", 3, "b = alpha op(tri(a))⁻¹ b", (ALPHA, BESIDE, B), ("b",), trsm, TRIANGULAR),
)  # fmt: skip
