"""How an error's fields are spelled on the command line: `classes=10` is --classes 10.

The rooms below name a field of what they were asked for in backticks, as Python writes it, and never a flag. Here each
such word that is an option or an argument of the command that ran becomes that option; all else stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import click

_FIELD = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`]+))?`")


def spelled(text: str, parameters: dict[str, click.Parameter]) -> str:
    """The text of an error, with the fields that have a parameter of the command line spelled as that."""

    def flag(found: re.Match[str]) -> str:
        parameter, value = parameters.get(found[1]), found[2]
        if parameter is None:
            return found[0]
        if isinstance(parameter, click.Argument):
            return parameter.metavar or found[1].upper()
        if isinstance(parameter, click.Option) and parameter.is_flag and value:
            return max((value == "False" and parameter.secondary_opts) or parameter.opts, key=len)
        return max(parameter.opts, key=len) + (f" {value}" if value else "")

    return _FIELD.sub(flag, text)


def spelled_here(text: str) -> str:
    """A note of the command that runs now, if one does, its fields as its flags."""
    context = click.get_current_context(silent=True)
    return spelled(text, parameters_of(context.command, ())) if context else text


def parameters_of(command: click.Command, arguments: Sequence[str]) -> dict[str, click.Parameter]:
    """The parameters of a command by the fields that they set; of a group, those of the commands that were called."""
    return {(p.name or "").rstrip("_"): p for each in _called(command, arguments) for p in each.params}


def _called(command: click.Command, arguments: Sequence[str]) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for name in command.commands.keys() & set(arguments):
            yield from _called(command.commands[name], arguments)
