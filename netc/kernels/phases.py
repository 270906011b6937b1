"""A kernel cut at its barriers: what all threads of a block do before any of them goes on.

Source of the transformation: Stratton, Stone, Hwu, MCUDA, LCPC 2008: a loop over threads around each piece, and
loops and branches that hold barriers outside of it, where all threads agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

from netc.kernels.ir import (
    Barrier,
    Expr,
    For,
    If,
    Kernel,
    Let,
    Load,
    Place,
    Stmt,
    Var,
    While,
    expressions,
    meets_barrier,
)
from netc.kernels.spelling import changed, used


@dataclass(frozen=True)
class Together:
    """Statements without a barrier: each thread does them all, one thread after another."""

    body: tuple[Stmt, ...]


@dataclass(frozen=True)
class Agreed:
    """A branch or loop with barriers inside: all threads of a block go the same way."""

    head: If | For | While
    then: tuple[Phase, ...]
    otherwise: tuple[Phase, ...] = ()


Phase: TypeAlias = "Together | Agreed"


def phases(body: tuple[Stmt, ...]) -> tuple[Phase, ...]:
    """The body, cut at its barriers."""
    found: list[Phase] = []
    run: list[Stmt] = []
    for s in body:
        if not meets_barrier(s):
            run.append(s)
            continue
        if run:
            found.append(Together(tuple(run)))
            run = []
        if isinstance(s, If):
            found.append(Agreed(s, phases(s.then), phases(s.otherwise)))
        elif isinstance(s, For | While):
            found.append(Agreed(s, phases(s.body)))
        else:
            assert isinstance(s, Barrier)
    return (*found, Together(tuple(run))) if run else tuple(found)


@dataclass(frozen=True)
class Kept:
    """What lives across barriers: `again` is computed anew in each piece, `held` stands in an array of the threads."""

    again: dict[str, Expr]
    held: dict[str, Expr]


def kept(kernel: Kernel) -> Kept:
    """The variables that more than one piece needs."""
    cut = phases(kernel.body)
    needs = list(_needs(cut))
    same = {s.name for s in kernel.scalars} | {p.head.name for p in _agreed(cut) if isinstance(p.head, For)}
    mutable = changed(kernel.body)
    again: dict[str, Expr] = {}
    held: dict[str, Expr] = {}
    for s in _lets(cut):
        if sum(s.name in names for names in needs) < 2:
            continue
        pure = not any(isinstance(e, Load) for e in expressions(s.value))
        known = all(e.name in same or e.name in again for e in expressions(s.value) if isinstance(e, Var))
        (again if pure and known and s.name not in mutable else held)[s.name] = s.value
    return Kept(again, held)


def _agreed(cut: tuple[Phase, ...]) -> Iterator[Agreed]:
    for p in cut:
        if isinstance(p, Agreed):
            yield p
            yield from _agreed((*p.then, *p.otherwise))


def _needs(cut: tuple[Phase, ...]) -> Iterator[set[str]]:
    """Of each piece, and each head of a loop or branch, the variables that it declares or uses."""
    for p in cut:
        if isinstance(p, Together):
            yield used(p.body) | {s.name for s in p.body if isinstance(s, Let)}
        else:
            yield {e.name for part in heads(p.head) for e in expressions(part) if isinstance(e, Var)}
            yield from _needs((*p.then, *p.otherwise))


def _lets(cut: tuple[Phase, ...]) -> Iterator[Let]:
    for p in cut:
        if isinstance(p, Together):
            yield from (s for s in p.body if isinstance(s, Let))
        else:
            yield from _lets((*p.then, *p.otherwise))


def heads(s: If | For | While) -> tuple[Expr, ...]:
    """The expressions that decide where all threads go."""
    return (s.start, s.stop, s.step) if isinstance(s, For) else (s.condition,)


def agrees(e: Expr, same: set[str]) -> bool:
    """Whether all threads of a block have the same value for sure; `same`: variables that they agree on."""
    return all(
        not isinstance(inner, Load)
        and (not isinstance(inner, Var) or inner.name in same)
        and (not isinstance(inner, Place) or inner.name != "threadIdx")
        for inner in expressions(e)
    )


def in_full(e: Expr, again: dict[str, Expr]) -> Expr:
    """The expression without the variables that are computed anew: their values stand in it."""
    if isinstance(e, Var):
        return in_full(again[e.name], again) if e.name in again else e
    changes: dict[str, Any] = {}
    for f in fields(e):
        value = getattr(e, f.name)
        if isinstance(value, Expr):
            changes[f.name] = in_full(value, again)
        elif isinstance(value, tuple):
            changes[f.name] = tuple(in_full(v, again) for v in value)
    return replace(e, **changes)
