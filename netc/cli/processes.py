"""The options of `netc train` that say which of several processes it is."""

from __future__ import annotations

import click

from netc.cli.options import Command

PROCESSES = frozenset({"coordinator", "process_id", "processes"})


def processes_options(command: Command) -> Command:
    """Add them all."""
    for option in reversed((
        click.option("--processes", metavar="N|auto", help="Train in N processes; auto: as the cluster says."),
        click.option("--process-id", type=int, metavar="I", help="Index of this process, from 0."),
        click.option("--coordinator", metavar="HOST:PORT", help="Address of process 0, where the others meet it."),
    )):  # fmt: skip
        command = option(command)
    return command
