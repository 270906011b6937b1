"""Batches: the order of an epoch, augmentation, normalisation; equal bits for equal (seed, epoch, step).

Every draw comes from NumPy's counter-based Philox generator with the key (seed, epoch). Its counter's upper words tell
the uses apart: the order of the epoch begins at (.., .., 0, 0), the crops and flips of step s at (.., .., s, 1), and
what else is drawn for the image at place p of the epoch's order at (.., .., p, 2). So a run that begins in the middle
of an epoch draws what an unbroken one draws. NumPy keeps Philox's bits for ever, and `Generator`'s permutation and
integers within a version (NEP 19).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt

from netc.netspec.augment import Augment
from netc.netspec.counting import counted
from netc.netspec.feeding import Feeding
from netc.runtime.data.augment import Images, by_image
from netc.runtime.data.damaged import plain, readable
from netc.runtime.data.dataset import AnySplit, Dataset, of_images
from netc.runtime.data.division import balanced_order, blocks_of, windowed_order
from netc.runtime.data.errors import DataError, refuse
from netc.runtime.data.examples import Array, Batches, Examples
from netc.runtime.data.frame import STRETCH, Fit
from netc.runtime.data.kept import KeptSplit
from netc.runtime.data.masked import targets
from netc.runtime.data.part import WHOLE, Part
from netc.runtime.data.split import Indices, Labels, Split
from netc.runtime.data.stretches import Ids
from netc.runtime.data.target_scale import NO_SCALE, TargetScale, moments
from netc.runtime.data.training_images import TrainingImages
from netc.runtime.data.windows import TextSplit
from netc.runtime.data.workers import AUTOMATIC, in_order, workers_for

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
Number = TypeVar("Number", np.float32, np.int32)
Floats = npt.NDArray[np.float32]

STATISTICS_IMAGES = 10_000
STATISTICS_CHUNK = 256
STD_FLOOR = 1 / 255
"""A channel that never changes is divided by one grey level, not by zero."""

KEY_LIMIT = 1 << 64
FEEDING = Feeding()


@dataclass(frozen=True)
class Normalise:
    """x = (pixel / 255 - mean) / std for each channel; both in units of the full scale 0 to 1.

    Of a table, x = (value - mean) / std for each column, and `target` is how the targets of a regression are scaled.
    Empty where a net takes its input as it is.

    Raises `DataError` when the counts differ or a std is not positive.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    target: TargetScale = NO_SCALE

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise DataError(
                f"normalisation wants as many means as positive stds, got mean {self.mean}, std {self.std}; "
                "give one of each for each channel"
            )

    def __call__(self, pixels: Images) -> Floats:
        """Return `pixels`, uint8 [N, H, W, C], as float32 of that shape: pixel * scale + shift."""
        count, height, width, channels = pixels.shape
        if channels != len(self.mean):
            raise DataError(
                f"normalisation of {counted(len(self.mean), 'channel')} does not fit images of {channels}; "
                "compute the statistics of the data that is trained on"
            )
        std = np.array(self.std)
        scale = np.tile((1 / (255 * std)).astype(np.float32), width)
        shift = np.tile((-np.array(self.mean) / std).astype(np.float32), width)
        rows = pixels.reshape(count * height, width * channels).astype(np.float32)
        rows *= scale
        rows += shift
        return rows.reshape(pixels.shape)

    def to_json(self) -> dict[str, object]:
        """Plain JSON; `target` only where there is one."""
        held = {"mean": list(self.mean), "std": list(self.std)}
        target = {"target": {"mean": list(self.target.mean), "std": list(self.target.std)}}
        return {**held, **(target if self.target else {})}

    def columns(self, x: Floats) -> Floats:
        """Return the rows of a table, float32 [N, F], as (x - mean) / std of each column, in their own units."""
        if x.shape[1] != len(self.mean):
            raise DataError(
                f"normalisation of {counted(len(self.mean), 'column')} does not fit {x.shape[1]}; give the table's own"
            )
        scaled: Floats = ((x - np.array(self.mean)) / np.array(self.std)).astype(np.float32)
        return scaled


@dataclass(frozen=True, eq=False)
class Batch:
    """One training batch: `x` float32 [B, H, W, C], normalised; `y` int32 [B], or masks [B, H, W].

    Of text both are int32 [B, T].
    """

    x: Floats | Ids
    y: Labels | Floats


@dataclass(frozen=True, eq=False)
class EvalBatch:
    """One test batch: `x` float32 [B, H, W, C]; `y` int32 [B]; `weight` float32 [B], 0 for padding, else 1.

    Of text x and y are int32 [B, T]. Padding has x = 0 and y = 0.
    """

    x: Floats | Ids
    y: Labels | Floats
    weight: Floats


def statistics(split: AnySplit, channels: int, workers: int = AUTOMATIC) -> Normalise:
    """Return mean and (population) standard deviation for each channel of pixel / 255, exact to float64.

    Over all images, or 10,000 of them evenly spaced when there are more (an image folder is sorted by class,
    so that the first ones would not do); without damaged ones, where they are skipped. A std is at least `STD_FLOOR`.
    Raises `DataError` when the images have another number of channels, and for a damaged one. Text has no channels, and
    what a net takes as it is has nothing to normalise.
    """
    if isinstance(split, Examples) and split.standardise:
        return Normalise(*moments(split.x))
    if not of_images(split):
        return Normalise((), ())
    if split.shape[2] != channels:
        raise DataError(
            f"statistics of {counted(channels, 'channel')} do not fit images of {split.shape[2]}; resize the data"
        )
    count = min(len(split), STATISTICS_IMAGES)
    chosen: Indices = np.arange(count, dtype=np.int64) * len(split) // count
    histogram = np.zeros((channels, 256), np.int64)
    parts = [chosen[start : start + STATISTICS_CHUNK] for start in range(0, count, STATISTICS_CHUNK)]
    for found, whole in in_order(partial(readable, split), parts, workers_for(split, workers)):
        pixels = found if whole.all() else found[whole]
        for channel in range(channels):
            histogram[channel] += _counts(pixels[..., channel].ravel())
    if not histogram.any():
        raise DataError(
            "the statistics of the training images want at least one intact image, got none; repair the data"
        )
    levels = np.arange(256) / 255
    weights = histogram / histogram.sum(axis=1, keepdims=True)
    mean = weights @ levels
    std = np.sqrt((weights * (levels - mean[:, np.newaxis]) ** 2).sum(axis=1))
    return Normalise(tuple(mean.tolist()), tuple(np.maximum(std, STD_FLOOR).tolist()))


def _taken(split: Examples, chosen: Indices, normalise: Normalise) -> tuple[Array, Array]:
    x, y = split.take(chosen)
    return (normalise.columns(x), normalise.target.scaled(y)) if split.standardise else (x, y)


def open_all(data: Dataset, workers: int = AUTOMATIC) -> None:
    """Decode every test image once, so that a damaged one is found now; raises `DataError` that names all of them.

    The training images too, where they are kept once decoded and there are no more than `statistics` looks at. Where
    damaged images are skipped, they are noted, and what is refused is a test without a whole one.
    """
    problems: list[str] = []
    for split in (data.train, data.test):
        once = isinstance(plain(split), KeptSplit) and len(split) <= STATISTICS_IMAGES
        if not of_images(split) or (split is data.train and not once):
            continue
        parts = [
            np.arange(start, min(start + STATISTICS_CHUNK, len(split)), dtype=np.int64)
            for start in range(0, len(split), STATISTICS_CHUNK)
        ]
        whole = False
        for found in in_order(partial(_opened, split), parts, workers_for(split, workers)):
            problems += found if isinstance(found, tuple) else ()
            whole |= found is True
        if not (whole or problems):
            problems.append(f"{data.name}: wants one image that is whole, got none; repair the data")
    refuse(data.name, problems)


def _opened(split: Split, part: Indices) -> tuple[str, ...] | bool:
    """What is wrong with a part of the images, or whether any is whole."""
    try:
        return bool(readable(split, part)[1].any())
    except DataError as error:
        return error.problems


def _counts(pixels: Images) -> Indices:
    """How often each of 256 levels occurs in `pixels` [n]: counted two at a time, as numbers of 16 bits."""
    even = len(pixels) // 2 * 2
    pairs = np.bincount(pixels[:even].view(np.uint16), minlength=1 << 16).reshape(256, 256)
    counts: Indices = pairs.sum(axis=0) + pairs.sum(axis=1) + np.bincount(pixels[even:], minlength=256)
    return counts


def epoch_order(n: int, seed: int, epoch: int) -> Indices:
    """Return the order of an epoch's `n` images: a permutation, int64 [n], of Philox with key (seed, epoch).

    Raises `DataError` unless seed and epoch are in [0, 2^64).
    """
    return _generator(seed, epoch, (0, 0)).permutation(n)


def _order(split: AnySplit, seed: int, epoch: int, feeding: Feeding) -> Indices:
    """The order of an epoch's examples: as `feeding` says, and of a source in stretches window by window."""
    generator = _generator(seed, epoch, (0, 0))
    blocks = blocks_of(split)
    if feeding.sampler == "balanced":
        order = balanced_order(split.labels, generator)
    elif blocks is None:
        order = epoch_order(len(split), seed, epoch)
    else:
        order = windowed_order(blocks, feeding.shuffle_buffer, generator)
    return np.repeat(order, feeding.aug_repeats)[: len(split)]


def steps_per_epoch(n: int, batch: int) -> int:
    """Return how many full batches `n` images make; raises `DataError` when there is none."""
    if batch < 1:
        raise DataError(f"`batch` wants 1 or more, got {batch}; give a larger one")
    if n < batch:
        raise DataError(f"`batch={batch}` is more than the {n:,} training examples; make it {n:,} or less")
    return n // batch


def train_batches(
    split: AnySplit,
    *,
    batch: int,
    seed: int,
    epoch: int,
    normalise: Normalise,
    augment: Augment,
    start: int = 0,
    feeding: Feeding = FEEDING,
    workers: int = AUTOMATIC,
    fit: Fit = STRETCH,
    part: Part = WHOLE,
) -> Iterator[Batch]:
    """Return the full batches of one epoch from step `start` on; those left over are not seen this epoch.

    `feeding` says how the order is drawn. The first `start` batches are skipped without being read. `fit` says the
    interpolation of what is cut out at random and turned. The batches are the same however many `workers` make them.
    Of each only its `part` is read and made, but that of a source of batches is cut out of the whole.
    Raises `DataError` at once for a batch larger than the split and a `start` outside 0 to `steps_per_epoch`, and on
    the way for a damaged image.
    """
    steps, rows = steps_per_epoch(len(split), batch), part.rows(batch)
    if not 0 <= start <= steps:
        raise DataError(f"start wants a step from 0 to {steps}, got {start}; the run used other data or batches")
    if isinstance(split, Batches):
        return (Batch(x[rows], y[rows]) for x, y in split.epoch(epoch, start))
    order = _order(split, seed, epoch, feeding)

    def make(step: int) -> Batch:
        chosen = order[step * batch : (step + 1) * batch][rows]
        if isinstance(split, TextSplit):
            return Batch(*split.windows(chosen))
        assert isinstance(split, Examples)
        return Batch(*_taken(split, chosen, normalise))

    if not of_images(split):
        return (make(step) for step in range(start, steps))
    images = TrainingImages(
        split, order, batch, augment, normalise.mean, lambda place: _generator(seed, epoch, (place, 2)),
        lambda step: _generator(seed, epoch, (step, 1)), fit, part,
    )  # fmt: skip

    def make_images(step: int) -> Batch:
        pixels, labels = images.step(step)
        return Batch(normalise(pixels), labels)

    return in_order(make_images, range(start, steps), workers_for(split, workers, changed=by_image(augment)))


def eval_batches(
    split: AnySplit, *, batch: int, normalise: Normalise, workers: int = AUTOMATIC, part: Part = WHOLE
) -> Iterator[EvalBatch]:
    """Return all images in order, in batches of one size; the last one is padded, its padding of weight 0.

    A damaged image that is skipped has weight 0, too. Of each batch only its `part` is read and made. Raises
    `DataError` for a batch smaller than 1, and on the way for a damaged image.
    """
    if batch < 1:
        raise DataError(f"a batch wants 1 image or more, got {batch}; make the batch larger")
    rows = part.rows(batch)
    own = rows.stop - rows.start

    def make(start: int) -> EvalBatch:
        chosen: Indices = np.arange(start, min(start + batch, len(split)), dtype=np.int64)[rows]
        weight = _padded(np.ones(len(chosen), np.float32), own)
        if isinstance(split, TextSplit):
            x, y = split.windows(chosen)
            return EvalBatch(_padded(x, own), _padded(y, own), weight)
        if isinstance(split, Examples):
            x, y = _taken(split, chosen, normalise)
            return EvalBatch(_padded(x, own), _padded(y, own), weight)
        if not of_images(split):
            raise DataError("an evaluation wants arrays, got batches; give `x_test` and `y_test`")
        pixels, whole = readable(split, chosen)
        inputs = normalise(pixels)
        inputs[~whole] = 0
        weight[: len(whole)] *= whole
        return EvalBatch(_padded(inputs, own), _padded(targets(split, chosen), own), weight)

    threads = workers_for(split, workers) if of_images(split) else 1
    return in_order(make, range(0, len(split), batch), threads)


def _padded(rows: npt.NDArray[Number], batch: int) -> npt.NDArray[Number]:
    """`rows` and as many zeros after them as make `batch`."""
    return np.pad(rows, ((0, batch - len(rows)), *((0, 0),) * (rows.ndim - 1)))


def _generator(seed: int, epoch: int, upper: tuple[int, int]) -> np.random.Generator:
    if not (0 <= seed < KEY_LIMIT and 0 <= epoch < KEY_LIMIT):
        raise DataError(f"seed and epoch want 0 to 2^64 - 1, got {seed} and {epoch}; choose numbers in that range")
    key = np.array((seed, epoch), np.uint64)
    counter = np.array((0, 0, *upper), np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def prefetch(items: Iterator[T], depth: int = 2) -> Iterator[T]:
    """Yield `items` in order while a background thread computes up to `depth` of them ahead.

    What `items` raises is raised here, at its place in the order. When this iterator is closed or dropped,
    the thread ends after the item it is at. Raises `DataError` for a depth below 1.
    """
    if depth < 1:
        raise DataError(f"prefetch wants a depth of 1 or more, got {depth}; 2 is enough to hide the work")
    return _prefetch(items, depth)


class _Caught:
    """What a `with` block ended in, kept for another thread."""

    error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> Literal[True]:
        self.error = error
        return True


class _End(Enum):
    END = "end"


def _prefetch(items: Iterator[T], depth: int) -> Iterator[T]:
    # Two bare queues and not futures: between two steps of a small net their bookkeeping would be felt.
    wanted: SimpleQueue[bool] = SimpleQueue()
    made: SimpleQueue[T | Literal[_End.END]] = SimpleQueue()
    caught = _Caught()

    def work() -> None:
        with caught:
            # no StopIteration: kept, it would hold this frame, which holds it, until Python looks for such rings
            while wanted.get() and (item := next(items, _End.END)) is not _End.END:
                made.put(item)
        made.put(_End.END)

    for _ in range(depth):
        wanted.put(True)
    # A daemon: a process that ends without dropping this iterator does not wait for an item that nobody wants.
    worker = Thread(target=work, name="netc-prefetch", daemon=True)
    worker.start()
    try:
        while (item := made.get()) is not _End.END:
            wanted.put(True)
            yield item
    finally:
        with suppress(Empty):
            while True:
                wanted.get_nowait()
        wanted.put(False)
        worker.join()
    if caught.error is not None:
        raise caught.error
