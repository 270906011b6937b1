"""The pipeline: from a module as the rules emit it to one that StableHLO can say."""

from __future__ import annotations

from collections.abc import Callable

from netc.codegen.ir import Module, Op
from netc.codegen.rewrite.cse import cse
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.fold import fold
from netc.codegen.rewrite.products import sum_before_products
from netc.codegen.rewrite.reductions import split_reductions
from netc.codegen.rewrite.schedule import Family, schedule
from netc.codegen.verify import verify

Pass = Callable[[Module], Module]


def passes(family: Family) -> tuple[tuple[str, Pass], ...]:
    """The passes for a family of targets, in order, with their names."""

    def chosen(module: Module) -> Module:
        return schedule(module, family)

    return (
        ("dce", dce),
        ("fold", fold),
        ("cse", cse),
        ("schedule", chosen),
        ("sum_before_products", sum_before_products),
        ("split_reductions", split_reductions),
        ("fold", fold),
        ("cse", cse),
        ("dce", dce),
    )


def lower(module: Module, family: Family) -> Module:
    """Every pass in order, the verifier after each."""
    typed: set[Op] = set()
    verify(module, typed=typed)
    for _, step in passes(family):
        module = verify(step(module), typed=typed)
    return verify(module, lowered=True, typed=typed)
