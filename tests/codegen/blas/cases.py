"""The routines with each choice of letters, operands for them, and what SciPy's BLAS and JAX say of them."""

import itertools

import jax.numpy as jnp
import numpy as np
from scipy.linalg import blas

from netc.codegen.blas import ROUTINES
from netc.codegen.blas.program import blas_module
from netc.codegen.blas.table import OPTIONS

SIZES = {"m": 3, "n": 5, "k": 4}
WORDS = {"side": "side", "uplo": "lower", "trans": "trans", "transa": "trans_a", "transb": "trans_b", "diag": "diag"}
"""SciPy's words for the options, of which 1 is the second letter."""
TRIANGULAR = ("trmv", "trsv", "trmm", "trsm")


def sizes_of(routine):
    return {letter: SIZES[letter] for letter in routine.sizes}


def letters_of(routine):
    """Every choice of letters."""
    chosen = itertools.product(*(OPTIONS[option] for option in routine.options))
    return [dict(zip(routine.options, made, strict=True)) for made in chosen]


def operands(routine, letters, dtype=np.float64, seed=0):
    """Random ones; a triangular matrix is far from singular."""
    rng = np.random.default_rng(seed)
    made = []
    for operand in routine.operands:
        x = np.asarray(rng.normal(size=operand.shape(sizes_of(routine), letters)))
        if routine.name in TRIANGULAR and operand.name == "a":
            x = x + 3 * np.eye(len(x))
        made.append(x.astype(dtype))
    return made


def module(routine, letters, dtype="f64", *, pullback=False):
    return blas_module(routine, sizes_of(routine), letters, dtype, pullback=pullback)


# SciPy takes a vector that is added to behind the others, and alpha of axpy and scal elsewhere
THEIRS = {
    "copy": lambda f, x: f(x, np.zeros_like(x)),
    "axpy": lambda f, alpha, x, y: f(x, y, a=alpha),
    "ger": lambda f, alpha, x, y, a: f(alpha, x, y, a=a),
    "gemv": lambda f, alpha, a, x, beta, y, **words: f(alpha, a, x, beta, y, **words),
}


def by_scipy(routine, letters, args):
    """The results by the BLAS that SciPy was built with, in the type of the arguments."""
    kind = "s" if args[0].dtype == np.float32 else "d"
    name = f"i{kind}{routine.name[1:]}" if routine.name == "iamax" else kind + routine.name
    words = {WORDS[option]: list(OPTIONS[option]).index(letter) for option, letter in letters.items()}
    own = [np.asfortranarray(x.copy()) if x.ndim else x.item() for x in args]
    found = THEIRS.get(routine.name, lambda f, *given, **words: f(*given, **words))(getattr(blas, name), *own, **words)
    return found if isinstance(found, tuple) else (found,)


def op(x, letter):
    return x.T if letter == "t" else x


def tri(a, uplo, diag="n"):
    kept = jnp.triu(a) if uplo == "u" else jnp.tril(a)
    return kept if diag == "n" else kept - jnp.diag(jnp.diag(a)) + jnp.eye(len(a))


def sym(a, uplo):
    kept = tri(a, uplo)
    return kept + kept.T - jnp.diag(jnp.diag(a))


def syrk(alpha, a, beta, c, uplo, trans):
    full = alpha * op(a, trans) @ op(a, trans).T + beta * c
    return tri(full, uplo) + (c - tri(c, uplo))


def beside(t, b, side):
    return t @ b if side == "l" else b @ t


def solve(t, b, side):
    return jnp.linalg.solve(t, b) if side == "l" else jnp.linalg.solve(t.T, b.T).T


JAX = {
    "dot": lambda x, y: x @ y,
    "nrm2": lambda x: jnp.sqrt(jnp.sum(x**2)),
    "asum": lambda x: jnp.sum(jnp.abs(x)),
    "axpy": lambda alpha, x, y: alpha * x + y,
    "scal": lambda alpha, x: alpha * x,
    "copy": lambda x: x,
    "swap": lambda x, y: (y, x),
    "rot": lambda x, y, c, s: (c * x + s * y, c * y - s * x),
    "gemv": lambda alpha, a, x, beta, y, trans: alpha * op(a, trans) @ x + beta * y,
    "ger": lambda alpha, x, y, a: alpha * jnp.outer(x, y) + a,
    "symv": lambda alpha, a, x, beta, y, uplo: alpha * sym(a, uplo) @ x + beta * y,
    "trmv": lambda a, x, uplo, trans, diag: op(tri(a, uplo, diag), trans) @ x,
    "trsv": lambda a, x, uplo, trans, diag: jnp.linalg.solve(op(tri(a, uplo, diag), trans), x),
    "gemm": lambda alpha, a, b, beta, c, transa, transb: alpha * op(a, transa) @ op(b, transb) + beta * c,
    "symm": lambda alpha, a, b, beta, c, side, uplo: alpha * beside(sym(a, uplo), b, side) + beta * c,
    "syrk": syrk,
    "trmm": lambda alpha, a, b, side, uplo, transa, diag: alpha * beside(op(tri(a, uplo, diag), transa), b, side),
    "trsm": lambda alpha, a, b, side, uplo, transa, diag: alpha * solve(op(tri(a, uplo, diag), transa), b, side),
}
DIFFERENTIABLE = [name for name, routine in ROUTINES.items() if routine.differentiable]
