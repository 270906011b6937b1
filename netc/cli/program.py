"""The program that a command's NET and options ask for, a Lean file's TrainConfig among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from netc.cli.console import say
from netc.cli.lean_config import say_stated
from netc.cli.options import given
from netc.netspec.errors import UserError

if TYPE_CHECKING:
    from netc.codegen.program import Program
    from netc.programs import ProgramRequest
    from netc.runtime.target import Target

sampler_option = click.option(
    "--sampler",
    is_flag=True,
    help="Write the sampler (prefill and decode for text; sample, in 50 steps, with --process) in place of "
    "the training; --batch samples at once  [1].",
)


def refuse_untuned_sampler(*, sampler: bool, tuned: bool) -> None:
    """Raise UserError where a sampler is asked to leave out tuned forms: `netc sample` compiles it without them."""
    if sampler and not tuned:
        raise UserError("`tuned=False` is for a training, got `sampler`, which has no tuned forms; leave one out")


def program_request(net: str, batch: int, *, ranges: bool = False, budgets: bool = False) -> ProgramRequest:
    """The request of the command that runs; `batch` is its default. Raises UserError or SpecError.

    With `ranges` the batch may be one (netspec/batch.py); with `budgets` there may be a `memory_budget`.
    """
    from netc.netspec.recipe_fit import processes_of
    from netc.programs import BUDGET, program_words, request_program

    stated = given()
    words = {name: stated[name] for name in (program_words() | {BUDGET}) & stated.keys()}
    request = request_program(
        net, config=stated.get("config"), on_stated=say_stated, default_batch=batch, ranges=ranges, budgets=budgets,
        **words,
    )  # fmt: skip
    if not request.recipe.generation.process and (fit := processes_of(request.net)):
        told = [request.net.spec.layers[i] for i in request.net.spec.class_tables]
        count = "".join(f" --label-count {layer.classes}" for layer in told[:1])  # type: ignore[attr-defined]
        say(f"{request.net.spec.name} takes a time, as generative models do, and no process was given; "
            f"--process {fit[0]}{count} gives one", err=True)  # fmt: skip
    return request


def built_program(
    net: str,
    *,
    sampler: bool,
    target: Target | None = None,
    ranges: bool = False,
    fit: Callable[[ProgramRequest], ProgramRequest] | None = None,
) -> Program:
    """The training program of the command that runs, or the sampler of its net as a target wants it.

    Of 32 examples, or 1 for a sampler, by default; without a target the sampler is that of plain StableHLO. `fit` makes
    of a request the one that fits its memory. Raises UserError or SpecError.
    """
    request = program_request(net, 1 if sampler else 32, ranges=ranges, budgets=fit is not None)
    if not sampler:
        return (fit(request) if fit else request).build()
    if request.memory_budget:
        raise UserError("`memory_budget` applies to a training step, got `sampler` too; leave one of them out")
    if request.batches is not None:
        raise UserError(f"`sampler` wants a number as `batch`, got {request.batches}; its loops have a fixed batch")
    if request.replicas > 1:
        raise UserError("`sampler` is a program for one device, got `replicas`; leave one of them out")
    if process := request.recipe.generation.chosen:
        from netc.codegen.generator import build_generator, usual_steps
        from netc.codegen.reverse_process import Drawn

        guided = process.conditional(request.net.x, request.net.out) and request.recipe.generation.label_drop > 0
        drawn = Drawn(request.batch, usual_steps(request.net, request.recipe), guided=guided)
        return build_generator(request.net, request.recipe, drawn).program
    from netc.runtime.sample import sampler_for
    from netc.runtime.target import PLAIN

    return sampler_for(request.net, target or PLAIN, request.batch, request.recipe).program
