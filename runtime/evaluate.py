"""A trained run, looked at again: its accuracy on the test split, and what it says of single images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netc.codegen.program import build
from netc.codegen.rewrite.choices import NONE
from netc.netspec.errors import UserError
from netc.runtime.cache import Cache
from netc.runtime.checkpoint import Checkpoint
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.image_file import decode
from netc.runtime.data.named import Named, by_name, by_number
from netc.runtime.run import RunConfig, checkpoint_of, normalise_of
from netc.runtime.session import Session, prepare
from netc.runtime.target import parse_target
from netc.runtime.train import sums


@dataclass(frozen=True)
class Score:
    """Mean loss, accuracy (0 to 1) and number of images of the test split; the rest is as in `Named`."""

    loss: float
    accuracy: float
    count: int
    missing: tuple[str, ...] = ()
    left_out: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guess:
    """What a net says of one image: classes with their probabilities, the likeliest first."""

    image: str
    classes: tuple[tuple[str, float], ...]


def open_session(config: RunConfig, folder: Path, which: str, target: str, cache: Cache) -> tuple[Session, Checkpoint]:
    """A session that holds the checkpoint `which` of a run."""
    saved = checkpoint_of(folder, which)
    if saved.meta.get("spec_sha256") != config.net.digest:
        raise UserError(f"{folder / which} belongs to another spec than run.json; give the run that it was made by")
    program = build(config.net, config.recipe, config.schedule.batch)
    choices = config.choices if target == config.target else NONE
    session = Session(prepare(program, parse_target(target), cache, choices))
    session.restore(saved.tensors)
    return session, saved


def evaluate(
    config: RunConfig,
    data: Dataset,
    folder: Path,
    which: str,
    target: str,
    cache: Cache,
    *,
    other: bool = False,
    numbers: bool = False,
    skip_unknown: bool = False,
) -> Score:
    """The score of a run's checkpoint on the test split of `data`: that of its training unless `other`.

    The classes of other data are those of the run with the same names; with `numbers`, or where the weights were
    imported without names, those with the same numbers. Raises DataError for classes that the run does not know,
    unless `skip_unknown` leaves their images out.
    """
    session, saved = open_session(config, folder, which, target, cache)
    if not other and saved.meta.get("data_sha256") != data.digest:
        raise UserError(
            f"{config.data} is not the data that {folder} was trained on (its digest differs); bring that data back, "
            f"or evaluate on it as it is now with --data {config.data}"
        )
    named = _named(config, data, saved, numbers=numbers, skip_unknown=skip_unknown) if other else Named(data.test)
    loss, correct, count = sums(session, named.test, config.schedule.batch, normalise_of(saved))
    return Score(loss / count, correct / count, int(count), named.missing, named.left_out, named.notes)


def _named(config: RunConfig, data: Dataset, saved: Checkpoint, *, numbers: bool, skip_unknown: bool) -> Named:
    classes = classes_of(saved)
    nameless = "imported" in saved.meta and classes == tuple(map(str, range(len(classes))))
    if numbers or (nameless and not set(data.classes) <= set(classes)):
        return by_number(data, config.net.out.shape[-1])
    return by_name(data, classes, skip_unknown=skip_unknown)


def classes_of(saved: Checkpoint) -> tuple[str, ...]:
    """The names of a run's classes, in the order of its outputs."""
    classes = saved.meta["classes"]
    assert isinstance(classes, list)  # the manifest's digest was checked
    return tuple(map(str, classes))


def predict(
    config: RunConfig, images: Sequence[Path], folder: Path, which: str, target: str, cache: Cache
) -> list[Guess]:
    """What a run's checkpoint says of image files, each resized to the net's input. Raises DataError."""
    if config.net.x.dtype != "f32":
        raise UserError(f"predict wants a net for images, got {config.net.spec.name}, which takes token ids")
    session, saved = open_session(config, folder, which, target, cache)
    normalise, classes = normalise_of(saved), classes_of(saved)
    batch, shape = config.schedule.batch, config.net.spec.input
    pixels = np.stack([decode(path, (shape[0], shape[1], shape[2])) for path in images])
    guesses: list[Guess] = []
    for start in range(0, len(images), batch):
        part = pixels[start : start + batch]
        x = np.zeros((batch, *shape), np.float32)
        x[: len(part)] = normalise(part)
        logits = session.predict(x)[: len(part)].astype(np.float64)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        for path, row in zip(images[start : start + batch], e / e.sum(axis=1, keepdims=True), strict=True):
            order = np.argsort(-row, kind="stable")
            guesses.append(Guess(str(path), tuple((_name(classes, int(k)), float(row[k])) for k in order)))
    return guesses


def _name(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else f"class {index}"
