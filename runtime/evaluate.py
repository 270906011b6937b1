"""A trained run, looked at again: its accuracy on the test split, and what it says of single images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.codegen.choices import METRICS
from netc.codegen.program import Program, build
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES
from netc.codegen.symbolic.program import build_any_batch
from netc.netspec.batch import Batch, BatchRange
from netc.netspec.errors import UserError
from netc.netspec.types import batched
from netc.runtime.backends import check_device
from netc.runtime.cache.store import Cache
from netc.runtime.data.augment import Images
from netc.runtime.data.batches import Normalise
from netc.runtime.data.characters import Characters
from netc.runtime.data.damaged import untold
from netc.runtime.data.dataset import Columns, Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import VOID
from netc.runtime.data.frame import Fit, fit_of
from netc.runtime.data.image_file import decode
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.named import Named, by_name, by_number, with_columns
from netc.runtime.data.windows import TextSplit
from netc.runtime.metrics.bits import Bits, bits_of
from netc.runtime.metrics.counting import Mean, share_right
from netc.runtime.metrics.measure import show
from netc.runtime.metrics.seen import task_of
from netc.runtime.metrics.table import chosen_metrics
from netc.runtime.normalisation import standardised_note
from netc.runtime.prepare import prepare
from netc.runtime.run.checkpoint import Checkpoint
from netc.runtime.run.config import RunConfig, checkpoint_of, normalise_of
from netc.runtime.run.tokenizer import record_of
from netc.runtime.sums import sums
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer
from netc.runtime.weights.chosen import chosen_weights, weights_word
from netc.runtime.weights.pretrained import named_classes


@dataclass(frozen=True)
class Score:
    """Mean loss, accuracy (0 to 1) and number of images of the test split; the rest is as in `Named`.

    `metrics` are those that were asked for, by word. `bits` are those of a text: `per_token`, and `per_byte` where the
    bytes of each token are known; `tokens` counts its predictions. With test-time augmentation they and the accuracy
    are of the averaged predictions, and the loss is that of the images as they are. `experts`: of a net with experts,
    the largest and the smallest share of a layer's choices that fell on one.
    """

    loss: float
    accuracy: float
    count: int
    missing: tuple[str, ...] = ()
    left_out: int = 0
    notes: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    tokens: int = 0
    bits: Mapping[str, float] = field(default_factory=dict)
    experts: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `metrics`, `tokens`, `bits` and `experts` only where there are any."""
        some = ("metrics", "tokens", "bits", "experts")
        return {name: value for name, value in asdict(self).items() if name not in some or value}


@dataclass(frozen=True)
class Guess:
    """What a net says of one image or row: classes with their probabilities, the likeliest first.

    `measured`: of a loss of numbers, which are what is predicted, by the names of their columns.
    """

    image: str
    classes: tuple[tuple[str, float], ...]
    measured: bool = False


@dataclass(frozen=True)
class Unread:
    """An image that could not be read, and the sentence that says why."""

    image: str
    problem: str


AT_ONCE = 64  # examples of a call that takes any number of them
Probabilities = npt.NDArray[np.float64]


def open_session(
    config: RunConfig,
    folder: Path,
    which: str,
    target: str,
    cache: Cache,
    weights: str | None = None,
    saved: Checkpoint | None = None,
    batch: Batch | None = None,
) -> tuple[Trainer, Checkpoint]:
    """A session that holds the checkpoint `which` of a run, its `weights` in their place: `plain`, `ema` or `swa`.

    By default the average that the recipe keeps, if it keeps one. `saved` is the checkpoint, where it was read already.
    It takes batches as the training did, or as `batch` says; of a range it has `predict` alone.
    """
    chosen = weights_word(config.recipe, weights)
    saved = saved or checkpoint_of(folder, which)
    if saved.meta.get("spec_sha256") != config.net.digest:
        raise UserError(f"{folder / which} belongs to another spec than run.json; give the run that made it")
    where = parse_target(target)
    check_device(where)
    program = _program(config, batch)
    choices = config.choices if target == config.target else NO_OVERRIDES
    session = Trainer(prepare(program, where, cache, choices))
    session.restore(chosen_weights(saved.tensors, chosen))
    return session, saved


def _program(config: RunConfig, batch: Batch | None) -> Program:
    recipe = config.recipe.untaught
    if batch is None:
        return build(config.net, recipe, config.training.batch)
    if isinstance(batch, BatchRange):
        return build_any_batch(config.net, recipe, batch, ("predict",))
    return build(config.net, replace(recipe, accumulate=1), batch)


def at_once(config: RunConfig, batch: Batch | None) -> int:
    """How many examples are predicted in one call, where there are more."""
    if isinstance(batch, BatchRange):
        return max(batch.least, min(batch.most, AT_ONCE))
    return config.training.batch if batch is None else batch


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
    metrics: str | Iterable[str] = (),
    tta: str = "",
    weights: str | None = None,
) -> Score:
    """The score of a run's checkpoint on the test split of `data`: that of its training unless `other`.

    The classes of other data are those of the run with the same names; with `numbers`, or where the weights were
    imported without names, those with the same numbers. Raises DataError for classes that the run does not know,
    unless `skip_unknown` leaves their images out. `metrics` are words of runtime/metrics/table.py, or `all`; `tta` is
    one of runtime/metrics/measure.py; `weights` as for `open_session`.
    """
    if config.recipe.generation.process and (other or metrics or tta):
        raise UserError(
            f"a generative model is judged by the loss on its own test part, got {config.net.spec.name} with other "
            "data, `metrics` or `tta`; leave them out"
        )
    names = data.classes if not other else ()
    lengths = lengths_of(data)
    chosen = chosen_metrics(metrics, task_of(config.net, config.recipe.loss, names, len(data.test), lengths))
    session, saved = open_session(config, folder, which, target, cache, weights)
    if not other and saved.meta.get("data_sha256") != data.digest:
        raise UserError(
            f"{config.data} is not the data that {folder} was trained on (its digest differs); bring that data back, "
            f"or evaluate on it as it is now with `data={config.data}`"
        )
    data = with_columns(data, columns_of(saved)) if other else data
    named = named_part(config, data, saved, numbers=numbers, skip_unknown=skip_unknown) if other else Named(data.test)
    made_by = data.tokenizer
    if other and isinstance(made_by, Characters):  # the test part has the run's numbers now
        made_by = Characters(classes_of(saved))
    lengths = made_by.lengths if made_by else None
    task = task_of(config.net, config.recipe.loss, classes_of(saved), len(named.test), lengths)
    counted = bits_of(named.test, made_by, config.recipe.loss)
    told = standardised_note(normalise_of(saved), data)
    if not chosen and not tta:
        total = sums(session, named.test, config.training.batch, normalise_of(saved))
        loss, correct, count = total[:3].tolist()
        score = Score(
            loss / count, correct / count, int(count), named.missing, named.left_out, noted(named, data, told)
        )
        return _in_bits(replace(score, experts=_spread(total[3:], len(named.test))), counted)
    tallies, total = {word: metric.tally(task) for word, metric in chosen.items()}, session.no_sums()
    right = Mean(share_right)
    shown = (*tallies.values(), *([right] if tta else ()))
    show(session, named.test, config.training.batch, normalise_of(saved), task, shown, tta=tta, sums=total)
    loss, correct, count = total[:3].tolist()
    accuracy = right.result() if tta else correct / count
    found = {word: tally.result() for word, tally in tallies.items()}
    score = Score(loss / count, accuracy, int(count), named.missing, named.left_out, noted(named, data, told), found)
    return _in_bits(replace(score, experts=_spread(total[3:], len(named.test))), counted)


def _spread(choices: npt.NDArray[np.float64], examples: int) -> dict[str, float]:
    """The largest and the smallest share of a layer's choices that fell on one expert; empty without experts."""
    if not len(choices):
        return {}
    return dict(zip(METRICS, (float(choices.max() / examples), float(choices.min() / examples)), strict=True))


def _in_bits(score: Score, counted: Bits | None) -> Score:
    return replace(score, tokens=counted.tokens, bits=counted.of(score.loss)) if counted else score


def lengths_of(data: Dataset) -> npt.NDArray[np.int64] | None:
    """The bytes that each token of a text stands for, int64 [ids], where that is known."""
    return data.tokenizer.lengths if data.tokenizer else None


def noted(named: Named, data: Dataset, *others: str) -> tuple[str, ...]:
    """What there is to say of a test part, once it was looked at: of its classes, of damaged images, and `others`."""
    return (*named.notes, *(note for note in (untold(data), *others) if note))


def named_part(
    config: RunConfig, data: Dataset, saved: Checkpoint, *, numbers: bool = False, skip_unknown: bool = False
) -> Named:
    """The test part of other data, its classes those of the run with the same names, or with the same numbers."""
    if isinstance(data.test, MaskedSplit):
        if (void := int(data.test.counts[:, VOID].sum())) and not config.recipe.check_labels:
            raise DataError(
                f"{data.name} has {void:,} pixels of {VOID}, which is no class, and the run was trained without "
                "`check_labels`; train one with it, or give masks without them"
            )
    elif not isinstance(data.test, TextSplit) and data.test.labels.dtype != np.int32:  # numbers, which have no classes
        return Named(data.test)
    record = saved.meta.get("tokenizer")
    if isinstance(data.test, TextSplit) and record:
        if record_of(data.tokenizer) != {"tokenizer": record}:
            raise DataError(
                f"{data.name} wants the tokenizer of the run, got tokens of another; give tokens that `netc data "
                "tokenize` made by the tokenizer.json of the run, or by byte"
            )
        return Named(data.test)  # its ids are the run's own
    classes = classes_of(saved)
    nameless = not named_classes(saved)
    if numbers or (nameless and not set(data.classes) <= set(classes)):
        return by_number(data, config.net.out.shape[-1])
    return by_name(data, classes, skip_unknown=skip_unknown)


def columns_of(saved: Checkpoint) -> Columns:
    """The columns of the table that a run was trained on; none of other data."""
    held: Any = saved.meta.get("columns", {})
    return Columns(*(tuple(map(str, held.get(name, ()))) for name in ("inputs", "targets")))


def classes_of(saved: Checkpoint) -> tuple[str, ...]:
    """The names of a run's classes, in the order of its outputs."""
    classes = saved.meta["classes"]
    assert isinstance(classes, list)  # the manifest's digest was checked
    return tuple(map(str, classes))


def predict(
    config: RunConfig,
    images: Iterable[Path],
    folder: Path,
    which: str,
    target: str,
    cache: Cache,
    weights: str | None = None,
    saved: Checkpoint | None = None,
    batch: Batch | None = None,
) -> Iterator[Guess | Unread]:
    """What a run's checkpoint says of image files, each resized to the net's input; an `Unread` for what is no image.

    In the order of `images`, a batch at a time. Nothing is compiled before the first image that can be read. `saved` is
    the checkpoint, where it was read already.
    """
    if config.recipe.generation.process:
        raise UserError(f"predict wants a classifier, got {config.net.spec.name}, which generates; use `netc sample`")
    if config.net.x.dtype != "f32" or len(config.net.spec.input) != 3:
        takes = "token ids" if config.net.x.dtype != "f32" else f"an input of {list(config.net.spec.input)}"
        raise UserError(f"predict wants a net for images, got {config.net.spec.name}, which takes {takes}")
    if config.net.out.rank != 1:
        raise UserError(
            f"predict wants a net of one class for each image, got {config.net.spec.name} with "
            f"{batched(config.net.out.shape)}; in Python netc.load(RUN).predict(x) gives all its numbers"
        )
    weights = weights_word(config.recipe, weights)
    height, width, channels = config.net.spec.input
    classify: Callable[[Images], Probabilities] | None = None
    classes: tuple[str, ...] = ()
    waiting = iter(images)
    while paths := list(islice(waiting, at_once(config, batch))):
        read = [(path, read_image(path, (height, width, channels), fit_of(config.preprocess))) for path in paths]
        pixels = [found for _, found in read if not isinstance(found, Unread)]
        if pixels and classify is None:
            session, saved = open_session(config, folder, which, target, cache, weights, saved, batch)
            if not normalise_of(saved).mean:
                raise UserError(
                    f"{folder} was trained on arrays as the net takes them, got image files; give it such arrays in "
                    "Python: netc.load(RUN).predict(x)"
                )
            classify, classes = _classifier(session, normalise_of(saved)), classes_of(saved)
        rows = iter(classify(np.stack(pixels)) if pixels and classify else ())
        for path, found in read:
            yield found if isinstance(found, Unread) else _guess(path, next(rows), classes)


def read_image(path: Path, shape: tuple[int, int, int], fit: Fit) -> Images | Unread:
    """One image file as uint8 [H, W, C] of `shape`, or why it cannot be read."""
    if not path.exists():
        return Unread(str(path), f"{path}: wants an image file, got no such file; check the path")
    if not path.is_file():
        got = "a folder without images" if path.is_dir() else "no regular file"
        return Unread(str(path), f"{path}: wants an image file, got {got}; check the path")
    try:
        return decode(path, shape, fit)
    except DataError as error:
        return Unread(str(path), str(error))


def _classifier(session: Trainer, normalise: Normalise) -> Callable[[Images], Probabilities]:
    """From up to a batch of images, uint8 [n, H, W, C], to the probabilities of their classes, float64 [n, classes]."""

    def classify(pixels: Images) -> Probabilities:
        logits = session.predict_part(normalise(pixels)).astype(np.float64)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances: Probabilities = e / e.sum(axis=1, keepdims=True)
        return chances

    return classify


def _guess(path: Path, chances: Probabilities, classes: Sequence[str]) -> Guess:
    order = np.argsort(-chances, kind="stable")
    return Guess(str(path), tuple((_name(classes, int(k)), float(chances[k])) for k in order))


def _name(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else f"class {index}"
