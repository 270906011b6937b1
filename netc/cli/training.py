"""The options that say what a training is, for commands that look at one without running it: those of `netc train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli import train as trainer
from netc.cli.options import given
from netc.cli.processes import PROCESSES
from netc.cli.resuming import RESUMING
from netc.netspec.recipe_words import training_words

if TYPE_CHECKING:
    from netc.runtime.compare.replay import Replay

# how, not what; and on how many devices, where others than `netc train` compute on one
RUNNING = (
    RESUMING
    | PROCESSES
    | {"log", "log_every", "net", "target", "out", "quiet", "tuned", "steps_per_call", "workers", "help_all"}
    | {"devices", "mesh", "shard", "memory_budget"}
)
PLACES = frozenset({"data_dir", "init", "new_head"})  # of what a run was fed with: a run may be told again


def training_options(command: click.Command, without: frozenset[str] = frozenset()) -> click.Command:
    """Add every option of `netc train` that decides what is computed. Put it above `click.command`.

    Those `without` which the command does: it has no use for them.
    """
    command.params.extend(p for p in trainer.train.params if p.name not in RUNNING | without)
    return command


def range_options(command: click.Command) -> click.Command:
    """`training_options` without those of a schedule and of its end, which a test of the rates replaces."""
    return training_options(command, training_words() - {"batch"})


def training_of(net: str, options: dict[str, Any], target: str = "reference") -> Replay:
    """The training that the options say, of a net or, where NET is a run's folder, of that run.

    Raises UserError for options besides a run's folder, which has its own.
    """
    from netc.netspec.errors import UserError
    from netc.requests import planned
    from netc.runtime.compare.replay import replay_of

    if not (Path(net) / "run.json").is_file():
        plan = planned(trainer.train_request(net, target=target, out=Path(net)))
        return replay_of(plan.config, plan.data, None, plan.start)
    names = {(p.name or "").rstrip("_") for p in trainer.train.params if p.name not in RUNNING} - PLACES
    if also := [name for name in given() if name in names]:
        shown = ", ".join(f"`{name}`" for name in also)
        raise UserError(f"{net} is a run with its own options, got also {shown}; leave them out, or name a net")
    return training_of_run(Path(net), options["data_dir"], options["init"], new_head=options["new_head"])


def training_of_run(folder: Path, data_dir: Path | None, init: Path | None = None, *, new_head: bool = False) -> Replay:
    """The training of a run's folder; `init` says where the weights lie that it began with, if not where they were."""
    from netc.runtime.compare.replay import replay_of
    from netc.runtime.run.config import read_config
    from netc.runtime.weights.pretrained import start_of_run
    from netc.training_data import data_for

    config = read_config(folder)
    start = start_of_run(config, init, new_head=new_head)
    return replay_of(config, data_for(config, config.data, data_dir, folder=folder), folder, start)
