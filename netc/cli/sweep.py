"""`netc sweep`: trainings that differ in some words, one after the other, and a table of what they reached."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netc.cli.console import say, write
from netc.cli.options import json_option, print_json
from netc.cli.out_path import OUT_FILE, OUT_FOLDER

if TYPE_CHECKING:
    from netc.sweeps import Result, Sweep
    from netc.traces.schema import EvalRecord


class _WordsInFile(click.Command):
    """Tells who gives a word of a training as a flag where it belongs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; raises UsageError for a training's word."""
        from netc.train_request import request_words

        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            word = error.option_name.lstrip("-").replace("-", "_")
            if word not in request_words():
                raise
            where = f"write `{word} = ..` there, or a list of values under [grid]"
            said = f"sweep wants a training's words in FILE.toml, got {error.option_name}; {where}"
            raise click.UsageError(said, ctx) from error


@click.command(cls=_WordsInFile)
@click.argument("file", metavar="FILE.toml", type=click.Path(path_type=Path))
@click.option("--out", type=OUT_FOLDER, help="Folder of the runs.  [default: runs/sweep-NAME of the file]")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
@click.option("--plot", "plot_file", metavar="F.svg", type=OUT_FILE, help="Draw the results.")
@click.option("--quiet", is_flag=True, help="Print only the table.")
@json_option
@click.pass_context
def sweep(
    context: click.Context,
    file: Path,
    out: Path | None,
    as_csv: bool,
    plot_file: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train with every combination in a grid, or search, and compare the results.

    FILE.toml holds training options, as for `netc train --config`, and either a table [grid] of lists, or a table
    [search] and a number of `trials`. Each trial is a run of its own. To resume a sweep that was stopped, give the
    same command again.
    """
    from netc.cli.lasting import lasting_output
    from netc.cli.views.waiting import watched_cache
    from netc.sweeping import run_sweep
    from netc.sweeps import read_sweep

    asked = read_sweep(file)
    folder = out or Path("runs") / f"sweep-{file.stem}"
    if plot_file is not None:
        from netc.cli.views.sweep import check_plot

        check_plot(plot_file)

    def told(text: str) -> None:
        if not quiet:
            say(text, err=True)

    with lasting_output():
        results, comparison, number = run_sweep(
            asked, folder, cache=watched_cache() if not quiet else None,
            began=lambda trial, index, count: told(f"trial {index + 1} of {count}: {trial.name}"),
            ended=lambda result: told(f"  {result.state}: best {_number(result.best)} in {result.seconds:.0f} s"),
            seen=lambda e, of: told(f"  epoch {e.epoch + 1:>3}: {_evaluated(e, of)}"),
        )  # fmt: skip
    if number:
        say(f"the sweep stopped, nothing is lost; continue with the same command: netc sweep {file}", err=True)
        context.exit(128 + number)
    ranked = sorted(results.values(), key=lambda r: _rank(r, higher=comparison.higher))
    if plot_file is not None:
        from netc.cli.views.sweep import draw

        draw(ranked, asked.varied, comparison.word, plot_file)
        told(f"wrote {plot_file}")
    if as_json:
        print_json({"metric": comparison.word, "folder": str(folder), "results": [asdict(r) for r in ranked]})
    elif as_csv:
        _print_csv(ranked, asked)
    else:
        _print_table(ranked, asked, comparison.word, folder)


def _evaluated(record: EvalRecord, metric: str) -> str:
    """An evaluation; of a loss that knows no right and wrong without an accuracy."""
    accuracy = "" if metric == "nothing" else f", accuracy {record.accuracy:.2%}"
    return f"test loss {record.loss:.4f}{accuracy}"


def _rank(result: Result, *, higher: bool) -> float:
    if result.best is None:
        return float("inf")
    return -result.best if higher else result.best


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _rows(results: Sequence[Result], sweep: Sweep) -> list[list[str]]:
    return [
        [*(str(r.words.get(word, "")) for word in sweep.varied), _number(r.best), r.state, str(r.steps),
         f"{r.seconds:.1f}", r.name]
        for r in results
    ]  # fmt: skip


def _print_csv(results: Sequence[Result], sweep: Sweep) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*sweep.varied, "best", "state", "steps", "seconds", "run"])
    writer.writerows(_rows(results, sweep))
    write(text.getvalue())


def _print_table(results: Sequence[Result], sweep: Sweep, metric: str, folder: Path) -> None:
    from netc.cli.views.table import Column, print_line, print_table

    heads = [Column(word, right=True) for word in sweep.varied]
    more = [Column(f"best {metric}", right=True), Column("state"), Column("steps", right=True)]
    print_table([*heads, *more, Column("s", right=True), Column("run", fit="cut")], _rows(results, sweep))
    print_line(f"the runs are in {folder}")
