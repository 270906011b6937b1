"""`netc oracle`: judge every hand-written gradient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netc.cli.console import say, terminal, write
from netc.cli.out_path import OUT_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netc.proofs_oracle.oracle import GradCheck
    from netc.proofs_oracle.result import Result


@click.command()
@click.argument("pattern", required=False)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed of the inputs.")
@click.option("--random", "count", type=click.IntRange(min=1), metavar="N", help="Check N random nets.")
@click.option("--spec", metavar="FILE", help="Check the net in FILE.toml, FILE.lean or FILE.lean:NAME.")
@click.option(
    "--save",
    type=OUT_FILE,
    default=Path("oracle-failure.toml"),
    show_default=True,
    help="Where --random writes the smallest failing net.",
)
@click.option("--target", help="Check what this target computes in float32 against the program in float64.")
@click.option("--html", "page_path", type=OUT_FILE, help="Write the results as a page.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def oracle(
    pattern: str | None, seed: int, count: int | None, spec: str | None, save: Path, target: str | None,
    page_path: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Check gradients against JAX and against central differences, in float64.

    PATTERN is part of a kind or a case (conv2d, norm, conv2d/groups) or a glob (maxPool/*ties); without it, everything
    is checked. A file name or FILE.lean:NAME checks that net, as --spec does. --random checks nets of random layers and
    options, and shrinks a failure to the smallest net. The exit code is 1 if any tensor disagrees.
    """
    from netc.netspec.errors import UserError
    from netc.netspec.find import reader_of

    if sum(option is not None for option in (pattern, count, spec)) > 1:
        raise UserError("oracle wants one of PATTERN, --random and --spec, got several; leave out the others")
    if pattern is not None and reader_of(pattern):
        pattern, spec = None, pattern
    if target is not None and (count is not None or spec is not None):
        raise UserError("--target checks the layers' cases and not a net, got both; leave one out")
    if count is not None:
        results = _random(count, seed, save)
    elif spec is not None:
        results = [_judge(spec, seed)]
    elif target is not None:
        results = _run_on(target, pattern, seed)
    else:
        from netc.proofs_oracle.oracle import select

        results = _run(select(pattern), seed)
    passed = all(result.passed for result in results)
    if page_path is not None:
        from netc.proofs_oracle.report import page
        from netc.runtime.files import made_for, write_whole

        write_whole(made_for(page_path), page(results, f"netc oracle {target or ''}".strip()))
    if as_json:
        text = {"seed": seed, "passed": passed, "results": [result.to_json() for result in results]}
        write(json.dumps(text, indent=2, allow_nan=False) + "\n")
    else:
        _show(results, "vs JAX" if target is None else "vs float64")
    if not passed:
        click.get_current_context().exit(1)


def _run_on(target: str, pattern: str | None, seed: int) -> list[Result]:
    """The results of the layers' cases on a target; what its compiler refuses is a failed result."""
    from netc.proofs_oracle.check_target import run_on
    from netc.runtime.cache.store import Cache
    from netc.runtime.target import parse_target

    return list(run_on(parse_target(target), pattern, Cache(), seed=seed))


def _judge(spec: str, seed: int) -> Result:
    from netc.netspec.find import find
    from netc.proofs_oracle.random_nets import judge

    return judge(find(spec), seed, kind="net")


def _random(count: int, seed: int, save: Path) -> list[Result]:
    """The results of random nets; after a failure only that of the smallest net, which is written to `save`."""
    from netc.proofs_oracle.random_nets import search
    from netc.runtime.files import made_for, write_whole

    results: list[Result] = []
    failure = search(count, seed, seen=results.append)
    if failure is None:
        return results
    write_whole(made_for(save), failure.toml)
    say(f"{save} has the smallest net found; netc oracle --spec {save} --seed {seed} checks it again", err=True)
    return [failure.result]


def _run(chosen: Sequence[GradCheck], seed: int) -> list[Result]:
    """The results, with a bar on standard error meanwhile."""
    from rich.progress import track

    from netc.proofs_oracle.oracle import run

    console = terminal(stderr=True)
    bar = track(
        run(chosen, seed=seed), "judging", len(chosen), console=console, transient=True, disable=not console.is_terminal
    )
    return list(bar)


def _show(results: Sequence[Result], against: str) -> None:
    from netc.cli.views.table import Column, Styled, print_line, print_table
    from netc.proofs_oracle.result import summary

    right = (Column(heading, right=True) for heading in ("tensors", against, "vs difference"))
    columns = (Column("kind"), Column("case", fit="wrap"), *right, Column("ok"))
    rows = [
        (
            *(result.kind, result.case, str(result.tensors), f"{result.jax_error:.1e}", result.difference()),
            Styled("yes", "green") if result.passed else Styled("NO", "bold red"),
        )
        for result in results
    ]
    print_table(columns, rows)
    for result in results:
        if not result.passed:
            print_line(result.verdict(), "red")
    print_line(summary(results))
