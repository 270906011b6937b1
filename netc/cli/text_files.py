"""FILE.mlir where a command takes NET|FILE.mlir: its endings, its sizes, and which options belong to which."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from netc.cli.options import Command
from netc.cli.recipe_options import Word
from netc.netspec.errors import UserError
from netc.netspec.text_file import read_bytes, read_text

LARGEST_TEXT = 1 << 28  # bytes of StableHLO
LARGEST_MANIFEST = 5 << 20
ADVICE = ("", "is it the right file?")


class LossWord(Word):
    """A word of the losses or, of a file, the number of the result that is the loss, or `none`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word, number or `none`."""
        return value if str(value).isdigit() or value == "none" else super().convert(value, param, ctx)


def file_options(verb: str) -> Callable[[Command], Command]:
    """Add `--manifest`, `--function`, `--wrt` and `--update`, which say what of a text there is to `verb`."""
    options = (
        click.option(
            "--manifest", type=click.Path(path_type=Path), help="For FILE: the JSON manifest that emit-mlir wrote."
        ),
        click.option("--function", help=f"For FILE: the function to {verb}.  [default: train_step, or main]"),
        click.option(
            "--wrt", multiple=True, metavar="ARGUMENT=RESULT",
            help="For FILE: which result is the gradient of which argument.",
        ),
        click.option(
            "--update", "updates", multiple=True, metavar="ARGUMENT=RESULT:RULE",
            help="For FILE: which result updates which argument: 0=0:sgd, 0=0:momentum:STATE or 0=0:adam:STATE=RESULT.",
        ),
    )  # fmt: skip

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def is_text(net: str) -> bool:
    """Whether the word names a text of StableHLO and not a net."""
    return net.endswith((".mlir", ".mlirbc"))


def program_of(path: Path) -> bytes:
    """What is in the file."""
    return read_bytes(path, LARGEST_TEXT, *ADVICE)


def manifest_of(path: Path | None) -> Any:
    """The manifest in a file, or None. Raises UserError for what is no JSON."""
    try:
        return None if path is None else json.loads(read_text(path, LARGEST_MANIFEST, *ADVICE))
    except json.JSONDecodeError as error:
        raise UserError(f"--manifest wants JSON, got {path}: {error}") from error


def refuse_unused(net: str, of_file: Collection[str], of_both: Collection[str]) -> None:
    """Raise UserError for a file of another ending, and for options that a text, or a net, has no use for."""
    if not is_text(net) and Path(net).is_file() and not net.endswith((".toml", ".lean")):
        raise UserError(
            f"FILE wants a StableHLO text or bytecode named .mlir or .mlirbc, got {net}; is it the right file?"
        )
    context = click.get_current_context()
    typed = [
        p for p in context.command.params
        if p.name and context.get_parameter_source(p.name) is ParameterSource.COMMANDLINE and p.name not in of_both
    ]  # fmt: skip
    if unused := [p.opts[0] for p in typed if (p.name in of_file) is not is_text(net)]:
        wants = "a NET, and its text is there already" if is_text(net) else "a FILE.mlir"
        raise UserError(f"{', '.join(unused)} wants {wants}, got {net}; leave it out")
