"""TrainRequest: a training as it is asked for, and the words that make one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from netc.netspec.augment import Augment
from netc.netspec.feeding import Feeding
from netc.netspec.preprocess import PLAIN, Preprocess
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.recipe_words import recipe_words, training_words
from netc.netspec.schedules import SCHEDULES
from netc.netspec.spec import NetSpec
from netc.netspec.vocabulary import options_of
from netc.netspec.zoo.sizes import SIZES, Sizes
from netc.places import Places
from netc.runtime.data.augment import AUGMENTATIONS
from netc.runtime.data.dataset import Dataset
from netc.runtime.run.config import Saving
from netc.word_types import recipe_types, types_of

SAVING = {"checkpoint_every": "every", "checkpoint_minutes": "minutes", "keep": "keep"}
"""Words, and the fields of Saving that they set."""


@dataclass(frozen=True)
class TrainRequest:
    """A training as it is asked for. None stands for what the net, the data or the target decide.

    `training` holds the words of TrainConfig that are stated (epochs, batch, lr, warmup, decay, ..): how many epochs
    and how large a batch are good is known once the data is; `augment` those of Augment, `preprocess` those of
    Preprocess, `saving` those of Saving. `workers`: threads that make batches, 0 for as many as are good; no result
    depends on them. `class_weights`: `balanced`, or a number for each class (docs/layers/losses.md); they become
    options of the loss. `log` names the logs that the run writes besides its trace, with commas between, each
    `log_every` steps.
    `places` say where the words stand that a file says, for errors.
    `devices`: how many run the program together, each on an equal part of the batch. `mesh` splits it over a mesh of
    devices, as in `data=2,model=2`, and `shard` says what besides the batch: fsdp, zero1 or tensor.
    `memory_budget`: a size such as 2GB, which the plan of a step fits by recomputing blocks that are chosen for it.
    `tuned`: with the forms that `netc tune` kept. `auto_resume`: go on with the run that the same request began.
    """

    net: NetSpec
    data: str | Dataset = "digits"
    recipe: Recipe = Recipe()  # noqa: RUF009  # frozen
    training: Mapping[str, Any] = field(default_factory=dict)
    data_dir: Path | None = None
    input: tuple[int, ...] | None = None
    classes: int | None = None
    target: str = "cpu"
    tuned: bool = True
    augment: Mapping[str, Any] = field(default_factory=dict)
    class_weights: str | Sequence[float] | None = None
    preprocess: Preprocess = PLAIN
    workers: int = 0
    steps_per_call: int = 1
    devices: int = 1
    mesh: str | None = None
    shard: str | None = None
    memory_budget: str | None = None
    seed: int = 0
    out: Path | None = None
    init: Path | None = None
    pretrained: bool = False
    new_head: bool = False
    auto_resume: bool = False
    saving: Mapping[str, Any] = field(default_factory=dict)
    feeding: Feeding = Feeding()  # noqa: RUF009  # frozen
    log: str | None = None
    log_every: int | None = None
    places: Places = field(default_factory=dict)


OWN_WORDS = frozenset(f.name for f in fields(TrainRequest)) - {
    "net", "training", "saving", "augment", "feeding", "preprocess", "places",
}  # fmt: skip
LEAST = {"seed": 0, "workers": 0, "steps_per_call": 1, "devices": 1, "classes": 1}
"""What is the least of some words."""
PREPROCESS = frozenset(options_of(Preprocess))
"""The words of Preprocess."""


def request_words() -> frozenset[str]:
    """The words that `request_training` takes besides `config`."""
    return (
        OWN_WORDS
        | {*SIZES}
        | SAVING.keys()
        | options_of(Feeding).keys()
        | AUGMENTATIONS.keys()
        | PREPROCESS
        | recipe_words()
        | training_words()
    )


def request_types() -> dict[str, type]:
    """The types of those of them that are one number or one yes or no."""
    return {
        **types_of((TrainRequest, Sizes, TrainConfig, *SCHEDULES.values(), Augment, Preprocess, Feeding)),
        **recipe_types(),
        **saving_types(),
    }


def saving_types() -> dict[str, type]:
    """The types of the words of SAVING."""
    own = types_of((Saving,))
    return {word: own[name] for word, name in SAVING.items()}
