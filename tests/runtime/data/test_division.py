"""Divisions and orders: nobody is in both parts, classes keep their shares, folds cover all; scikit-learn is beside."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netc.netspec.augment import Augment
from netc.netspec.errors import SpecError
from netc.netspec.feeding import Feeding
from netc.runtime.data.batches import Normalise, train_batches
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.division import balanced_order, divided, held_out, refuse_unlearnt, windowed_order
from netc.runtime.data.errors import DataError
from netc.runtime.data.windows import TextSplit

AS_IT_IS = Normalise((), ())


def pool(count=90, classes=3, weights=None):
    labels = np.random.default_rng(1).choice(classes, count, p=weights).astype(np.int32)
    labels[:classes] = np.arange(classes)
    x = np.arange(count, dtype=np.float32)[:, None]
    return Dataset.from_arrays(x, labels, x[:3], labels[:3], classes=tuple(map(str, range(classes))))


def parts(data):
    return data.train.x[:, 0].astype(int).tolist(), data.test.x[:, 0].astype(int).tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 300), st.floats(0.01, 0.99), st.integers(1, 5), st.booleans(), st.integers(0, 2**63 - 1), st.data()
)
def test_a_share_is_held_out(count, share, classes, stratify, seed, data):
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count)), np.int32)
    feeding = Feeding(val=share, stratify=stratify, split_seed=seed)
    held = held_out(count, feeding, labels if stratify else None)
    assert held.sum() == max(1, round(share * count))
    assert np.array_equal(held, held_out(count, feeding, labels if stratify else None))
    if stratify:
        for size, taken in zip(np.bincount(labels), np.bincount(labels[held], minlength=labels.max() + 1), strict=True):
            assert abs(taken - share * size) <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(10, 200), st.integers(2, 10), st.booleans(), st.integers(0, 99))
def test_folds_are_a_partition(count, folds, stratify, seed):
    labels = np.random.default_rng(seed).integers(0, 3, count).astype(np.int32)
    held = [
        held_out(count, Feeding(fold=f"{k}/{folds}", split_seed=seed, stratify=stratify), labels if stratify else None)
        for k in range(1, folds + 1)
    ]
    assert np.array_equal(np.sum(held, 0), np.ones(count))
    assert {h.sum() for h in held} <= {count // folds, -(-count // folds)}
    if stratify:
        for label in range(3):
            sizes = {int(h[labels == label].sum()) for h in held}
            assert max(sizes) - min(sizes) <= 1


def test_shares_are_those_of_scikit_learn():
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    labels = np.random.default_rng(0).choice(4, 203, p=(0.7, 0.2, 0.07, 0.03)).astype(np.int32)
    ours = held_out(203, Feeding(val=0.25, stratify=True), labels)
    _, theirs = train_test_split(labels, test_size=int(ours.sum()), stratify=labels, random_state=0)
    assert np.abs(np.bincount(labels[ours]) - np.bincount(theirs)).max() <= 1
    for stratify, splitter in ((False, KFold(5, shuffle=True)), (True, StratifiedKFold(5, shuffle=True))):
        for k, (_, test) in enumerate(splitter.split(labels, labels), 1):
            held = held_out(203, Feeding(fold=f"{k}/5", stratify=stratify), labels if stratify else None)
            assert abs(int(held.sum()) - len(test)) <= 1
            if stratify:
                assert (
                    np.abs(np.bincount(labels[held], minlength=4) - np.bincount(labels[test], minlength=4)).max() <= 1
                )


@pytest.mark.parametrize("feeding", [
    Feeding(val=0.2), Feeding(val=0.2, stratify=True), Feeding(fold="2/5"), Feeding(fold="1/2", stratify=True),
])  # fmt: skip
def test_nobody_is_in_both_parts(feeding):
    data = pool()
    train, test = parts(divided(data, feeding))
    assert sorted(train + test) == list(range(90)) and train == sorted(train) and test == sorted(test)
    again = parts(divided(data, feeding))
    assert (train, test) == again
    assert parts(divided(data, replace(feeding, split_seed=1))) != again


def test_what_a_division_says():
    found = divided(pool(), Feeding(val=0.2))
    assert found.notes == ("0.2 of the training part is held out for the test: 18 of 90",)
    assert divided(pool(), Feeding(fold="1/3")).notes == (
        "fold 1/3 of the training part is held out for the test: 30 of 90",
    )
    assert divided(pool(), Feeding()).digest == found.digest
    images = Dataset.from_arrays(np.arange(10 * 4, dtype=np.uint8).reshape(10, 2, 2), np.arange(10) % 2)
    assert len(divided(images, Feeding(val=0.34)).test) == 3


@pytest.mark.parametrize(("feeding", "sentence"), [
    ({"val": 1.0}, "`val` wants a share from 0 to below 1, got 1.0"),
    ({"fold": "0/5"}, "`fold` wants K/N, K from 1 to N and N from 2 to 1000, got '0/5'; give `fold=1/5`"),
    ({"fold": "6/5"}, "`fold` wants"), ({"fold": "1/1"}, "`fold` wants"), ({"fold": "a"}, "`fold` wants"),
    ({"val": 0.1, "fold": "1/5"}, "only one part is held out, got `val` and `fold`; leave one of them out"),
    ({"stratify": True}, "`stratify` belongs to `val` or `fold`, got neither"),
    ({"split_seed": 3}, "`split_seed` belongs to `val` or `fold`"),
    ({"sampler": "fair"}, "`sampler` wants shuffle or balanced, got 'fair'"),
])  # fmt: skip
def test_options_that_say_nothing(feeding, sentence):
    with pytest.raises(SpecError, match=sentence):
        Feeding(**feeding).check()


def test_data_that_cannot_be_divided():
    few = Dataset.from_arrays(np.ones((1, 2)), np.zeros(1, int), np.ones((1, 2)), np.zeros(1, int))
    with pytest.raises(DataError, match="`val` wants examples in both parts, got 1 in all; give a data set with more"):
        divided(few, Feeding(val=0.5))
    batches = Dataset.from_batches([(np.ones((2, 2)), np.zeros(2, int))], np.ones((1, 2)), np.zeros(1, int))
    with pytest.raises(DataError, match="`fold` wants data that can be divided, got the batches of"):
        divided(batches, Feeding(fold="1/2"))
    numbers = Dataset.from_arrays(np.ones((9, 2)), np.ones((9, 1)), np.ones((1, 2)), np.ones((1, 1)))
    for feeding, word in ((Feeding(val=0.5, stratify=True), "`stratify`"), (Feeding(sampler="balanced"), "`sampler=b")):
        with pytest.raises(
            DataError, match=f"{word}.* wants one class for each example, got those of arrays:mine; leave"
        ):
            divided(numbers, feeding)
    assert len(divided(numbers, Feeding(val=0.5)).test) == 4


def test_classes_of_the_test_part_only():
    x, y = np.ones((6, 2), np.float32), np.array([0, 0, 1, 1, 0, 0])
    names = ("cat", "dog", "eel")
    refuse_unlearnt(Dataset.from_arrays(x, y, x, y, classes=names))
    with pytest.raises(
        DataError, match="wants training examples of every class of the test part, got none of eel; add"
    ):
        refuse_unlearnt(Dataset.from_arrays(x, y, x, np.array([0, 1, 2, 2, 0, 0]), classes=names))


def test_a_text_is_divided_in_stretches():
    tokens = np.arange(100, dtype=np.int32)
    split = TextSplit(tokens, 1)
    data = Dataset("t", split, split, tuple(map(str, range(100))), "", "", "", Augment(), (100,))
    whole = divided(data, Feeding(val=0.2))
    assert whole.train.tokens.tolist() == list(range(80)) and whole.test.tokens.tolist() == list(range(80, 100))
    fold = divided(data, Feeding(fold="2/5"))
    assert fold.test.tokens.tolist() == list(range(20, 40))
    assert fold.train.tokens.tolist() == [*range(20), *range(40, 100)]
    with pytest.raises(DataError, match="`stratify` wants data with classes, got the text t; leave it out"):
        divided(data, Feeding(val=0.2, stratify=True))


def test_a_balanced_order():
    labels = np.repeat([0, 1, 2], (80, 15, 5))
    orders = [balanced_order(labels, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], orders[2])
    for order in orders:
        assert len(order) == 100 and sorted(Counter(labels[order].tolist()).values()) == [33, 33, 34]
        seen = Counter(order.tolist())
        assert max(seen[i] for i in range(80)) == 1  # no example of a large class twice
        for first, last in ((80, 95), (95, 100)):  # all of a small class before one again
            counts = {seen[i] for i in range(first, last)}
            assert max(counts) - min(counts) <= 1
        assert 20 < (labels[order[:50]] == 0).sum() + (labels[order[:50]] == 1).sum() < 45  # mixed, not in a row


def test_a_balanced_epoch_begins_anywhere():
    data = pool(90, 3, (0.8, 0.1, 0.1))
    options = {
        "batch": 9,
        "seed": 3,
        "epoch": 2,
        "normalise": AS_IT_IS,
        "augment": Augment(),
        "feeding": Feeding(sampler="balanced"),
    }
    whole = list(train_batches(data.train, **options))
    late = list(train_batches(data.train, start=6, **options))
    assert len(whole) == 10
    for a, b in zip(whole[6:], late, strict=True):
        assert np.array_equal(a.x, b.x) and np.array_equal(a.y, b.y)
    assert Counter(np.concatenate([b.y for b in whole]).tolist()) == {0: 30, 1: 30, 2: 30}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 200), st.integers(0, 99))
def test_a_windowed_order_is_a_permutation_that_needs_few_stretches_at_once(sizes, window, seed):
    blocks = np.concatenate([[0], np.cumsum(sizes)])
    order = windowed_order(blocks, window, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(sum(sizes)))
    assert np.array_equal(order, windowed_order(blocks, window, np.random.default_rng(seed)))
    # between the first and the last use of a stretch no more than a window and one stretch of others is used
    of = np.searchsorted(blocks, order, side="right") - 1
    for block in range(len(sizes)):
        first, last = np.flatnonzero(of == block)[[0, -1]]
        assert last - first < window + max(sizes)
