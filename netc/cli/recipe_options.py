"""The options that make a recipe and a training, made from the rows of their vocabularies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, fields
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import click

from netc.cli.sections import LOSS, MOST, RATE, READING, SPEED, section_of, under
from netc.netspec.augment import Augment, shown
from netc.netspec.errors import UserError
from netc.netspec.feeding import SAMPLERS, Feeding
from netc.netspec.loss import LOSSES
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.optimizers import Word as OptimizerWord
from netc.netspec.plugins import load_installed
from netc.netspec.preprocess import DAMAGED, INTERPOLATIONS, NORMALISATIONS, OF_DATA, Preprocess
from netc.netspec.process import FLOWN, NOISES, PREDICTED, PROCESSES, TIMES
from netc.netspec.recipe import BEST_BY, PRECISIONS, TrainConfig
from netc.netspec.recipe_words import recipe_parts
from netc.netspec.schedules import SCHEDULES
from netc.netspec.vocabulary import Vocabulary, options_of

F = TypeVar("F", bound=Callable[..., Any])
Made = Callable[[F], F]
FEW = 5  # words; more stand in the help

# what a row's field cannot say of its option
_FORMS: Mapping[str, Mapping[str, Any]] = {
    "precision": {"type": click.Choice(PRECISIONS)},
    "sampler": {"type": click.Choice(SAMPLERS)},
    "times": {"type": click.Choice(TIMES)},
    "flow_predicts": {"type": click.Choice(FLOWN)},
    "predicts": {"type": click.Choice(PREDICTED)},
    "noise_schedule": {"type": click.Choice(NOISES)},
    "best_by": {"metavar": "METRIC", "help": f"{BEST_BY}.  [default: accuracy, or loss]"},
    "accumulate": {"type": click.IntRange(min=1), "metavar": "N"},
    "distill": {"metavar": "RUN"},
}


class Word(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic since click 8.4
    """A word of a vocabulary, which plugins may have added to, or an alias of one."""

    name = "word"

    def __init__(self, vocabulary: Vocabulary[Any]) -> None:
        self.vocabulary = vocabulary

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """`[adam|adamw|sgd]`, or KIND where there are many."""
        return f"[{'|'.join(self.vocabulary)}]" if len(self.vocabulary) <= FEW else "KIND"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word that was meant."""
        if (word := self.vocabulary.word(value)) is None:
            raise UserError(self.vocabulary.problem(value, f"`{param.name if param else self.vocabulary.what}`"))
        return word


def word_option(flag: str, vocabulary: Vocabulary[Any], default: str, about: str) -> Made[Any]:
    """The option of a vocabulary's word."""
    about += "." if len(vocabulary) <= FEW else f": {', '.join(map(vocabulary.with_short, vocabulary))}."
    return click.option(flag, type=Word(vocabulary), default=default, show_default=True, help=about)


def row_options(rows: Iterable[tuple[str, Any]]) -> list[Made[Any]]:
    """An option for each option of the rows (word, row); None stands for the default, which the help says."""
    load_installed()
    rows = list(rows)
    defaults: dict[str, dict[Any, list[str]]] = {}
    held: dict[str, type] = {}
    for word, row in rows:
        for name, default in row.options.items() if isinstance(row, OptimizerWord) else _defaults_of(row).items():
            held.setdefault(name, row.cls if isinstance(row, OptimizerWord) else row)
            defaults.setdefault(name, {}).setdefault(default, []).append(word)
    takers = {name: [word for words in found.values() for word in words] for name, found in defaults.items()}
    few = {name: words for name, words in takers.items() if len(words) <= min(FEW, len(rows) - 1)}
    return [
        under(section_of(cls, name), _option(name, cls, _default(defaults[name]), few.get(name, ())))
        for name, cls in held.items()
    ]


def _defaults_of(cls: Any) -> dict[str, Any]:
    return {name: f.default for name, f in (options_of(cls) or {f.name: f for f in fields(cls)}).items()}


_WORDED: Mapping[str, Vocabulary[Any]] = {"process": PROCESSES}  # options that are words of a vocabulary


def _option(name: str, cls: Any, default: str, takers: Sequence[str]) -> Made[Any]:
    """The option of a field; its help names the words that take it where these are few."""
    said = next(f.metadata for f in fields(cls) if f.name == name)
    flag, about = f"--{(said.get('flag') or name).replace('_', '-')}", said.get("help", f"Of {cls.__name__}.")
    if takers:
        about = f"{about.removesuffix('.')} ({', '.join(takers)})."
    type_ = get_type_hints(cls)[name]
    if isinstance(type_, UnionType):  # a number or None
        return click.option(flag, name, type=get_args(type_)[0], help=f"{about}  [default: the net's]")
    if get_origin(type_) is tuple:
        return click.option(flag, name, metavar="NAME,NAME", help=about)
    if type_ is bool:
        return click.option(flag, name, is_flag=True, default=None, help=about)
    form: dict[str, Any] = {"type": type_, "help": f"{about}  [default: {default}]", **_FORMS.get(name, {})}
    if name in _WORDED:
        form["type"] = Word(_WORDED[name])
    return click.option(flag, name, **form)


def _default(words: Mapping[Any, list[str]]) -> str:
    """`0.9`, or `0.01 for adamw, else 0`."""
    *others, (last, _) = sorted(words.items(), key=lambda pair: len(pair[1]))
    said = [f"{_number(value)} for {', '.join(names)}" for value, names in others]
    return ", ".join([*said, f"{'else ' if said else ''}{_number(last)}"])


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value) or "off"


def recipe_options(command: F) -> F:
    """Add the options of a recipe."""
    for option in reversed([
        under(MOST, word_option("--optimizer", OPTIMIZERS, "adam", "Optimizer")),
        *row_options(OPTIMIZERS.items()),
        under(MOST, word_option("--loss", LOSSES, "crossEntropy", "Loss function")),
        under(
            LOSS,
            click.option(
                "--loss-option", multiple=True, metavar="NAME=VALUE",
                help="Option of the loss: gamma=1.5, or weights=1,2,1 for three classes.",
            ),
            click.option(
                "--label-smoothing", type=float, help="Label smoothing (crossEntropy, oneVersusRest).  [default: 0]"
            ),
        ),
        *(option for cls in recipe_parts() for option in row_options([("", cls)])),
    ]):  # fmt: skip
        command = option(command)
    return command


def decay_options(command: F) -> F:
    """Add `--decay`, the options of the schedules, and those of a TrainConfig that have no flag elsewhere."""
    about = "Learning rate schedule after warmup"
    for option in reversed([
        under(RATE, word_option("--decay", SCHEDULES, "cosine", about)),
        *row_options(SCHEDULES.items()),
        under(
            RATE, click.option("--final", type=float, help="Lowest learning rate, as a share of --lr.  [default: 0]")
        ),
        *row_options([("", TrainConfig)]),
    ]):  # fmt: skip
        command = option(command)
    return command


def feeding_options(command: F) -> F:
    """Add an option for each field of Feeding."""
    for option in reversed(row_options([("", Feeding)])):
        command = option(command)
    return command


def augment_options(command: F) -> F:
    """Add an option for each field of Augment; None stands for what the data set says."""
    for name, f in reversed(options_of(Augment).items()):
        own = "the dataset's" if isinstance(f.default, int) else _shown(f.default)
        default = _DEFAULTS.get(name, own)
        flag, about = f"--{name.replace('_', '-')}", f"{f.metadata['help']}  [default: {default}]"
        form = {"default": None} if isinstance(f.default, bool) else _form(f)
        flag = f"{flag}/--no-{flag[2:]}" if isinstance(f.default, bool) else flag
        command = under(section_of(Augment, name), click.option(flag, name, **form, help=about))(command)
    return command


# of a field of Augment: what it is by default, where neither the data set nor a number says it
_DEFAULTS = {"train_size": "the net's input"}
# of a field of Preprocess: the words that it takes
_WORDS = {"interpolation": INTERPOLATIONS, "normalise": (OF_DATA, *NORMALISATIONS), "on_damaged": DAMAGED}


def preprocess_options(command: F) -> F:
    """Add an option for each field of Preprocess, and the number of threads."""
    for name, f in reversed(options_of(Preprocess).items()):
        about = f"{f.metadata['help']}  [default: {_shown(f.default)}]"
        made = click.option(f"--{name.replace('_', '-')}", name, **_form(f), help=about)
        command = under(section_of(Preprocess, name), made)(command)
    workers = click.option(
        "--workers", type=click.IntRange(min=0), metavar="N",
        help="Threads that read and augment images; results do not depend on it.  [default: chosen]",
    )  # fmt: skip
    add_workers: Made[F] = under(READING, workers)
    return add_workers(command)


def _form(f: Field[Any]) -> dict[str, Any]:
    """How an option of a field of Augment or Preprocess is read."""
    if f.name in _WORDS:
        return {"type": click.Choice(_WORDS[f.name])}
    if isinstance(f.default, tuple):
        return {"metavar": "NUMBER,.."}
    return {"type": type(f.default), **({"metavar": "POLICY"} if isinstance(f.default, str) else {})}


def _shown(default: Any) -> str:
    return (shown(default) if default else "off") if isinstance(default, tuple) else _number(default)


replicas_option = click.option(
    "--replicas",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Write the program for N devices, each with an equal part of the batch.",
)
mesh_option = click.option(
    "--mesh",
    metavar="AXIS=N[,..]",
    help="Split one program over a mesh of devices: data=2 or data=2,model=2.",
)
shard_option = click.option(
    "--shard",
    metavar="fsdp|zero1|tensor",
    help="What --mesh splits besides the batch.  [default: kernels, over `model`]",
)
memory_budget_option = under(
    SPEED,
    click.option(
        "--memory-budget",
        metavar="SIZE",
        help="Recompute blocks, chosen by time per byte, until the planned memory of a step fits: 2GB, 800MB.",
    ),
)
steps_per_call_option = click.option(
    "--steps-per-call",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="K",
    help="Take K steps per device call, with the same results: faster for small nets.",
)
