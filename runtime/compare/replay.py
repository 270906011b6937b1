"""A run again: its batches, rates and first state, from its config alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netc.codegen.evaluator import run
from netc.codegen.program import Program
from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array
from netc.runtime.data.batches import Normalise, steps_per_epoch, train_batches
from netc.runtime.data.dataset import Dataset, of_images
from netc.runtime.data.frame import fit_of
from netc.runtime.data.windows import TextSplit
from netc.runtime.files import whole
from netc.runtime.normalisation import normalisation
from netc.runtime.run.checkpoint import CheckpointError
from netc.runtime.run.config import RunConfig, checkpoint_of
from netc.runtime.schedule import learning_rate
from netc.runtime.weights.pretrained import Start
from netc.runtime.weights.teacher import given_tensors


@dataclass(frozen=True)
class Step:
    """What one step is given: x [B, ..], y [B, ..] and the learning rate, a float32 number."""

    index: int
    epoch: int
    x: Array
    y: Array
    lr: np.float32


def refuse_other_function(config: RunConfig, word: str) -> None:
    """Raise UserError for a run whose devices compute something else together than one does with the whole batch.

    `word` is who looks at the run as one of one device.
    """
    net, recipe = config.net, config.recipe
    kinds = {
        "batch norm of each one's examples": net.state and not recipe.sync_bn,
        "draws of each one's own": net.signature.draws or recipe.draws,
        "a balance of each one's experts": any(each.layer.adds_to_loss for each in net.walk()),
    }
    found = next((kind for kind, there in kinds.items() if there), "")
    if config.devices > 1 and found:
        raise UserError(
            f"{word} wants a run whose devices compute what one does, got {config.devices} with {found}; name the net "
            "with the run's options and `devices=1`"
        )


@dataclass(frozen=True)
class Replay:
    """What a run is fed with. `data` has the net's input size; `start` are the weights that the run started from."""

    config: RunConfig
    data: Dataset
    normalise: Normalise
    start: Start | None = None

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return steps_per_epoch(len(self.data.train), self.config.training.batch)

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.config.training.steps(self.per_epoch)

    def first_state(self, program: Program) -> list[Array]:
        """The state of `program` before step 0, in order, float32: drawn, but for the weights that were given."""
        given = given_tensors(self.config, self.start)
        drawn = first_state(program, self.config.seed)
        return [given.get(slot.name, value) for slot, value in zip(program.state, drawn, strict=True)]

    def steps(self, first: int = 0, last: int | None = None) -> Iterator[Step]:
        """The steps from `first` to before `last`, by default the run's end."""
        end = self.total if last is None else min(last, self.total)
        config, index = self.config, first
        while index < end:
            epoch, start = divmod(index, self.per_epoch)
            for batch in train_batches(
                self.data.train, batch=config.training.batch, seed=config.seed, epoch=epoch, normalise=self.normalise,
                augment=config.augment, start=start, feeding=config.feeding, fit=fit_of(config.preprocess),
            ):  # fmt: skip
                if index >= end:
                    return
                lr = np.float32(learning_rate(config.training_at(index), index, self.per_epoch))
                yield Step(index, epoch, batch.x, batch.y, lr)
                index += 1


def replay_of(config: RunConfig, data: Dataset, folder: Path | None = None, start: Start | None = None) -> Replay:
    """The replay of a run; `folder` is its folder, if there is one, which knows how its images were normalised.

    `start` are the weights that the run started from. Raises UserError for a run that started from others.
    """
    if config.training.schedule.by_evaluation:
        raise UserError(
            f"a replay wants rates that follow from the step alone, got `decay={config.training.schedule.kind}`, which "
            "evaluations decide; choose another schedule"
        )
    got = start.digest if start else ""
    if got != config.init:
        raise UserError(
            f"a replay wants the weights that the run started from ({config.init[:12] or 'drawn'}), got "
            f"{got[:12] or 'none'}; name them by `init`"
        )
    try:
        if folder is not None:
            return Replay(config, data, normalisation(config, data, checkpoint_of(folder, "last"), start), start)
    except CheckpointError:
        pass  # the golden traces have no checkpoints; what they were trained with is computed again
    return Replay(config, data, normalisation(config, data, None, start), start)


def write_examples(path: Path, data: Dataset) -> None:
    """Write both splits as they are trained on, before augmentation, as one .npz.

    Images are uint8 [N, H, W, C] with labels int32 [N], a text is its tokens int32 [n].
    """
    arrays: dict[str, Array] = {"data_sha256": np.array(data.digest)}
    for role, split in (("train", data.train), ("test", data.test)):
        if isinstance(split, TextSplit):
            arrays[f"{role}_tokens"] = split.labels
            continue
        if not of_images(split):
            raise UserError(f"a script is written for images or text, got {data.name}; train on one of those")
        arrays[f"{role}_pixels"] = split.images(np.arange(len(split), dtype=np.int64))
        arrays[f"{role}_labels"] = split.labels
    with whole(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def write_start(path: Path, start: Start) -> None:
    """Write the weights that a training begins with as one .npz: float32 tensors by netc's names, and their SHA-256."""
    with whole(path) as file:
        np.savez_compressed(file, sha256=np.array(start.digest), **start.tensors)  # type: ignore[arg-type]


def first_state(program: Program, seed: int) -> list[Array]:
    """The state before step 0, in order, float32: every backend draws the same bits (codegen/random.py)."""
    words = np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)
    return run(program.module, "init", [words], "f32")
