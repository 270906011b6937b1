"""The options of a training that a Lean file's TrainConfig states; those of the command line win."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.spelling import spelled_here

if TYPE_CHECKING:
    from netc.netspec.lean.found import LeanFile

NONE = "none"  # the word for no configuration
# an option of the command line -> those of a configuration that mean nothing beside it
PARTNERS = {"optimizer": ("momentum",), "loss": ("loss_option", "label_smoothing")}

config_option = click.option(
    "--config", metavar="NAME", help="Of a .lean file: the TrainConfig.  [default: its only one; none: leave it out]"
)


def with_config(net: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with those of the file's TrainConfig in place of defaults; one line says what it stated.

    A command that has not all options of a training takes those that it has.
    Raises UserError for a --config without a .lean file or without a TrainConfig of that name, for several without
    --config, and for fields that netc cannot honour.
    """
    from netc.netspec.errors import UserError

    wanted = options.get("config")
    if not _is_lean(net):
        if wanted is not None:
            raise UserError(f"--config belongs to a .lean file, got the net {net!r}; leave it out")
        return options
    if wanted == NONE:
        return options
    from netc.netspec.lean.file import divided, load

    file = load(divided(net)[0])
    if wanted is None and not file.configs:
        return options
    return {**options, **_stated(file, wanted, options)}


def _is_lean(net: str) -> bool:
    if ".lean" not in net:  # then the reader of Lean need not be imported
        return False
    from netc.netspec.lean.file import is_lean

    return is_lean(net)


def _stated(file: LeanFile, wanted: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    from netc.netspec.errors import UserError
    from netc.netspec.lean.config import config_of
    from netc.netspec.lean.file import pick
    from netc.netspec.lean.found import CONFIGS

    if wanted is None and len(file.configs) > 1:
        names = ", ".join(found.name for found in file.configs)
        raise UserError(
            f"{file.path} holds {len(file.configs)} TrainConfigs, {names}; choose one by --config NAME, or --config "
            "none"
        )
    found = pick(file, wanted, CONFIGS)
    config = found.read(config_of)
    given = _given()
    silent = given | {name for option in given & PARTNERS.keys() for name in PARTNERS[option]}
    stated = {name: value for name, value in config.options.items() if name in options}
    taken = {name: value for name, value in stated.items() if name not in silent}
    epochs = options.get("epochs")
    if epochs is not None and taken.get("warmup", 0) > epochs:
        raise UserError(
            f"{found.name} has warmupEpochs := {taken['warmup']:g}, which wants no fewer epochs, got --epochs {epochs}"
            "; give --warmup too"
        )
    _say(found.name, stated, taken, config.notes)
    return taken


def _given() -> set[str]:
    """The options that the command line itself states."""
    from click.core import ParameterSource

    context = click.get_current_context(silent=True)
    if context is None:
        return set()
    return {n for n in context.params if context.get_parameter_source(n) is ParameterSource.COMMANDLINE}


def _say(name: str, stated: Mapping[str, Any], taken: Mapping[str, Any], notes: tuple[str, ...]) -> None:
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("quiet"):
        return
    beside = [f"--{n.replace('_', '-')}" for n in stated if n not in taken]
    left = f"; not {', '.join(beside)}, which the command line decides" if beside else ""
    say(f"{name}: {said(taken)}{left}", err=True)
    for note in notes:
        say(f"{name}: {spelled_here(note)}", err=True)


def said(options: Mapping[str, Any]) -> str:
    """All options on one line, as the command line spells them."""
    return " ".join(_flag(name, value) for name, value in options.items())


def _flag(name: str, value: Any) -> str:
    option = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return option if value else f"--no-{name.replace('_', '-')}"
    if isinstance(value, tuple):
        return " ".join(f"{option} {item}" for item in value)
    return f"{option} {value}"
