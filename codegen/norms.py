"""Norms over all tensors of a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netc.codegen.builder import Builder
from netc.codegen.ir import Value

GROUP = 16  # terms of one sum


def norm(b: Builder, tensors: Sequence[Value]) -> Value:
    """sqrt(sum of the squares of all elements)."""
    totals = [b.sum(b.mul(t, t), tuple(range(len(t.shape)))) for t in tensors]
    return b.unary("sqrt", grouped_sum(b, totals, lambda v: v))


def grouped_sum(b: Builder, terms: Sequence[Value], each: Callable[[Value], Value]) -> Value:
    """The sum of scalars: of groups of GROUP of them, of groups of these sums, and so on; `each` takes every sum."""
    totals = list(terms)
    while len(totals) > 1:
        totals = [each(_added(b, totals[i : i + GROUP])) for i in range(0, len(totals), GROUP)]
    return totals[0]


def _added(b: Builder, terms: Sequence[Value]) -> Value:
    total = terms[0]
    for t in terms[1:]:
        total = b.add(total, t)
    return total
