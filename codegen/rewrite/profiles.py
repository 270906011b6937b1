"""How a program is lowered for a class of targets: one row for each, of the passes that differ and the dialect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netc.codegen.ir import Module
from netc.codegen.ops.table import Dialect
from netc.codegen.rewrite.form_overrides import FormOverrides
from netc.codegen.rewrite.form_tables import ProfileName
from netc.codegen.rewrite.iree.joint_barriers import part_joint_barriers
from netc.codegen.rewrite.iree.narrow_copies import part_narrow_copies
from netc.codegen.rewrite.iree.repeated_sums import part_joined_sums, part_repeated_sums
from netc.codegen.rewrite.plain_forms import erf_functions, plain_forms
from netc.codegen.rewrite.products import sum_before_products
from netc.codegen.rewrite.reductions import split_reductions
from netc.codegen.rewrite.select_forms import select_forms
from netc.codegen.rewrite.xla.entries import entry_modules

Pass = Callable[[Module], Module]
Passes = tuple[tuple[str, Pass], ...]


@dataclass(frozen=True, slots=True)
class LoweringProfile:
    """One row. `dialect` is what its text is written in (codegen/render.py).

    `forms(overrides)` are the passes that leave only operations which StableHLO has; `late` come after all
    simplification, and `last` after equal blocks became loops. `parts(module)` are the modules that its text consists
    of, each of which its compiler is given by itself.
    """

    dialect: Dialect
    forms: Callable[[FormOverrides], Passes]
    late: Passes = ()
    last: Passes = ()
    parts: Callable[[Module], tuple[Module, ...]] = lambda module: (module,)


def _measured(profile: ProfileName) -> Callable[[FormOverrides], Passes]:
    """The forms of the profile's table, or of `overrides`, and sums in the order that is fast."""

    def passes(overrides: FormOverrides) -> Passes:
        return (
            ("select_forms", lambda module: select_forms(module, profile, overrides)),
            ("sum_before_products", sum_before_products),
            ("split_reductions", split_reductions),
        )

    return passes


_JOINT: Passes = (("part_joint_barriers", part_joint_barriers),)

PROFILES: dict[ProfileName, LoweringProfile] = {
    "cpu": LoweringProfile("iree", _measured("cpu"), (("part_joined_sums", part_joined_sums),), _JOINT),
    "gpu": LoweringProfile(
        "iree",
        _measured("gpu"),
        (("part_repeated_sums", part_repeated_sums), ("part_narrow_copies", part_narrow_copies)),
        _JOINT,
    ),
    "xla": LoweringProfile("xla", _measured("xla"), parts=entry_modules),
    "plain": LoweringProfile(
        "stablehlo", lambda overrides: (("plain_forms", plain_forms),), last=(("erf_functions", erf_functions),)
    ),
}
