"""Sections of a command's help: `--help` shows what is used most, `--help-all` every option under its heading.

An option's section comes from the table that the option was made from: the class of its row, or the decorator that
adds it. So a new field of a row stands in the section of its class by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from netc.cli.console import write
from netc.netspec.augment import Augment
from netc.netspec.averaging import Averaging
from netc.netspec.clipping import Clipping
from netc.netspec.distilling import Distilling
from netc.netspec.feeding import Feeding
from netc.netspec.groups import Groups
from netc.netspec.optimizers import Optimizer
from netc.netspec.preprocess import Preprocess
from netc.netspec.process import Generation
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.schedules import Schedule
from netc.netspec.wrapping import Wrapping

MOST, SIZE, START = "Most used", "Size of the net", "Start from weights"
RATE, OPTIMIZER = "Learning-rate schedule", "Optimizer"
LOSS, REGULARISE, GRADIENTS = "Loss and labels", "Regularise", "Gradients and averages"
GENERATE = "Generative models"
READING, AUGMENTING, SPLIT = "Reading images", "Augment images", "Split and order"
STOP, SPEED, RUNS = "Stop and choose the best", "Memory and speed", "Checkpoints, logs, resume"
SECTIONS = (
    MOST, SIZE, START, RATE, OPTIMIZER, LOSS, REGULARISE, GRADIENTS, GENERATE, READING, AUGMENTING,
    SPLIT, STOP, SPEED, RUNS,
)  # fmt: skip

# the options that stand first in their section, in this order
FIRST = (
    "data", "data_dir", "input_", "classes", "epochs", "batch", "lr", "optimizer", "loss", "target", "seed", "out",
    "config", "recipe", "set_", "quiet", "init", "pretrained", "new_head", "freeze",
)  # fmt: skip

# the section of a class's fields; a part of the recipe that is not named here regularises
_OF_CLASS: dict[type, str] = {
    Optimizer: OPTIMIZER, Wrapping: OPTIMIZER, Schedule: RATE, Groups: START, Clipping: GRADIENTS,
    Averaging: GRADIENTS, Augment: AUGMENTING, Preprocess: READING, Feeding: SPLIT, TrainConfig: STOP, Recipe: SPEED,
    Generation: GENERATE, Distilling: LOSS,
}  # fmt: skip
# fields that belong elsewhere than their class
_OF_FIELD = {"decay_all": OPTIMIZER, "check_labels": LOSS, "warmup_steps": RATE, "lr_per_epoch": RATE,
             "swa_start_epoch": GRADIENTS, "unfreeze": START}  # fmt: skip

Made = Callable[[Any], Any]


def section_of(cls: type, name: str) -> str:
    """The section of the option that is made of a field of a class."""
    return _OF_FIELD.get(name) or next((_OF_CLASS[c] for c in cls.__mro__ if c in _OF_CLASS), REGULARISE)


def under(section: str, *options: Made) -> Made:
    """The options as one decorator, all of that section but those that have one already, in the order given."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            before = len(getattr(command, "__click_params__", ()))
            command = option(command)
            for made in command.__click_params__[before:]:
                vars(made).setdefault("section", section)
        return command

    return add


class Sectioned(click.Command):
    """A command whose help shows its own options and the most used; `--help-all` has the others under headings.

    With `listed`, the help names each other section on a line.
    """

    def __init__(self, *args: Any, listed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._listed = listed
        self.params.append(
            click.Option(
                ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=_print_all,
                help="Show all options and exit.",
            )
        )  # fmt: skip

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The own options, the most used ones, and the others or where they stand."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        sections: dict[str, list[click.Option]] = {}
        for each in options:
            sections.setdefault(vars(each).get("section", ""), []).append(each)
        for name in SECTIONS:
            sections.get(name, []).sort(key=lambda p: FIRST.index(p.name) if p.name in FIRST else len(FIRST))
        asking = [p for p in sections.get("", ()) if "--help-all" in p.opts or "--help" in p.opts]
        own = [p for p in sections.get("", ()) if p not in asking]
        _write(formatter, "Options" if own else MOST, [*own, *sections.pop(MOST, [])], ctx)
        names = [name for name in SECTIONS if name in sections]
        if ctx.meta.get(_ALL):
            for name in names:
                _write(formatter, name, sections[name], ctx)
        elif self._listed:
            with formatter.section(f"More, by `{ctx.command_path} --help-all`"):
                formatter.write_dl([(name, _named(sections[name])) for name in names])
        elif names:
            formatter.write_paragraph()
            formatter.write_text(f"Options of the recipe: see `{ctx.command_path} --help-all`.")
        _write(formatter, "Help", asking, ctx)


_ALL = "netc.help-all"
_ROOM = 46  # characters for the names of a section's options


def _print_all(ctx: click.Context, option: click.Parameter, asked: bool) -> None:  # as click calls it
    if asked and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        write(f"{ctx.get_help()}\n")
        ctx.exit()


def _write(formatter: click.HelpFormatter, title: str, options: Iterable[click.Option], ctx: click.Context) -> None:
    if rows := [row for option in options if (row := option.get_help_record(ctx))]:
        with formatter.section(title):
            formatter.write_dl(rows)


def _named(options: Sequence[click.Option]) -> str:
    """`--warmup, --decay, ..`: as many as a line has room for."""
    flags = [max(option.opts, key=len) for option in options]
    shown = ", ".join(flags)
    while len(shown) > _ROOM:
        flags.pop()
        shown = ", ".join([*flags, ".."])
    return shown
