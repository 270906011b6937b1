"""Meanings: slice, pad, concatenate, rows of a table: sums over all indices of what is at the right one.

So what a slice and a pad say of the same place is the same indicator, and no theorem needs to know how long axes are.
"""

from __future__ import annotations

from netc.codegen.ir import Op, Value
from netc.proofs.axes import UnreadError
from netc.proofs.exported import Exported, Indices, bound, one_index
from netc.proofs.terms import ZERO, Term, add, mul, sums


def _placed(e: Exported, small: Term, large: Term, start: int, stride: int) -> Term:
    """1 where start + stride small = large."""
    scaled = small if stride == 1 else ("times", small, e.offset(stride))
    return ("ind", ("equal", scaled if start == 0 else ("plus", e.offset(start), scaled), large))


def slice_(e: Exported, op: Op, at: Indices) -> Term:
    """y[i] = sum of x[j] where j = start + stride i."""
    x, own = op.operands[0], dict(op.attrs)
    cut = [a for a, n in enumerate(x.shape) if (own["start"][a], own["limit"][a], own["stride"][a]) != (0, n, 1)]
    new, made = bound(e, x, cut)
    factors = [
        _placed(
            e, one_index(e, op.result, a, at[a]), one_index(e, x, a, new[a]), own["start"][a], own["stride"][a]
        )
        for a in cut
    ]  # fmt: skip
    return sums(tuple(made), mul(*factors, e.at(x, [new.get(a, at[a]) for a in range(len(at))])))


def pad(e: Exported, op: Op, at: Indices) -> Term:
    """y[j] = sum of x[i] where j = low + (1 + interior) i; 0 elsewhere."""
    x, value = op.operands
    given = e.definitions.get(e.names[value])
    if given is None or given.body != ZERO:
        raise UnreadError(op.loc, "pad with another number than 0")
    padded = [a for a in range(len(at)) if any(op.attr(w)[a] for w in ("low", "high", "interior"))]
    new, made = bound(e, x, padded)
    factors = []
    for a in padded:
        small, large, low = one_index(e, x, a, new[a]), one_index(e, op.result, a, at[a]), op.attr("low")[a]
        large = ("plus", e.offset(-low), large) if low < 0 else large
        factors.append(_placed(e, small, large, max(low, 0), 1 + op.attr("interior")[a]))
    return sums(tuple(made), mul(*factors, e.at(x, [new.get(a, at[a]) for a in range(len(at))])))


def concatenate(e: Exported, op: Op, at: Indices) -> Term:
    """y[j] = sum over the parts x of the sum of x[i] where j = start of x + i."""
    dim, start, parts = op.attr("dim"), 0, []
    large = one_index(e, op.result, dim, at[dim])
    for x in op.operands:
        new, made = bound(e, x, (dim,))
        one = _placed(e, one_index(e, x, dim, new[dim]), large, start, 1)
        parts.append(sums(tuple(made), mul(one, e.at(x, [*at[:dim], new[dim], *at[dim + 1 :]]))))
        start += x.shape[dim]
    return add(*parts)


def _row(e: Exported, op: Op, table: Value, ids: Value, row: tuple[Term, ...], at: Indices) -> Term:
    """1 where the row is the one that an id means; as the operation has it, an id too large means the last."""
    sizes = e.axes.names(table)[0]
    if len(sizes) != 1:
        raise UnreadError(op.loc, f"{op.kind} of a table whose rows are split")
    return ("ind", ("equal", ("clamp", sizes[0], e.at(ids, at)), row[0]))


def take(e: Exported, op: Op, at: Indices) -> Term:
    """y[.., d] = the sum of the table[v, d] whose row v is the id's."""
    table, ids = op.operands
    new, made = bound(e, table, (0,))
    return sums(tuple(made), mul(_row(e, op, table, ids, new[0], at[:-1]), e.at(table, [new[0], at[-1]])))


def take_grad(e: Exported, op: Op, at: Indices) -> Term:
    """table[v, d] = the sum of the dy[.., d] whose id means row v."""
    ids, dy = op.operands
    new, made = bound(e, dy, range(len(dy.shape) - 1))
    where = [new[a] for a in range(len(dy.shape) - 1)]
    return sums(tuple(made), mul(_row(e, op, op.result, ids, at[0], where), e.at(dy, [*where, at[-1]])))
