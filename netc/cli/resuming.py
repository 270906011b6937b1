"""The options of `netc train` that say when to save, and how to go on: they change no bit of what is computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from netc.cli.options import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netc.runtime.run.config import RunConfig, Saving

SAVING = {"checkpoint_every": "every", "checkpoint_minutes": "minutes", "keep": "keep"}
"""Options, and the fields of Saving that they set."""

RESUMING = frozenset({"resume", "auto_resume", "same_bits", *SAVING})
ALLOWED = frozenset({"data_dir", "epochs", "target", "same_bits", *SAVING})  # beside --resume

# of run.json, what the words of a command line do not say
_UNSAID = frozenset({"choices", "init_path", "train_sha256", "earlier", "saving", "steps_per_call"})


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
        click.option("--auto-resume", is_flag=True, help="Resume the run of the same command line, or start it."),
        click.option(
            "--not-bit-for-bit", "same_bits", is_flag=True, flag_value=False, default=True,
            help="Resume on another --target or with other versions; the trace records it.",
        ),
    )):  # fmt: skip
        command = option(command)
    return command


def saving_of(options: dict[str, Any], held: Saving) -> Saving:
    """What the run has, with what the options say in its place."""
    from dataclasses import replace

    return replace(held, **{SAVING[n]: options[n] for n in SAVING if options.get(n) is not None})


def resumed(folder: Path, options: dict[str, Any]) -> RunConfig:
    """The run in `folder` as it goes on; raises UserError for options that it must not be given."""
    from dataclasses import replace

    from netc.codegen.rewrite.form_overrides import NO_OVERRIDES
    from netc.netspec.errors import UserError
    from netc.runtime.run.config import read_config
    from netc.runtime.target import parse_target

    given = _given(options)
    if refused := sorted(given - ALLOWED):
        raise UserError(
            f"--resume continues a run as it was begun, got also {_spelled(refused)}; leave it out, or begin a new run"
        )
    config = read_config(folder)
    if not config.data:
        raise UserError(f"{folder} was imported, so there is nothing to resume; use netc train NET --init {folder}")
    config = replace(config, saving=saving_of(options, config.saving))
    if "epochs" in given:
        config = replace(config, training=replace(config.training, epochs=options["epochs"]).check())
    if "target" in given and (word := parse_target(options["target"]).word) != config.target:
        if options["same_bits"]:
            raise UserError(
                f"{folder} was begun on {config.target}, got --target {word}, whose bits are others; leave it out, or "
                "give --not-bit-for-bit too"
            )
        config = replace(config, target=word, choices=NO_OVERRIDES)
    return config


def of_the_same_words(folder: Path, config: RunConfig, options: dict[str, Any]) -> RunConfig | None:
    """The run in `folder` that the command line began, or None if there is none; raises UserError for another run."""
    from dataclasses import replace

    from netc.codegen.rewrite.form_overrides import NO_OVERRIDES
    from netc.netspec.errors import UserError
    from netc.runtime.run.config import read_config

    if not (folder / "run.json").exists():
        return None
    held = read_config(folder)
    other_target = not options["same_bits"] and held.target != config.target
    if other_target:
        held = replace(held, target=config.target, choices=NO_OVERRIDES)
    if found := [*_differences(held.to_json(), config.to_json())]:
        raise UserError(
            f"--auto-resume wants the words that began {folder}, got others: {'; '.join(found)}; give those, another "
            f"--out, or netc train --resume {folder}"
        )
    return replace(held, saving=saving_of(options, held.saving))


def check(net: str | None, options: dict[str, Any]) -> None:
    """Raise UserError for options that do not go together."""
    from netc.netspec.errors import UserError

    if (net is None) == (options["resume"] is None):
        both = "both" if net else "neither"
        raise UserError(f"train wants NET or --resume RUN, got {both}; try netc train resnet34")
    if options["resume"] and options["auto_resume"]:
        raise UserError("--auto-resume belongs to NET, got --resume RUN, which goes on anyway; leave it out")
    if not options["same_bits"] and not (options["resume"] or options["auto_resume"]):
        raise UserError("--not-bit-for-bit belongs to --resume and --auto-resume, got neither; leave it out")


def _given(options: dict[str, Any]) -> set[str]:
    context = click.get_current_context()
    return {n for n in options if n != "resume" and context.get_parameter_source(n) is ParameterSource.COMMANDLINE}


def _spelled(names: list[str]) -> str:
    return ", ".join("--" + n.strip("_").replace("_", "-") for n in names)


def _differences(held: dict[str, Any], ours: dict[str, Any], where: str = "") -> Iterator[str]:
    """Each field that differs, with what it is in the run and what it would be."""
    for name in sorted(held.keys() | ours.keys()):
        there, here, path = held.get(name), ours.get(name), f"{where}{name}"
        if there == here or path in _UNSAID:
            continue
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _differences(there, here, f"{path}.")
        elif name == "spec":
            yield "another net"
        else:
            yield f"{path} ({there} there, {here} here)"
