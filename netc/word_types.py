"""Words: each of its type before anything is made of it, and which mean nothing beside another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from netc.netspec.errors import UserError
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe_words import optimizer_words, recipe_rows, recipe_words, schedule_words

_WANTED = {int: "an integer", float: "a number", bool: "True or False"}


def types_of(classes: Iterable[Any]) -> dict[str, type]:
    """The fields of dataclasses that are one int, float or bool, or such a one or None."""
    found: dict[str, type] = {}
    for cls in classes:
        hints = get_type_hints(cls)
        for f in dataclasses.fields(cls):
            hint = hints[f.name]
            for want in (hint,) if get_origin(hint) is tuple else get_args(hint) or (hint,):
                if want in _WANTED:
                    found.setdefault(f.name, want)
    return found


def recipe_types() -> dict[str, type]:
    """The types of the recipe's words that are one number or one yes or no."""
    return {**types_of(recipe_rows()), "label_smoothing": float}


def typed(words: Mapping[str, Any], types: Mapping[str, type]) -> dict[str, Any]:
    """The words, those of `types` without None and of Python's own numbers; raises UserError for another type.

    NumPy's scalars are taken; an integer is a number too; a whole float is no integer, nor is True.
    """
    own = {name: value for name, value in words.items() if name not in types or value is not None}
    return own | {name: _one(name, own[name], types[name]) for name in own if name in types}


def _one(name: str, given: Any, want: type) -> Any:
    scalar = type(given).__module__ == "numpy" and getattr(given, "ndim", None) == 0  # which need not be imported
    value = given.item() if scalar else given
    if want is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    if not isinstance(value, want) or (want is int and isinstance(value, bool)):
        raise UserError(f"`{name}` wants {_WANTED[want]}, got {given!r}; give {_WANTED[want]}")
    return value


def partners(word: str, value: Any) -> frozenset[str]:
    """The words of a configuration that mean nothing beside this one. Raises UserError for no optimizer."""
    if word == "optimizer":
        own = OPTIMIZERS.find(value, "`optimizer`").options if isinstance(value, str) else {}
        return optimizer_words() - ({"weight_decay"} & own.keys())
    if word == "loss":
        return frozenset({"loss_option", "label_smoothing"})
    return schedule_words() if word == "decay" else recipe_words() if word == "recipe" else frozenset()
