"""The options that say what a training is, for commands that look at one without running it: those of `netc train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli import train as trainer

if TYPE_CHECKING:
    from netc.runtime.data.dataset import Dataset
    from netc.runtime.run import RunConfig

RUNNING = frozenset(
    {"net", "target", "out", "init", "new_head", "resume", "quiet", "no_tuned", "steps_per_call"}
)  # where and how, not what


def training_options(command: click.Command) -> click.Command:
    """Add every option of `netc train` that decides what is computed. Put it above `click.command`."""
    command.params.extend(p for p in trainer.train.params if p.name not in RUNNING)
    return command


def training_of(net: str, options: dict[str, Any], target: str = "reference") -> tuple[RunConfig, Dataset]:
    """The training that the options say, of a net or, where NET is a run's folder, of that run.

    Raises UserError for options besides a run's folder, which has its own.
    """
    from click.core import ParameterSource

    from netc.netspec.errors import UserError

    ctx = click.get_current_context()
    if not (Path(net) / "run.json").is_file():
        config, data, _ = trainer.new_training(net, {**options, "target": target, "out": Path(net)})
        return config, data
    names = {p.name for p in trainer.train.params if p.name not in RUNNING} - {"data_dir"}
    given = [n for n in options if n in names and ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if given:
        shown = ", ".join("--" + n.strip("_").replace("_", "-") for n in given)
        raise UserError(f"{net} is a run and says how it was trained, got also {shown}; leave it out, or name a net")
    return training_of_run(Path(net), options["data_dir"])


def training_of_run(folder: Path, data_dir: Path | None) -> tuple[RunConfig, Dataset]:
    """The training of a run's folder, and its data."""
    from netc.runtime.run import read_config

    config = read_config(folder)
    return config, trainer.dataset_of(config.data, config.net, data_dir)
