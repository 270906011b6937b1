"""The program of any batch: what evaluation and prediction are at three batches, and the one module behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from netc.codegen.ir import Module
from netc.codegen.program import Program, build
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.form_overrides import FormOverrides, key_of
from netc.codegen.rewrite.form_tables import FORM_TABLES, ProfileName
from netc.codegen.rewrite.iree.thin_products import thin_products
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.plain_forms import erf_functions
from netc.codegen.rewrite.profiles import PROFILES
from netc.codegen.rewrite.select_forms import form_of
from netc.codegen.symbolic.abstract import BatchMisfitError, abstracted
from netc.codegen.symbolic.specialise import specialised
from netc.codegen.text import text_of
from netc.netspec.batch import BatchRange
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.recipe import Recipe

# primes, so that no size of a net is a multiple of one by chance, and no pass finds a part of one; near to what batches
# are, since forms of convolutions are chosen for the first
BATCHES = (29, 31, 37)
NAMED_BY_SHAPE = "erf_functions"  # the pass that names functions so, hence it comes last
USED = ("init", "eval_step", "predict")


@dataclass(frozen=True)
class AnyBatchProgram(Program):
    """A program whose `module` has sizes that are multiples of the batch (codegen/symbolic/sizes.py).

    `emissions` are the same program at three batches, of which the first is also `batch`; `range` is what it promises.
    """

    range: BatchRange = BatchRange()  # noqa: RUF009  # frozen
    emissions: tuple[Program, ...] = ()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """As of any program, with the range as the batch."""
        return {**super().manifest, "batch": {"least": self.range.least, "most": self.range.most}}

    def lowered(self, profile: ProfileName) -> Module:
        """The module for a class of targets. Raises UserError where the net has no one form for any batch.

        Two of the emissions make it, and at the third batch it must be the third, operation for operation.
        """
        first, second, third = self.emissions
        try:
            lowered = {
                p.batch: lower(p.module, profile, _forms(first, p, profile), without=[NAMED_BY_SHAPE])
                for p in self.emissions
            }
            module = abstracted({p.batch: lowered[p.batch] for p in (first, second)})
            if text_of(specialised(module, third.batch), profile) != text_of(lowered[third.batch], profile):
                raise BatchMisfitError(self.net.spec.name, f"it is another program at batch {third.batch}")
        except BatchMisfitError as error:
            raise refusal(self.net, error) from error
        if profile == "plain":
            return erf_functions(module)
        return thin_products(module) if PROFILES[profile].dialect == "iree" else module


def build_any_batch(
    net: CheckedNet, recipe: Recipe, batches: BatchRange, functions: Sequence[str] = USED
) -> AnyBatchProgram:
    """The program of these functions for any batch of the range.

    Raises UserError where the net has no one form for any batch, and SpecError as `build` does.
    """
    emissions = tuple(_only(build(net, replace(recipe, accumulate=1), batch), functions) for batch in BATCHES)
    first = emissions[0]
    try:
        module = abstracted({p.batch: p.module for p in emissions[:2]})
    except BatchMisfitError as error:
        raise refusal(net, error) from error
    return AnyBatchProgram(
        first.net, first.recipe, first.batch, first.state, module, spec_sha256=first.spec_sha256, range=batches,
        emissions=emissions,
    )  # fmt: skip


def taken(program: Program, count: int) -> int:
    """How many examples a call of the program is given that is to answer for `count` of them."""
    return max(count, program.range.least) if isinstance(program, AnyBatchProgram) else program.batch


def refusal(net: CheckedNet, error: BatchMisfitError) -> UserError:
    """What a user is told."""
    return UserError(
        f"`batch` wants a number for {net.spec.name}, got any: {error.place} is not the same at every batch "
        f"({error.what}); give a number"
    )


def _only(program: Program, functions: Sequence[str]) -> Program:
    wanted = {f.name for name in functions for f in program.module.needed(name)}
    kept = tuple(f for f in program.module if f.name in wanted)
    return replace(program, module=replace(program.module, functions=kept))


def _forms(first: Program, other: Program, profile: ProfileName) -> FormOverrides:
    """The forms of convolutions at the first batch, by the names that they have at another."""
    if profile not in FORM_TABLES or first is other:
        return {}
    convolutions = ([op for f in p.module for op in f.ops if op.kind in CONV_FORMS] for p in (first, other))
    return {key_of(op): form_of(profile, own) for own, op in zip(*convolutions, strict=True)}
