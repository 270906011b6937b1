from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest

from netc.netspec.augment import Augment
from netc.runtime.data.augment import augmented
from netc.runtime.data.batches import (
    STD_FLOOR,
    Normalise,
    epoch_order,
    eval_batches,
    statistics,
    steps_per_epoch,
    train_batches,
)
from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import Examples
from netc.runtime.data.part import Part
from netc.runtime.data.windows import TextSplit
from tests.calls import calls_of

PLAIN = Normalise((0.0,), (1.0,))
BOTH = Augment(crop=2, flip=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_numpys(split, channels):
    data = split(300, (8, 8, channels))
    scaled = data.pixels.astype(np.float64) / 255
    found = statistics(data, channels)
    np.testing.assert_allclose(found.mean, scaled.mean((0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(found.std, scaled.std((0, 1, 2)), rtol=1e-13)


def test_levels_are_counted_whatever_their_number():
    """Two at a time, so an odd number has one left over."""
    rng = np.random.default_rng(3)
    for count, side in ((1, 1), (3, 5), (4, 2)):
        pixels = rng.integers(0, 256, (count, side, side, 1), np.uint8)
        found = statistics(ArraySplit(pixels, np.zeros(count, np.int32)), 1)
        assert found.mean[0] == pytest.approx(pixels.mean() / 255, rel=1e-12)


def test_statistics_of_sorted_data_see_every_class():
    pixels = np.repeat(np.arange(250, dtype=np.uint8), 100).reshape(-1, 1, 1, 1)
    found = statistics(ArraySplit(pixels, np.zeros(len(pixels), np.int32)), 1)
    assert found.mean[0] == pytest.approx(pixels.mean() / 255, rel=1e-3)


def test_statistics_have_a_floor(split):
    flat = ArraySplit(np.full((5, 2, 2, 1), 9, np.uint8), np.zeros(5, np.int32))
    assert statistics(flat, 1).std == (STD_FLOOR,)
    with pytest.raises(DataError, match="statistics of 3 channels do not fit images of 1"):
        statistics(flat, 3)


def test_normalise_is_the_formula(split):
    data, normalise = split(5, (4, 6, 3)), Normalise((0.1, 0.2, 0.3), (0.5, 0.25, 0.125))
    found = normalise(data.pixels)
    assert found.dtype == np.float32
    expected = (data.pixels / 255 - np.array(normalise.mean)) / np.array(normalise.std)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(DataError, match="normalisation of 1 channel does not fit images of 3"):
        PLAIN(data.pixels)
    with pytest.raises(DataError, match="wants as many means as positive stds"):
        Normalise((0.0,), (0.0,))


def test_epoch_order_is_numpys_philox():
    expected = np.random.Generator(np.random.Philox(key=np.array([5, 2], np.uint64))).permutation(100)
    np.testing.assert_array_equal(epoch_order(100, seed=5, epoch=2), expected)
    assert sorted(expected.tolist()) == list(range(100))
    assert epoch_order(100, 5, 3).tolist() != expected.tolist() != epoch_order(100, 2, 5).tolist()
    assert epoch_order(3, 2**64 - 1, 0).tolist()
    for seed, epoch in ((-1, 0), (2**64, 0), (0, -1)):
        with pytest.raises(DataError, match="seed and epoch want 0 to"):
            epoch_order(3, seed, epoch)


def run(data: ArraySplit, start: int = 0, **changed: object) -> list:
    options = {"batch": 4, "seed": 1, "epoch": 3, "normalise": PLAIN, "augment": BOTH, **changed}
    return list(train_batches(data, start=start, **options))


def same(left: list, right: list) -> bool:
    pairs = zip(left, right, strict=True)
    return all(a.x.tobytes() == b.x.tobytes() and a.y.tobytes() == b.y.tobytes() for a, b in pairs)


def test_batches_are_full_typed_and_see_each_image_once(split):
    found = run(split(18))
    assert [(b.x.shape, b.x.dtype, b.y.shape, b.y.dtype) for b in found] == [
        ((4, 8, 8, 1), np.float32, (4,), np.int32)
    ] * 4
    seen = np.concatenate([b.y for b in found])
    assert len(set(seen.tolist())) == 16
    assert seen.tolist() == epoch_order(18, 1, 3)[:16].tolist()
    assert all(b.x.flags.c_contiguous for b in found)


def test_the_same_arguments_give_the_same_bits_and_others_do_not(split):
    data = split(18)
    assert same(run(data), run(data))
    for changed in ({"seed": 2}, {"epoch": 4}, {"augment": Augment()}):
        assert not same(run(data), run(data, **changed))


@pytest.mark.parametrize("start", range(5))
def test_resuming_in_the_middle_gives_the_same_bits(split, start):
    data = split(18)
    assert same(run(data, start=start), run(data)[start:])


def test_skipped_batches_are_not_read(split):
    @dataclasses.dataclass(frozen=True, eq=False)
    class Counting(ArraySplit):
        read: list = dataclasses.field(default_factory=list)

        def images(self, indices):
            self.read.append(len(indices))
            return super().images(indices)

    base = split(18)
    data = Counting(base.pixels, base.labels)
    run(data, start=3)
    assert data.read == [4]


def test_wrong_requests_are_told_at_once(split):
    options = {"seed": 0, "epoch": 0, "normalise": PLAIN, "augment": BOTH}
    with pytest.raises(DataError, match=r"`batch=19` is more than the 18 training examples; make it 18 or less"):
        train_batches(split(18), batch=19, **options)
    with pytest.raises(DataError, match="`batch` wants 1 or more, got 0"):
        steps_per_epoch(18, 0)
    for start in (-1, 5):
        with pytest.raises(DataError, match="start wants a step from 0 to 4"):
            train_batches(split(18), batch=4, start=start, **options)


def test_plain_batches_are_the_images(split):
    data = split(8)
    for batch in run(data, augment=Augment()):
        np.testing.assert_array_equal(np.rint(batch.x * 255), data.pixels[batch.y])


def windows(image: np.ndarray, pad: int, flip: bool) -> set[bytes]:
    framed = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    height, width, _ = image.shape
    cut = [framed[y : y + height, x : x + width] for y in range(2 * pad + 1) for x in range(2 * pad + 1)]
    return {window.tobytes() for window in cut} | {w[:, ::-1].tobytes() for w in cut if flip}


@pytest.mark.parametrize("augment", [Augment(1), Augment(0, True), Augment(2, True)])
@pytest.mark.parametrize("shape", [(5, 4, 1), (5, 4, 3)])
def test_augmentation_makes_every_window_and_nothing_else(augment, shape):
    image = np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8)
    out = augmented(np.tile(image, (2000, 1, 1, 1)), augment, np.random.Generator(np.random.Philox(0)))
    assert {found.tobytes() for found in out} == windows(image, augment.crop, augment.flip)


def test_flip_is_even(split):
    data = split(2000, (1, 2, 1))
    out = augmented(data.pixels.copy(), Augment(flip=True), np.random.Generator(np.random.Philox(0)))
    changed = (out != data.pixels).any((1, 2, 3)).mean()
    assert 0.45 < changed < 0.55


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (10, [4, 4, 2]), (3, [3])])
def test_eval_batches_pad_the_last(split, count, sizes):
    data = split(count)
    found = list(eval_batches(data, batch=4, normalise=Normalise((0.5,), (0.5,))))
    assert [int(batch.weight.sum()) for batch in found] == sizes
    for batch in found:
        assert (batch.x.shape, batch.y.shape, batch.weight.shape) == ((4, 8, 8, 1), (4,), (4,))
        assert (batch.x.dtype, batch.y.dtype, batch.weight.dtype) == (np.float32, np.int32, np.float32)
        assert not batch.x[batch.weight == 0].any()
        assert not batch.y[batch.weight == 0].any()
    labels = np.concatenate([batch.y[batch.weight == 1] for batch in found])
    np.testing.assert_array_equal(labels, data.labels)
    with pytest.raises(DataError, match="wants 1 image or more, got 0"):
        eval_batches(data, batch=0, normalise=PLAIN)


def test_images_are_made_by_the_batch_and_not_one_by_one(split):
    """50,000 in a second of the processor that this was written on; a clock would judge the machine as well."""
    data = split(20_000, (28, 28, 1))

    def epoch() -> None:
        for _ in train_batches(data, batch=128, seed=0, epoch=0, normalise=PLAIN, augment=BOTH):
            pass

    epoch()  # what is imported or kept on the first call
    assert calls_of(epoch) < 25_000  # 17,028 in Python 3.11, 108 for each of 157 batches


def parts(made):
    """The batches whose rows are those of two processes', one after the other."""
    two = [list(made(part=Part(index, 2))) for index in range(2)]
    joined = zip(*two, strict=True)
    return [tuple(np.concatenate(arrays) for arrays in zip(*map(arrays_of, pair), strict=True)) for pair in joined]


def arrays_of(batch):
    return [array for name in ("x", "y", "weight") if (array := getattr(batch, name, None)) is not None]


@pytest.mark.parametrize("augment", [BOTH, Augment(vflip=True, grayscale=0.5, rrc_scale=(0.5, 1.0))])
def test_two_processes_make_the_batches_of_one(split, augment):
    data = split(18)
    given = {"batch": 4, "seed": 1, "epoch": 3, "normalise": PLAIN, "augment": augment, "start": 1}
    whole = train_batches(data, **given)
    for (x, y), batch in zip(parts(partial(train_batches, data, **given)), whole, strict=True):
        np.testing.assert_array_equal(x, batch.x)
        np.testing.assert_array_equal(y, batch.y)


def test_two_processes_make_the_batches_of_one_of_arrays_texts_and_tests(split):
    texts = TextSplit(np.arange(60, dtype=np.int32), 5)
    arrays = Examples(np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10, dtype=np.int32))
    train = partial(train_batches, batch=4, seed=0, epoch=1, normalise=Normalise((), ()), augment=Augment())
    tests = partial(eval_batches, batch=4, normalise=PLAIN)
    for made in (partial(train, texts), partial(train, arrays), partial(tests, split(9)), partial(tests, texts)):
        whole = [arrays_of(batch) for batch in made()]
        assert whole
        for two, one in zip(parts(made), whole, strict=True):
            assert all(map(np.array_equal, two, one))
    with pytest.raises(DataError, match="`batch` wants a multiple of the 3 processes"):
        train(arrays, part=Part(0, 3))
