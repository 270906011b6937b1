"""How a program is lowered for a class of targets: one row for each, of the passes that differ and the dialect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from netc.codegen.c.drawn_rows import draw_in_rows
from netc.codegen.ir import Module
from netc.codegen.ops.table import Dialect
from netc.codegen.rewrite.form_overrides import FormOverrides
from netc.codegen.rewrite.form_tables import ProfileName
from netc.codegen.rewrite.iree.added_rows import add_rows_in_place
from netc.codegen.rewrite.iree.column_sums import sum_columns
from netc.codegen.rewrite.iree.given_scratch import give_scratch
from netc.codegen.rewrite.iree.held_cotangents import hold_cotangents
from netc.codegen.rewrite.iree.in_place import update_in_place
from netc.codegen.rewrite.iree.long_products import cut_long_products
from netc.codegen.rewrite.iree.packed_windows import part_packed_windows
from netc.codegen.rewrite.iree.shared_draws import share_draws
from netc.codegen.rewrite.iree.turned_products import part_turned_products
from netc.codegen.rewrite.iree.unseen_zeros import add_unseen_zeros
from netc.codegen.rewrite.iree.vector_products import part_vector_products
from netc.codegen.rewrite.iree.workarounds import WORKAROUNDS
from netc.codegen.rewrite.plain_forms import erf_functions, plain_forms
from netc.codegen.rewrite.products import sum_before_products
from netc.codegen.rewrite.reductions import split_reductions
from netc.codegen.rewrite.select_forms import select_forms
from netc.codegen.rewrite.xla.entries import entry_modules
from netc.codegen.rewrite.xla.fences import KEPT
from netc.codegen.rewrite.xla.held_masks import hold_masks

Pass = Callable[[Module], Module]
Passes = tuple[tuple[str, Pass], ...]
Parts = Callable[[Module], tuple[Module, ...]]


def _whole(module: Module) -> tuple[Module, ...]:
    return (module,)


@dataclass(frozen=True, slots=True)
class LoweringProfile:
    """One row. `dialect` is what its text is written in (codegen/render.py).

    `first` are passes on the module as the rules emit it. `forms(overrides)` leave only operations which StableHLO has;
    `late` come after all simplification, and `last` after equal blocks became loops. `parts(module)` are the modules
    that its text consists of, each of which its compiler is given by itself.
    """

    dialect: Dialect
    forms: Callable[[FormOverrides], Passes]
    first: Passes = ()
    late: Passes = ()
    last: Passes = ()
    parts: Parts = _whole


SPLIT = ("split_reductions", split_reductions)


def _measured(profile: ProfileName, more: Passes = (SPLIT,)) -> Callable[[FormOverrides], Passes]:
    """The forms of the profile's table, or of `overrides`, sums before products, and `more`."""

    def passes(overrides: FormOverrides) -> Passes:
        return (
            ("select_forms", lambda module: select_forms(module, profile, overrides)),
            ("sum_before_products", sum_before_products),
            *more,
        )

    return passes


def _around(profile: ProfileName, when: str) -> Passes:
    """The workarounds of a profile at one time."""
    return tuple((w.name, w.change) for w in WORKAROUNDS if profile in w.profiles and w.when == when)


def _for_iree(profile: ProfileName, more: Passes = (SPLIT,), scratch: Passes = (), end: Passes = ()) -> LoweringProfile:
    first, late, last = (_around(profile, when) for when in ("first", "late", "last"))
    return LoweringProfile("iree", _measured(profile, more), first, late, (*scratch, *last, *end))


_BESIDE_FORMS = (
    ("sum_columns", sum_columns),
    SPLIT,
    ("hold_cotangents", hold_cotangents),
    ("add_rows_in_place", add_rows_in_place),
    ("cut_long_products", cut_long_products),
    ("part_vector_products", part_vector_products),
    ("part_turned_products", part_turned_products),
    ("part_packed_windows", part_packed_windows),
    ("add_unseen_zeros", add_unseen_zeros),
)
_CPU = _for_iree(
    "cpu",
    _BESIDE_FORMS,
    scratch=(("give_scratch", give_scratch),),
    end=(("share_draws", share_draws), ("update_in_place", update_in_place)),
)
PROFILES: dict[ProfileName, LoweringProfile] = {
    "cpu": _CPU,
    "cpu-avx2": replace(_CPU, forms=_measured("cpu-avx2", _BESIDE_FORMS)),
    "gpu": _for_iree("gpu"),
    "xla": LoweringProfile(
        "xla",
        _measured("xla", (SPLIT, ("hold_masks", hold_masks))),
        tuple((f.name, f.change) for f in KEPT),
        parts=entry_modules,
    ),
    "plain": LoweringProfile(
        "stablehlo", lambda overrides: (("plain_forms", plain_forms),), last=(("erf_functions", erf_functions),)
    ),
    "c": LoweringProfile("c", lambda overrides: (("draw_in_rows", draw_in_rows),)),
}
