"""Images of a step are the same for equal (seed, epoch, place), whatever makes them."""

from __future__ import annotations

import threading
import time
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import Augment
from netc.netspec.feeding import Feeding
from netc.runtime.data.batches import Normalise, train_batches
from netc.runtime.data.damaged import plain, skipping, untold
from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.errors import DataError
from netc.runtime.data.folder import FolderSplit, load_folder
from netc.runtime.data.frame import Fit
from netc.runtime.data.kept import KeptSplit
from netc.runtime.data.resize import resized
from netc.runtime.data.workers import in_order, workers_for

PLAIN = Normalise((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
EVERYTHING = Augment(
    flip=True, vflip=True, rrc_scale=0.2, auto_augment="rand-m9-mstd0.5-inc1", color_jitter="0.4,0.4,0.4,0.1",
    grayscale=0.3, blur=0.3,
)  # fmt: skip
EACH = [
    {"crop": 2}, {"flip": True}, {"vflip": True}, {"rrc_scale": 0.3}, {"auto_augment": "trivial"},
    {"color_jitter": 0.4}, {"grayscale": 0.5}, {"blur": 0.9},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        for number in range(10):
            path = tmp_path / "photos" / label / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            rough = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
            rough.resize((40 + number, 36), Image.Resampling.BICUBIC).save(path)
    return tmp_path / "photos"


def photos(folder, **words):
    return resized(load_folder(folder, "x", **words), (16, 16, 3))


def epoch(split, augment=EVERYTHING, **words):
    given = {"batch": 4, "seed": 3, "epoch": 1, "normalise": PLAIN, "augment": augment, "fit": Fit(0, "bicubic")}
    return [*train_batches(split, **{**given, **words})]


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)


def test_no_bit_depends_on_the_workers_or_on_where_the_epoch_goes_on(folder):
    split = photos(folder).train
    alone = epoch(split, workers=1)
    same(epoch(split, workers=3), alone)
    same(epoch(split, workers=2, start=2), alone[2:])
    assert not np.array_equal(epoch(split, epoch=2)[0].x, alone[0].x)


@pytest.mark.parametrize("words", EACH, ids=str)
def test_each_field_changes_the_images_and_nothing_else_does(folder, words):
    split = photos(folder).train
    before, after = epoch(split, Augment()), epoch(split, Augment(**words))
    assert any(not np.array_equal(a.x, b.x) for a, b in zip(before, after, strict=True))
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a.y, b.y)
        assert b.x.shape == (4, 16, 16, 3)
    same(epoch(split, Augment(**words)), after)


def test_what_an_image_draws_is_its_own_whatever_the_batch(folder):
    """Crops and flips are drawn for a step, all else for an image."""
    split, alone = photos(folder).train, Augment(rrc_scale=0.3, auto_augment="trivial", blur=0.5)
    four, eight = epoch(split, alone), epoch(split, alone, batch=8)
    np.testing.assert_array_equal(np.concatenate([b.x for b in four[:4]]), np.concatenate([b.x for b in eight]))


def test_the_same_image_twice_in_an_epoch_is_drawn_twice(folder):
    x = epoch(photos(folder).train, Augment(rrc_scale=0.3), feeding=Feeding(aug_repeats=2))[0].x
    assert not np.array_equal(x[0], x[1])


def test_grey_nets_and_grey_images(folder, tmp_path):
    grey = resized(load_folder(folder, "x"), (16, 16, 1)).train
    assert epoch(grey, normalise=Normalise((0.4,), (0.2,)))[0].x.shape == (4, 16, 16, 1)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 20, 24, 1), dtype=np.uint8)
    held = ArraySplit(pixels, np.zeros(8, np.int32))
    assert epoch(held, normalise=Normalise((0.4,), (0.2,)))[0].x.shape == (4, 20, 24, 1)


def test_a_window_is_cut_out_of_the_image_as_it_is_stored(folder):
    """Not out of the image that was resized: there it would be a blur."""
    split = plain(photos(folder).train)
    base = split.base if isinstance(split, KeptSplit) else split
    assert isinstance(base, FolderSplit)
    assert {base.picture(i).size for i in range(5)} != {(16, 16)}
    np.testing.assert_array_equal(split.picture(0), base.picture(0))


# --- damaged images


def damage(folder, *names):
    for name in names:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])


def test_a_damaged_image_is_refused_with_its_name(folder):
    data = photos(folder)
    damage(folder, "a/1.jpg", "b/2.jpg")
    with pytest.raises(DataError) as caught:
        epoch(data.train, batch=16)
    assert len(caught.value.problems) == 2
    assert "a/1.jpg: wants a whole image" in str(caught.value)


@pytest.mark.parametrize("augment", [Augment(), EVERYTHING], ids=["kept", "cut out"])
def test_a_damaged_image_gives_its_place_to_the_next_that_is_whole(folder, augment):
    whole = epoch(photos(folder).train, augment)
    data = skipping(photos(folder))
    damage(folder, "a/1.jpg", "a/2.jpg")
    found = epoch(data.train, augment, workers=3)
    assert len(found) == len(whole)
    same(epoch(data.train, augment, workers=1), found)
    same(epoch(data.train, augment, start=2), found[2:])  # a resumed epoch
    changed = [
        (a, b) for one, other in zip(whole, found, strict=True) for a, b in zip(one.x, other.x, strict=True)
        if not np.array_equal(a, b)
    ]  # fmt: skip
    assert 1 <= len(changed) <= 2  # all other images are what they were
    said = untold(data)
    assert said.startswith("skipped 2 damaged images: ")
    assert "a/1.jpg: wants a whole image" in said
    assert untold(data) == ""  # once


def test_data_without_a_whole_image_ends(folder):
    data = skipping(photos(folder))
    damage(folder, *(f"{label}/{number}.jpg" for label in "ab" for number in range(10)))
    with pytest.raises(DataError, match="wants an intact image among 16 in a row, got only damaged ones; repair them"):
        epoch(data.train)


def test_files_that_are_no_images_are_left_out_where_that_is_asked_for(folder):
    held = load_folder(folder, "x")
    (folder / "a" / "3.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a/3\.jpg"):
        load_folder(folder, "x")
    data = load_folder(folder, "x", skip_damaged=True)
    assert len(data.train) + len(data.test) == len(held.train) + len(held.test) - 1
    assert data.test.base.files == held.test.base.files  # the division is what it was
    assert any("skipped 1 damaged image: " in note for note in data.notes)
    for number in range(10):
        (folder / "a" / f"{number}.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="a wants a whole image to train on, got damaged ones"):
        load_folder(folder, "x", skip_damaged=True)


# --- workers


def test_workers_keep_the_order_and_do_not_run_ahead():
    started = []

    def make(item):
        started.append(item)
        time.sleep(0.01 * (5 - item % 5))
        return item

    items = in_order(make, range(40), 3)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert max(started) <= 4 + 4
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("netc-data")]
    assert list(in_order(lambda item: item, range(9), 2)) == list(range(9))


def test_an_error_of_a_worker_comes_at_its_place():
    def make(item):
        if item == 3:
            raise DataError("three")
        return item

    items = in_order(make, range(9), 2)
    assert list(islice(items, 3)) == [0, 1, 2]
    with pytest.raises(DataError, match="three"):
        next(items)


def test_how_many_workers(folder):
    held = ArraySplit(np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, np.int32))
    assert workers_for(held) == 1
    assert workers_for(held, changed=True) == workers_for(skipping(photos(folder)).train) >= 1
    assert workers_for(held, 5) == 5
    with pytest.raises(DataError, match="`workers` wants 0"):
        workers_for(held, -1)
