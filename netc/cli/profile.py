"""`netc profile`: the time of a step or a prediction, dispatch by dispatch or loop by loop, at its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netc.cli.console import say
from netc.cli.lean_config import config_option
from netc.cli.options import json_option, net_argument, net_options, tuned_choices, tuned_option
from netc.cli.out_path import OUT_FILE
from netc.cli.program import program_request
from netc.cli.recipe_options import recipe_options
from netc.cli.sections import Sectioned

FUNCTIONS = ("train_step", "eval_step", "predict")  # of runtime/measure/calls.py, which takes long to import


@click.command(cls=Sectioned)
@net_argument
@net_options
@click.option("--target", default="cpu", show_default=True, help="A CPU target of IREE, or c.")
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Batch size.")
@click.option("--steps", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Number of steps to run.")
@click.option(
    "--function",
    type=click.Choice(FUNCTIONS),
    default=FUNCTIONS[0],
    show_default=True,
    help="What is profiled: a training step, the evaluation of a batch, or a prediction.",
)
@click.option(
    "--depth", type=click.IntRange(min=0), default=0, show_default=True, help="Levels of nested layers in the table."
)
@click.option("--top", type=click.IntRange(min=1), default=15, show_default=True, help="Number of dispatches to list.")
@config_option
@recipe_options
@tuned_option
@click.option("-o", "--out", type=OUT_FILE, help="Write a flame graph by layer to FILE.html.")
@json_option
def profile(
    *,
    net: str,
    target: str,
    batch: int,
    steps: int,
    function: str,
    depth: int,
    top: int,
    tuned: bool,
    out: Path | None,
    as_json: bool,
    **words: Any,
) -> None:
    """Profile a training step of NET: the time of each dispatch, by layer and phase (forward, vjp or update).

    With --function predict it is a prediction's time, and with --function eval_step an evaluation's.

    With --target c it is the time of each loop nest and each call in the emitted C. It runs on random data. Times are
    medians over the steps; load from other programs affects them.
    """
    from netc.cli.views import profile as profile_view
    from netc.cli.views.waiting import watched_cache
    from netc.netspec.errors import UserError
    from netc.runtime.files import made_for, write_whole
    from netc.runtime.measure.profile import profile as measure
    from netc.runtime.target import parse_target

    if out is not None and out.suffix != ".html":
        raise UserError(f"-o wants a file FILE.html, got {out}; let its name end in .html")
    where = parse_target(target)
    program = program_request(net, batch).build()
    found = measure(program, where, watched_cache(), steps, tuned_choices(target, tuned=tuned), function)
    if as_json:
        profile_view.show_json(found, depth)
    else:
        profile_view.show(found, depth, top)
    if out is not None:
        write_whole(made_for(out), profile_view.page(found, depth, top))
        say(f"wrote {out}", err=as_json)
