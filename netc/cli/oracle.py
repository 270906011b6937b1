"""`netc oracle`: judge every hand-written gradient."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netc.proofs_oracle.card import Card
    from netc.proofs_oracle.oracle import Exam


@click.command()
@click.argument("pattern", required=False)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Draws the numbers.")
@click.option("--json", "as_json", is_flag=True, help="Print the cards as JSON.")
def oracle(pattern: str | None, seed: int, as_json: bool) -> None:
    """Judge the gradients against JAX and against central differences, in float64.

    PATTERN is part of a kind or a case (conv2d, norm, conv2d/groups), or a glob (maxPool/*ties). Without it all
    are judged. The exit code is 1 if any tensor disagrees.
    """
    from netc.proofs_oracle.oracle import select

    cards = _sit(select(pattern), seed)
    passed = all(card.passed for card in cards)
    if as_json:
        text = {"seed": seed, "passed": passed, "cards": [card.to_json() for card in cards]}
        click.echo(json.dumps(text, indent=2, allow_nan=False))
    else:
        _show(cards)
    if not passed:
        click.get_current_context().exit(1)


def _sit(chosen: Sequence[Exam], seed: int) -> list[Card]:
    """The cards, with a bar on standard error meanwhile."""
    from rich.console import Console
    from rich.progress import track

    from netc.proofs_oracle.oracle import sit

    console = Console(stderr=True)
    bar = track(
        sit(chosen, seed=seed), "judging", len(chosen), console=console, transient=True, disable=not console.is_terminal
    )
    return list(bar)


def _show(cards: Sequence[Card]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from netc.proofs_oracle.card import summary

    table = Table("kind", "case", box=None, pad_edge=False)
    for heading in ("tensors", "vs JAX", "vs difference"):
        table.add_column(heading, justify="right")
    table.add_column("ok")
    for card in cards:
        verdict = "[green]yes[/]" if card.passed else "[bold red]NO[/]"
        row = (card.kind, escape(card.case), str(card.tensors), f"{card.jax_error:.1e}", card.difference())
        table.add_row(*row, verdict)
    console = Console()
    console.print(table)
    for card in cards:
        if not card.passed:
            console.print(card.verdict(), style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(summary(cards), highlight=False, soft_wrap=True)
