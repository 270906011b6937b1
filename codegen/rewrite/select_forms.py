"""Chooses how window operations, scans and sums by index are computed, by target and shape, and puts that form there.

form_tables.py has the choice for each convolution. Changes no other operation.
"""

from __future__ import annotations

from collections.abc import Callable

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, IrError, Module, Op, Value
from netc.codegen.rewrite import index_forms, pool_forms, scan_forms, solve_forms
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides, fits, key_of
from netc.codegen.rewrite.form_tables import FORM_TABLES, ProfileName, shape_of
from netc.codegen.rewrite.walk import each_function, rewrite

POOL_FORMS: dict[str, Callable[..., Value]] = {
    "max_pool": pool_forms.max_pool,
    "max_pool_grad": pool_forms.max_pool_grad,
    "sum_pool": pool_forms.sum_pool,
    "sum_pool_grad": pool_forms.sum_pool_grad,
}

SEQUENCE_FORMS: dict[str, dict[ProfileName, Callable[..., Value | None]]] = {
    "take_grad": {
        "cpu": index_forms.scatter,
        "cpu-avx2": index_forms.scatter,
        "gpu": index_forms.few_rows_one_hot,
        "xla": index_forms.scatter,
    },
    "linear_scan": {
        "cpu": scan_forms.stepwise,
        "cpu-avx2": scan_forms.stepwise,
        "gpu": scan_forms.doubling,
        "xla": scan_forms.stepwise,
    },
    "triangular_solve": {
        "cpu": solve_forms.by_blocks,
        "cpu-avx2": solve_forms.by_blocks,
        "gpu": solve_forms.by_blocks,
        "xla": solve_forms.kept,
    },
}


REPLACED = frozenset((*SEQUENCE_FORMS, *POOL_FORMS, *CONV_FORMS))


def form_of(profile: ProfileName, op: Op, choices: FormOverrides = NO_OVERRIDES) -> str:
    """The name of the form of a convolution op: the one chosen for it, or else what the profile's table says.

    Raises IrError for a chosen form that there is not, or that does not compute this op.
    """
    if choices and (chosen := choices.get(key_of(op))):
        if not fits(op, chosen):
            raise IrError(f"{op.loc}: {key_of(op)} cannot be computed as {chosen!r}; run `netc tune` again")
        return chosen
    s = shape_of(op)
    for kind, condition, form in FORM_TABLES[profile]:
        if kind == op.kind and condition(s):
            return form
    raise IrError(f"{op.loc}: no row of the {profile} table of forms covers {op}")


def used(module: Module, profile: ProfileName, choices: FormOverrides) -> FormOverrides:
    """Those of the choices that change how this module is computed: of its own ops, and not what the table says."""
    if not choices:
        return NO_OVERRIDES
    ops = {key_of(op): op for f in module for op in f.ops if op.kind in CONV_FORMS}
    said = {key: form_of(profile, op, choices) for key, op in ops.items() if key in choices}
    return {key: form for key, form in sorted(said.items()) if form != form_of(profile, ops[key])}


def select_forms(module: Module, profile: ProfileName, choices: FormOverrides = NO_OVERRIDES) -> Module:
    """The module with every window operation, scan and sum by index replaced by operations that StableHLO has."""

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if op.kind in SEQUENCE_FORMS:
            return SEQUENCE_FORMS[op.kind][profile](b, op, *operands)
        if op.kind in POOL_FORMS:
            return POOL_FORMS[op.kind](b, op, *operands)
        return CONV_FORMS[op.kind][form_of(profile, op, choices)](b, op, *operands)

    def change(function: Function) -> Function:
        return rewrite(function, visit, REPLACED)

    return each_function(module, change)
