"""`--config`: a FILE.toml with a training's words, or a TrainConfig of a .lean file, which is said on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.options import Command
from netc.cli.spelling import spelled_here

if TYPE_CHECKING:
    from netc.lean_words import Stated

config_option = click.option(
    "--config",
    metavar="FILE.toml|NAME",
    help="A .toml file with these options, or the name of a .lean file's TrainConfig, or `none`.  [default: the .lean "
    "file's only one]",
)


def file_options(command: Command) -> Command:
    """Add `--recipe` and `--set`."""
    for option in (
        click.option(
            "--set", "set_", multiple=True, metavar="NAME=VALUE",
            help="Set any key of a --config file: lr=0.1, loss_option.gamma=2.",
        ),
        click.option("--recipe", metavar="NAME", help="A recipe that netc ships: `netc recipes ls`."),
    ):  # fmt: skip
        command = option(command)
    return command


def say_stated(found: Stated) -> None:
    """Say what was taken, and what the command line decides, unless it wants quiet."""
    if click.get_current_context().params.get("quiet"):
        return
    beside = ", ".join(spelled_here(f"`{name}`") for name in found.beside)
    left = f"; not {beside}, which the command line decides" if beside else ""
    say(f"{found.name}: {said(found.taken)}{left}", err=True)
    for note in found.notes:
        say(f"{found.name}: {spelled_here(note)}", err=True)


def said(options: Mapping[str, Any]) -> str:
    """All options on one line, as the command that runs spells them."""
    return " ".join(_flag(name, value) for name, value in options.items())


def _flag(name: str, value: Any) -> str:
    return " ".join(spelled_here(f"`{name}={item}`") for item in (value if isinstance(value, tuple) else (value,)))
