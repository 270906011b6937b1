"""What hangs on the order of elements: sorts, the largest k, and reductions of several tensors at once.

The float run decides the order; the residues and tangents go along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netc.codegen.ir import Function, Op
from netc.codegen.ops.table import Meaning
from netc.proofs_oracle.certificate.bodies import apply
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.foreign import halved, plain
from netc.proofs_oracle.certificate.residues import Array

PAIRS = 1 << 22  # compared at a time
LONGEST = 1 << 13  # elements of one row that is sorted


def fold(A: Any, op: Op, *operands: Any) -> Any:
    """One result of a reduction of several tensors by a body that was proven free of order; the initial values too."""
    body: Function = op.attr("body")
    count = len(operands) // 2
    rows, init = operands[:count], operands[count:]
    for x in operands:
        if np.isnan(plain(x)).any():
            raise CertifyError("wants numbers to compare, got NaN; there is no rule for its place")
    found = halved(A, rows, op.attr("dims"), lambda a, b: apply(body, A, [*a, *b]))
    first = [A.broadcast(i, A.shape(x), ()) for i, x in zip(init, found, strict=True)]
    return apply(body, A, [*first, *found])[op.attr("which")]


def sort(A: Any, op: Op, *operands: Any) -> Any:
    """One operand in the order that the body says of all of them."""
    dim: int = op.attr("dim")
    rows = [np.moveaxis(plain(x), dim, -1) for x in operands]
    shape = rows[0].shape
    order = _order(A, op.attr("body"), [r.reshape(-1, shape[-1]) for r in rows], op.attr("stable"))
    flat = np.arange(order.size).reshape(plain(operands[0]).shape)
    places = np.take_along_axis(np.moveaxis(flat, dim, -1), order.reshape(shape), -1)
    return A.gather(operands[op.attr("which")], np.moveaxis(places, -1, dim))


def _order(A: Any, body: Function, rows: Sequence[Array], stable: bool) -> Array:
    """[rows, n]: which element comes first, second, ..: the rank of each is how many come before it."""
    count, n = rows[0].shape
    if n > LONGEST:
        raise CertifyError(f"wants at most {LONGEST} elements to sort, got {n}; no rule")
    step = max(1, PAIRS // (n * n))
    return np.concatenate([_ordered(A, body, [r[i : i + step] for r in rows], stable) for i in range(0, count, step)])


def _ordered(A: Any, body: Function, rows: Sequence[Array], stable: bool) -> Array:
    pairs = [v for r in rows for v in (r[:, :, None], r[:, None, :])]  # element i beside element j
    n = rows[0].shape[1]
    (less,) = apply(body, A.floats, pairs)
    less = np.broadcast_to(less, (len(rows[0]), n, n))
    if (less & less.transpose(0, 2, 1)).any():
        raise CertifyError(
            "wants a sort by a strict order, got two elements each before the other; compare by LT or GT"
        )
    tied = ~less & ~less.transpose(0, 2, 1)
    if not stable and (tied.sum() > tied.shape[0] * n):
        raise CertifyError(
            "wants a stable sort, or no equal elements, got some: their order is not said; set is_stable"
        )
    earlier = np.tri(n, n, -1, dtype=bool).T  # i before j as they stand
    order = np.argsort((less | tied & earlier).sum(1), -1, kind="stable")
    ranked = np.take_along_axis(np.take_along_axis(less, order[:, :, None], 1), order[:, None, :], 2)
    if np.tril(ranked).any():
        raise CertifyError("wants a sort by an order, got a comparison that is circular")
    return np.asarray(order)


def top_k(A: Any, op: Op, x: Any) -> Any:
    """The k largest of the last axis, or their places; of equals the first."""
    if np.isnan(x.real).any():
        raise CertifyError("wants numbers to compare, got NaN; there is no rule for its place")
    order = np.argsort(-x.real, -1, kind="stable")[..., : op.attr("k")]
    if op.attr("which"):
        return order.astype(A.floats.dtype(op.result.type.dtype))
    flat = np.arange(x.real.size).reshape(x.real.shape)
    return A.gather(x, np.take_along_axis(flat, order, -1))


def random_bits(A: Any, op: Op, state: Array) -> Any:
    """Bits that the state decides and nothing else is known of; the next state likewise."""
    words = np.ascontiguousarray(state).reshape(-1).astype(np.uint64)
    rng = np.random.default_rng([A.key & 0xFFFFFFFF, op.attr("which"), *(int(w) for w in words)])
    held = A.floats.dtype(op.result.type.dtype)
    if held.kind not in "iu":
        raise CertifyError(f"wants random bits as integers, got {op.result.type}; no rule")
    info = np.iinfo(held)
    return rng.integers(info.min, info.max, op.result.shape, held, endpoint=True)


ORDERED: dict[str, Meaning] = {"fold": fold, "sort": sort, "top_k": top_k, "random_bits": random_bits}
"""Operations that ask for an order, or for bits."""
