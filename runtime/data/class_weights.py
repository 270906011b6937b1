"""Weights of the classes in the loss: numbers, or balanced by the counts of the training labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from netc.netspec.errors import UserError
from netc.netspec.loss import CrossEntropy, Focal, Loss
from netc.netspec.recipe import Recipe
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.examples import Array, Batches
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.windows import TextSplit

BALANCED = "balanced"
FIELD: dict[type[Loss], str] = {CrossEntropy: "weights", Focal: "alpha"}
"""The losses that weigh classes, and the field that holds the numbers."""

ClassWeights = str | Sequence[float]


def weighted(recipe: Recipe, given: ClassWeights, data: Dataset, classes: int) -> Recipe:
    """The recipe with a loss that weighs `classes` classes as `given` says: `balanced`, or a number for each.

    Balanced is N / (K n_k), n_k of N training labels being of class k of K. Raises UserError.
    """
    field = FIELD.get(type(recipe.loss))
    if field is None:
        raise UserError(f"`class_weights` wants a loss with class weights, crossEntropy or focal, got "
                        f"{recipe.loss.kind}; leave it out")  # fmt: skip
    if getattr(recipe.loss, field):
        raise UserError(f"the weights of the classes are stated in `loss_option` ({field}), got `class_weights` too; "
                        "leave one out")  # fmt: skip
    numbers = balanced(data, classes) if isinstance(given, str) and given == BALANCED else _numbers(given, classes)
    return replace(recipe, loss=replace(recipe.loss, **{field: numbers})).check()


def _numbers(given: ClassWeights, classes: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(n) for n in (given.split(",") if isinstance(given, str) else given))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"`class_weights` wants {BALANCED} or numbers such as 1,2,0.5, got {given!r}; write it like that"
        ) from error
    if len(numbers) != classes:
        raise UserError(
            f"`class_weights` wants {classes} numbers, one for each class, got {len(numbers)}; give as many as the net "
            "has outputs"
        )
    return numbers


def balanced(data: Dataset, classes: int) -> tuple[float, ...]:
    """N / (K n_k) for each of K classes. Raises UserError where a class is not there, or classes cannot be counted."""
    split = data.train
    if isinstance(split, MaskedSplit):
        return _balanced(split.of_each()[:classes], data)
    labels: Array | None = None if isinstance(split, TextSplit | Batches) else split.labels
    if labels is None or labels.dtype.kind != "i":
        what = "text" if isinstance(split, TextSplit) else "batches" if isinstance(split, Batches) else "numbers"
        raise UserError(
            f"`class_weights={BALANCED}` counts class ids, and {data.name} has {what}; give a number for each class"
        )
    known = labels[(labels >= 0) & (labels < classes)]
    return _balanced(np.bincount(known.ravel(), minlength=classes), data)


def _balanced(counts: Array, data: Dataset) -> tuple[float, ...]:
    """N / (K n_k), n_k examples, or pixels, being of class k."""
    if missing := np.flatnonzero(counts == 0).tolist():
        names = ", ".join(data.classes[i] if i < len(data.classes) else str(i) for i in missing[:4])
        raise UserError(
            f"`class_weights={BALANCED}` wants training examples of every class, got none of {names}; give a number "
            "for each class"
        )
    return tuple((counts.sum() / (len(counts) * counts)).tolist())
