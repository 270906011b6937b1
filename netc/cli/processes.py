"""The options of `netc train` that say which of several processes it is."""

from __future__ import annotations

import click

from netc.cli.options import Command

PROCESSES = frozenset({"coordinator", "process_id", "processes"})


def processes_options(command: Command) -> Command:
    """Add them all."""
    for option in reversed((
        click.option("--processes", metavar="N|auto", help="Train in N processes; auto: as the scheduler says."),
        click.option("--process-id", type=int, metavar="I", help="The number of this process, from 0."),
        click.option("--coordinator", metavar="HOST:PORT", help="Where process 0 listens, for the others to meet it."),
    )):  # fmt: skip
        command = option(command)
    return command
