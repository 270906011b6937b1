"""`netc lr-find`: the loss while the learning rate rises, and a rate to train with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.options import complete_net, json_option, print_json
from netc.cli.out_path import OUT_FILE
from netc.cli.sections import Sectioned
from netc.cli.training import range_options, training_of

if TYPE_CHECKING:
    from netc.runtime.measure.lr_find import Range

ROWS, BAR = 20, 40


@range_options
@click.command("lr-find", cls=Sectioned)
@click.argument("net", metavar="NET", shell_complete=complete_net)
@click.option("--target", default="cpu", show_default=True, help="Target to train on.")
@click.option(
    "--from", "low", type=click.FloatRange(min=0, min_open=True), default=1e-6, show_default=True, help="First rate."
)
@click.option(
    "--to", "high", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="Last rate."
)
@click.option("--steps", type=click.IntRange(min=20), default=150, show_default=True, help="Steps of the test.")
@click.option("--plot", "plot_file", metavar="F.svg", type=OUT_FILE, help="Draw the curve.")
@json_option
def lr_find(
    net: str, target: str, low: float, high: float, steps: int, plot_file: Path | None, as_json: bool, **options: Any
) -> None:
    """Raise the learning rate step by step, and suggest the one where the loss falls fastest.

    It trains as `netc train NET` with the same options does, but without a schedule, and leaves no run. It ends early
    if the loss diverges. Source: Smith 2017, section 3.3.
    """
    from netc.cli.views.sweep import check_plot
    from netc.cli.views.waiting import watched_cache
    from netc.codegen.program import build
    from netc.netspec.errors import UserError
    from netc.programs import tuned_choices
    from netc.runtime.backends import check_device
    from netc.runtime.measure.lr_find import find_range, rates_between
    from netc.runtime.prepare import in_use, prepare
    from netc.runtime.target import parse_target
    from netc.runtime.trainer import Trainer

    if not low < high:
        raise UserError(f"`low` wants a rate below that of `high`, got {low:g} and {high:g}")
    if plot_file is not None:
        check_plot(plot_file)
    where = parse_target(target)
    check_device(where)
    replay = training_of(net, options, target)
    program = build(replay.config.trained_net, replay.config.recipe, replay.config.training.batch)
    choices = in_use(program, where, tuned_choices(where.word))
    found = find_range(
        Trainer(prepare(program, where, watched_cache(), choices)), replay, rates_between(low, high, steps)
    )
    if plot_file is not None:
        _draw(found, plot_file)
    if as_json:
        print_json(asdict(found))
        return
    _print_curve(found)
    if found.steepest is None:
        say("the loss did not fall: no suggestion; try other ends (--from, --to), more --steps, or look at the data")
        return
    say(f"the loss falls fastest at {found.steepest:.2g} and is lowest at {found.lowest:.2g}")
    say(f"suggestion: netc train {net} --lr {found.steepest:.2g}")


def _print_curve(found: Range) -> None:
    """Some of the steps, with a bar for the smoothed loss."""
    if not found.rates:
        return
    top, every = max(found.smoothed), max(len(found.rates) // ROWS, 1)
    say(f"{'lr':>9}  {'loss':>8}")
    for index in range(0, len(found.rates), every):
        rate, loss = found.rates[index], found.smoothed[index]
        say(f"{rate:9.2e}  {loss:8.4f}  {'#' * round(BAR * max(loss, 0) / top) if top > 0 else ''}")


def _draw(found: Range, path: Path) -> None:
    from netc.cli.views.sweep import figure_of
    from netc.runtime.files import made_for

    figure, axis = figure_of(6.0, 3.6)
    axis.plot(found.rates, found.losses, linewidth=0.6, alpha=0.5, label="loss")
    axis.plot(found.rates, found.smoothed, label="smoothed")
    for rate, name in ((found.steepest, "steepest fall"), (found.lowest, "lowest")):
        if rate is not None:
            axis.axvline(rate, linestyle="--", linewidth=0.8, label=f"{name}: {rate:.2g}")
    axis.set_xscale("log")
    axis.set_xlabel("learning rate")
    axis.legend(fontsize="small")
    figure.savefig(made_for(path))
