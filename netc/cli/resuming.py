"""The options of `netc train` that say when to save, and how to go on: they change no bit of what is computed."""

from __future__ import annotations

from pathlib import Path

import click

from netc.cli.options import Command

RESUMING = frozenset({"resume", "auto_resume", "same_bits", "checkpoint_every", "checkpoint_minutes", "keep"})


def resuming_options(command: Command) -> Command:
    """Add them all."""
    for option in reversed((
        click.option("--checkpoint-every", type=click.IntRange(min=0), metavar="N", help="Save every N steps."),
        click.option(
            "--checkpoint-minutes", type=click.FloatRange(min=0), metavar="M",
            help="Save after M minutes without a save; 0 turns this off.  [default: 10]",
        ),
        click.option("--keep", type=click.IntRange(min=1), metavar="K", help="Keep K checkpoints.  [default: 1]"),
        click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Resume a run, bit for bit."),
        click.option("--auto-resume", is_flag=True, help="Resume the run that this command line began, or start it."),
        click.option(
            "--not-bit-for-bit", "same_bits", is_flag=True, flag_value=False, default=True,
            help="Resume on another --target or with other versions; the trace records it.",
        ),
    )):  # fmt: skip
        command = option(command)
    return command


def check(net: str | None, resume: Path | None, *, auto_resume: bool, same_bits: bool, file: bool = False) -> None:
    """Raise UserError for options that do not go together; `file`: one may say the net."""
    from netc.netspec.errors import UserError

    if net is not None and resume is not None:
        raise UserError("train wants NET or --resume RUN, got both; leave NET out: the run knows its net")
    if net is None and resume is None and not file:
        raise UserError("train wants NET or --resume RUN, got neither; try netc train resnet34")
    if resume and auto_resume:
        raise UserError("--auto-resume goes with NET, got --resume RUN, which resumes anyway; leave it out")
    if not same_bits and not (resume or auto_resume):
        raise UserError("--not-bit-for-bit goes with --resume or --auto-resume, got neither; leave it out")
