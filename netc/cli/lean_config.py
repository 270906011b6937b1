"""What a Lean file's TrainConfig states of a training, said on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.spelling import spelled_here

if TYPE_CHECKING:
    from netc.lean_words import Stated

config_option = click.option(
    "--config", metavar="NAME", help="TrainConfig of a .lean file, or `none`.  [default: its only one]"
)


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
