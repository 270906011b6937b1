"""From flat words, as a command line, a Lean file or keywords of Python give them, to a Recipe and a TrainConfig."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, get_origin, get_type_hints

from netc.netspec.errors import UserError
from netc.netspec.loss import LOSSES, Loss
from netc.netspec.optimizers import OPTIMIZERS, Optimizer
from netc.netspec.process import PROCESSES
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.schedules import SCHEDULES, Schedule
from netc.netspec.vocabulary import option_parts_of, options_of

LOSS_WORDS = frozenset({"loss", "loss_option", "label_smoothing"})
DRIVEN = frozenset(f.name for f in fields(TrainConfig))


def optimizer_words() -> frozenset[str]:
    """The options of all optimizers."""
    return frozenset(name for row in OPTIMIZERS.values() for name in row.options)


def schedule_words() -> frozenset[str]:
    """The options of all schedules."""
    return frozenset(f.name for cls in SCHEDULES.values() for f in fields(cls))


def recipe_rows() -> tuple[type, ...]:
    """The classes whose fields are words of `recipe_of`, besides those of the losses."""
    return (*recipe_parts(), *(row.cls for row in OPTIMIZERS.values()))


def recipe_parts() -> tuple[type, ...]:
    """Recipe, and the classes of its parts, whose options are words as its own are."""
    return (Recipe, *option_parts_of(Recipe).values())


def recipe_words() -> frozenset[str]:
    """What `recipe_of` takes."""
    own = frozenset(name for cls in recipe_parts() for name in options_of(cls))
    return LOSS_WORDS | optimizer_words() | own | {"optimizer", "norms"}


def training_words() -> frozenset[str]:
    """What `training_of` takes."""
    return DRIVEN | schedule_words()


def recipe_of(**words: Any) -> Recipe:
    """The recipe of these words; what is missing or None has its default.

    `optimizer` is a word of OPTIMIZERS or an Optimizer, `loss` one of LOSSES or a Loss; the fields of either are words
    too, for a loss in `loss_option`: a mapping, or texts such as `gamma=1.5`. Raises UserError for a word that there is
    not or that belongs to another optimizer, and SpecError for a value out of range.
    """
    given = {name: value for name, value in words.items() if value is not None}
    _refuse(given, recipe_words(), "recipe")
    own = _options(Recipe, given)
    if "norms" in given:
        own["norms"] = given["norms"]
    own |= {name: cls(**_options(cls, given)) for name, cls in option_parts_of(Recipe).items()}
    return Recipe(optimizer_of(given), loss_of(given), **own).check()


def _options(cls: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a class that are given; names in a row may be one text with commas: `stem,stage1`."""
    hints = get_type_hints(cls)
    own = {name: given[name] for name in options_of(cls) if name in given}
    for name, value in own.items():
        if get_origin(hints[name]) is tuple:
            several = value.split(",") if isinstance(value, str) else value
            if isinstance(several, Iterable):  # else the class says what it wants
                own[name] = tuple(v.strip() if isinstance(v, str) else v for v in several)
    return own


def optimizer_of(given: Mapping[str, Any]) -> Optimizer:
    """The optimizer that the words say."""
    options = {name: given[name] for name in sorted(optimizer_words()) if given.get(name) is not None}
    chosen = given.get("optimizer", "adam")
    if isinstance(chosen, Optimizer):
        own, shown = frozenset[str](), chosen.kind
    else:
        row = OPTIMIZERS.find(chosen, "`optimizer`")
        own, shown = frozenset(row.options), str(OPTIMIZERS.word(chosen))
    if foreign := [name for name in options if name not in own]:
        raise UserError(_misplaced(foreign, f"optimizer={shown}", "optimizer"))
    return chosen if isinstance(chosen, Optimizer) else row.make(options)


def loss_of(given: Mapping[str, Any]) -> Loss:
    """The loss that the words say."""
    process = PROCESSES.word(given.get("process"))
    chosen = given.get("loss", PROCESSES[process].losses[0].kind if process else "crossEntropy")
    pairs = list(option_pairs(given.get("loss_option", ())))
    options = dict(pairs)
    for name in options:
        if (times := sum(name == n for n, _ in pairs)) > 1:
            raise UserError(f"`loss_option` wants each name once, got {name} {times} times; leave the others out")
    if (smoothing := given.get("label_smoothing")) is not None:
        if "smoothing" in options:
            raise UserError("wants `label_smoothing` or smoothing in `loss_option`, got both; leave one out")
        options["smoothing"] = smoothing
    if isinstance(chosen, Loss):
        if options:
            raise UserError(f"`loss` is a value, so its options are in it, got also {', '.join(options)}; leave it out")
        return chosen
    cls = LOSSES.find(chosen, "`loss`")
    hints, names = get_type_hints(cls), [f.name for f in fields(cls)]
    for name in options:
        if name not in names:
            shown = ", ".join(names) or "none"
            raise UserError(f"`loss={cls.kind}` has no option {name!r}; its options are: {shown}")
    return cls(**{name: _numbers(name, hints[name], value) for name, value in options.items()})


def training_of(**words: Any) -> TrainConfig:
    """The config of these words; what is missing or None has its default. `decay` is a word of SCHEDULES or a Schedule.

    Raises UserError for a word that there is not or that belongs to another schedule, and SpecError for a value out of
    range.
    """
    given = {name: value for name, value in words.items() if value is not None}
    _refuse(given, training_words(), "training")
    own = {name: value for name, value in given.items() if name in DRIVEN}
    options = {name: value for name, value in given.items() if name not in DRIVEN}
    chosen = own.get("decay", TrainConfig.decay)
    if not isinstance(chosen, Schedule):
        cls = SCHEDULES.find(chosen, "`decay`")
        names = [f.name for f in fields(cls)]
        if foreign := [name for name in options if name not in names]:
            raise UserError(_misplaced(foreign, f"decay={cls.kind}", "schedule"))
        own["decay"] = cls(**options)
    elif options:
        raise UserError(f"`decay` is a value, so its options are in it, got also {', '.join(options)}; leave it out")
    return TrainConfig(**own).check()


def _refuse(given: Iterable[str], known: frozenset[str], what: str) -> None:
    if unknown := sorted(set(given) - known):
        raise UserError(f"a {what} has no `{unknown[0]}`; it has {', '.join(sorted(known))}")


def _misplaced(names: list[str], chosen: str, what: str) -> str:
    """The sentence for options that the chosen optimizer or schedule (`what`) does not have."""
    shown, do = ", ".join(f"`{name}`" for name in names), "does" if len(names) == 1 else "do"
    it = "it" if len(names) == 1 else "them"
    return f"{shown} {do} not belong to `{chosen}`; leave {it} out, or choose the {what} that has {it}"


def option_pairs(given: Any) -> Iterable[tuple[str, Any]]:
    """The options of a loss: a mapping, or texts NAME=VALUE."""
    if isinstance(given, Mapping):
        yield from given.items()
        return
    for text in given:
        name, _, value = text.partition("=")
        yield name, value


def _numbers(name: str, hint: Any, value: Any) -> Any:
    """The value of a loss's option: a number, or several."""
    try:
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else (value,)
        numbers = tuple(map(float, parts))
    except (TypeError, ValueError) as error:
        raise UserError(f"`loss_option` {name} wants numbers, got {value!r}; write {name}=0.5") from error
    if hint is float and len(numbers) != 1:
        raise UserError(f"`loss_option` {name} wants one number, got {value!r}")
    return numbers[0] if hint is float else numbers
