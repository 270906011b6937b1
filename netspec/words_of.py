"""The way back: the flat words that make a Recipe or a TrainConfig again."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from netc.netspec.loss import LOSSES, Loss
from netc.netspec.optimizers import OPTIMIZERS, Optimizer
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.vocabulary import options_of


def words_of_recipe(recipe: Recipe) -> dict[str, Any]:
    """The words of which `recipe_of` makes the recipe, those at their defaults among them."""
    found: dict[str, Any] = {}
    for f in fields(recipe):
        value = getattr(recipe, f.name)
        if isinstance(value, Optimizer):
            found |= _optimizer(value)
        elif isinstance(value, Loss):
            found |= _loss(value)
        else:
            found |= {n: getattr(value, n) for n in options_of(value)} if is_dataclass(value) else {f.name: value}
    return found


def words_of_training(config: TrainConfig) -> dict[str, Any]:
    """The words of which `training_of` makes the config, those at their defaults among them."""
    own = {f.name: getattr(config, f.name) for f in fields(config)}
    return {**own, "decay": config.schedule.kind, **_fields(config.schedule)}


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


def _optimizer(optimizer: Optimizer) -> dict[str, Any]:
    own = _fields(optimizer)
    for word, row in OPTIMIZERS.items():
        if row.cls is type(optimizer) and all(own[name] == value for name, value in row.says.items()):
            return {"optimizer": word, **{name: own[name] for name in row.options}}
    raise TypeError(f"no word makes {optimizer}")


def _loss(loss: Loss) -> dict[str, Any]:
    word = next(word for word, cls in LOSSES.items() if cls is type(loss))
    options = _fields(loss)
    smoothing = {"label_smoothing": options.pop("smoothing")} if "smoothing" in options else {}
    return {"loss": word, **smoothing, **({"loss_option": options} if options else {})}
