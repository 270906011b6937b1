"""The pipeline: from a module as the rules emit it to one that StableHLO can say."""

from __future__ import annotations

from collections.abc import Callable

from netc.codegen.collector import no_collector
from netc.codegen.ir import Function, Module, Op
from netc.codegen.rewrite.cse import cse
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.fold import fold
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.codegen.rewrite.iree.barriers import barriers_for_iree
from netc.codegen.rewrite.iree.loops import loops_for_iree
from netc.codegen.rewrite.iree.narrow_copies import part_narrow_copies
from netc.codegen.rewrite.iree.repeated_sums import part_joined_sums, part_repeated_sums
from netc.codegen.rewrite.plain_forms import erf_functions, plain_forms
from netc.codegen.rewrite.products import sum_before_products
from netc.codegen.rewrite.reductions import split_reductions
from netc.codegen.rewrite.scan_blocks import scan_blocks
from netc.codegen.rewrite.select_forms import Family, schedule
from netc.codegen.verify import verify

Pass = Callable[[Module], Module]

# passes of one family only, after all others
_LAST: dict[Family, tuple[tuple[str, Pass], ...]] = {
    "cpu": (("part_joined_sums", part_joined_sums),),
    "gpu": (("part_repeated_sums", part_repeated_sums), ("part_narrow_copies", part_narrow_copies)),
    "xla": (),
    "plain": (),
}
_FOR_IREE: tuple[tuple[str, Pass], ...] = (("loops_for_iree", loops_for_iree), ("barriers_for_iree", barriers_for_iree))


def passes(
    family: Family, choices: FormOverrides = NO_OVERRIDES, *, scan: bool = False
) -> tuple[tuple[str, Pass], ...]:
    """The passes for a family of targets, in order, with their names."""

    def chosen(module: Module) -> Module:
        return schedule(module, family, choices)

    forms: tuple[tuple[str, Pass], ...] = (
        ("schedule", chosen),
        ("sum_before_products", sum_before_products),
        ("split_reductions", split_reductions),
    )
    return (
        ("dce", dce),
        ("fold", fold),
        ("cse", cse),
        *((("plain_forms", plain_forms),) if family == "plain" else forms),
        ("fold", fold),
        ("cse", cse),
        ("dce", dce),
        *_LAST[family],
        *((("scan_blocks", scan_blocks),) if scan else ()),
        *(_FOR_IREE if family in ("cpu", "gpu") else ()),
        *((("erf_functions", erf_functions),) if family == "plain" else ()),
    )


@no_collector()
def lower(module: Module, family: Family, choices: FormOverrides = NO_OVERRIDES, *, scan: bool = False) -> Module:
    """Every pass in order, the verifier after each. `choices` name forms for single convolutions, before the table.

    With `scan`, equal blocks in a row become loops.
    """
    sound: set[Op | Function] = set()
    verify(module, sound=sound)
    for _, step in passes(family, choices, scan=scan):
        module = verify(step(module), sound=sound)
    return verify(module, lowered=True, sound=sound)
