"""What is held out of the training part, and orders of an epoch besides the plain one: functions of seeds and counts.

No example is in both parts: what is held out is a set of places, and the training part is what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from netc.netspec.feeding import Feeding
from netc.runtime.data.dataset import AnySplit, Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import Array, Batches
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.named import listed
from netc.runtime.data.split import Indices
from netc.runtime.data.stretches import Tokens, joined
from netc.runtime.data.windows import TextSplit

FEWEST_NUMBERS = 10  # of a column's values


def divided(data: Dataset, feeding: Feeding) -> Dataset:
    """Return data, undivided where nobody else divides it, with part of its training part held out as its test part.

    The digest stays that of the data as stored. Raises DataError where it cannot be divided so.
    """
    if feeding.aug_repeats > 1 and isinstance(data.train, Batches):
        raise DataError(
            f"`aug_repeats` wants data whose order netc makes, got the batches of {data.name}; repeat them yourself"
        )
    if feeding.sampler == "balanced":
        _class_ids(data, data.train, "`sampler=balanced`")
    if not feeding.divides:
        return data
    pool = data.train
    word = "`val`" if feeding.val else "`fold`"
    train: AnySplit
    test: AnySplit
    if isinstance(pool, Batches):
        raise DataError(
            f"{word} wants data that can be divided, got the batches of {data.name}; hold some out yourself"
        )
    if isinstance(pool, TextSplit):
        if feeding.stratify:
            raise DataError(f"`stratify` wants data with classes, got the text {data.name}; leave it out")
        train, test = _text(pool, feeding)
    else:
        labels = _class_ids(data, pool, "`stratify`") if feeding.stratify else None
        held = held_out(len(pool), feeding, labels)
        if held.all() or not held.any():
            raise DataError(
                f"{data.name}: {word} wants examples in both parts, got {len(pool):,} in all; give a data set with more"
            )
        train, test = pool.part(np.flatnonzero(~held)), pool.part(np.flatnonzero(held))
    undivided = _same(pool, data.test)  # nobody else held anything out
    part = "the data" if undivided else "the training part"
    said = f"{feeding.val:g} of {part}" if feeding.val else f"fold {feeding.fold} of {part}"
    note = f"{said} is held out for the test: {len(test):,} of {len(test) + len(train):,}"
    notes = (*(n for n in data.notes if "held out for the test" not in n), note)
    return replace(data, train=train, test=test, notes=notes, train_digest=f"{data.digest}")


def held_out(count: int, feeding: Feeding, labels: Array | None = None) -> Array:
    """bool [count]: which examples are held out; with `labels` int32 [count], of each class alike.

    Of `val` s these are round(s count), at least one; of N folds every example is in one, and their sizes differ by at
    most one, of each class and in all.
    """
    generator = np.random.Generator(
        np.random.Philox(key=np.array((feeding.split_seed, 0), np.uint64), counter=np.array((0, 0, 0, 3), np.uint64))
    )
    order = generator.permutation(count)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    held = np.zeros(count, np.bool_)
    if feeding.fold:
        which, folds = feeding.folds
        held[order[which - 1 :: folds]] = True
        return held
    if labels is None:
        held[order[: max(1, round(feeding.val * count))]] = True
        return held
    sizes = np.bincount(labels)
    ends = np.cumsum(sizes)
    for size, end, take in zip(sizes, ends, _shares(sizes, feeding.val), strict=True):
        held[order[end - size : end - size + take]] = True
    return held


def _shares(sizes: Indices, share: float) -> Indices:
    """How many of each class are held out: its share rounded down, and one more where most was lost, to the sum."""
    exact = sizes * share
    taken: Indices = np.floor(exact).astype(np.int64)
    left = max(1, round(share * int(sizes.sum()))) - int(taken.sum())
    most_lost = np.argsort(-(exact - taken), kind="stable")[: max(0, left)]
    taken[most_lost] += 1
    return taken


def _text(pool: TextSplit, feeding: Feeding) -> tuple[TextSplit, TextSplit]:
    """The end of a text, or one of N equal stretches, and what is left; neighbours stay neighbours."""
    tokens: Tokens = pool.tokens
    if feeding.fold:
        which, folds = feeding.folds
        first, last = len(tokens) * (which - 1) // folds, len(tokens) * which // folds
    else:
        first, last = len(tokens) - round(feeding.val * len(tokens)), len(tokens)
    rest = joined([tokens[:first], tokens[last:]])
    cut = first if 0 < first < len(rest) else 0  # no window of the training part spans what was taken out
    return replace(pool, tokens=rest, cut=cut), replace(pool, tokens=tokens[first:last], cut=0)


def _same(pool: AnySplit, test: AnySplit) -> bool:
    if isinstance(pool, TextSplit) and isinstance(test, TextSplit):
        return pool.tokens is test.tokens
    return np.array_equal(pool.labels, test.labels)


def _class_ids(data: Dataset, split: AnySplit, word: str) -> Array:
    labels = np.empty(0) if isinstance(split, MaskedSplit) else split.labels
    if isinstance(split, TextSplit | Batches) or labels.dtype != np.int32 or labels.shape != (len(split),):
        raise DataError(f"{word} wants one class for each example, got those of {data.name}; leave it out")
    return labels


def refuse_unlearnt(data: Dataset) -> None:
    """Raise DataError for classes of the test part that the training part does not have."""
    train, test = data.train, data.test
    if isinstance(train, TextSplit | Batches) or not data.classes:
        return
    if isinstance(train, MaskedSplit) and isinstance(test, MaskedSplit):
        seen, shown = (np.flatnonzero(split.of_each()[: len(data.classes)]) for split in (train, test))
    elif train.labels.dtype != np.int32 or test.labels.dtype != np.int32:
        return
    else:
        seen, shown = (np.unique(split.labels[split.labels < len(data.classes)]) for split in (train, test))
    if unlearnt := [data.classes[i] for i in np.setdiff1d(shown, seen).tolist()]:
        if data.columns.targets and _numeric(data.classes):
            raise DataError(
                f"{data.name}: {data.columns.targets[0]} looks like numbers ({len(data.classes):,} different values in "
                f"{len(train) + len(test):,} rows), got a loss of classes; give `loss=mse` to predict numbers"
            )
        raise DataError(
            f"{data.name}: wants training examples of every class of the test part, got none of {listed(unlearnt)}; "
            "add some, or remove these classes"
        )


def _numeric(classes: Sequence[str]) -> bool:
    """Whether names of classes look like measured numbers: whole ones, with gaps, and not only a few."""
    if len(classes) < FEWEST_NUMBERS or not all(name.lstrip("-").isdigit() for name in classes):
        return False
    values = [*map(int, classes)]
    return max(values) - min(values) >= len(values)


def balanced_order(labels: Array, generator: np.random.Generator) -> Indices:
    """Return an epoch's order in which every class that occurs comes as often, but for one: int64 [len(labels)].

    All examples of a class are drawn before one is drawn again.
    """
    classes = np.unique(labels)
    each, more = divmod(len(labels), len(classes))
    lucky = {*generator.permutation(len(classes))[:more].tolist()}
    chosen = []
    for number, label in enumerate(classes):
        places, wanted = np.flatnonzero(labels == label), each + (number in lucky)
        rounds = [generator.permutation(places) for _ in range(-(-wanted // len(places)))]
        chosen.append(np.concatenate([np.empty(0, np.int64), *rounds])[:wanted])
    return generator.permutation(np.concatenate(chosen))


def blocks_of(split: AnySplit) -> Indices | None:
    """Where stretches of neighbours begin in a source that is read in stretches, and the end; None of any other."""
    base: Any = split
    while getattr(base, "base", None) is not None:
        base = base.base
    found: Indices | None = getattr(base, "blocks", None)
    return found


def windowed_order(blocks: Indices, window: int, generator: np.random.Generator) -> Indices:
    """Return an epoch's order of examples that are read in stretches: a permutation, int64 [blocks[-1]].

    The stretches [blocks[i], blocks[i + 1]) come in an order that is drawn, as many at a time as hold `window` examples
    or more, and are shuffled together: no more than these need be held at once. Where all fit, it is one shuffle.
    """
    drawn = generator.permutation(len(blocks) - 1).tolist()
    found, held, count = list[Indices](), list[Indices](), 0
    for number in drawn:
        held.append(np.arange(blocks[number], blocks[number + 1]))
        count += len(held[-1])
        if count >= window:
            found.append(generator.permutation(np.concatenate(held)))
            held, count = [], 0
    return np.concatenate([*found, generator.permutation(np.concatenate(held))] if held else found)
