from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netc.runtime.data import kept
from netc.runtime.data.catalog import load
from netc.runtime.data.errors import DataError
from netc.runtime.data.resize import resized


def test_the_same_size_is_the_same_data(tmp_path):
    data = load("digits", cache_dir=tmp_path)
    assert resized(data, (8, 8, 1)) is data


def test_resizes_as_pillow_does_and_keeps_the_rest(tmp_path):
    data = load("digits", cache_dir=tmp_path)
    large = resized(data, (28, 20, 3))
    images = large.train.images(np.array([5, 0, 5]))
    expected = Image.fromarray(data.train.images(np.array([5]))[0, :, :, 0]).resize((20, 28), Image.Resampling.BILINEAR)
    for channel in range(3):
        np.testing.assert_array_equal(images[0, :, :, channel], np.asarray(expected))
    np.testing.assert_array_equal(images[0], images[2])
    assert large.train.shape == (28, 20, 3)
    assert (large.digest, large.native) == (data.digest, data.native)
    np.testing.assert_array_equal(large.test.labels, data.test.labels)


def test_resizing_twice_is_resizing_once(tmp_path):
    data = load("digits", cache_dir=tmp_path)
    once, back = resized(data, (16, 16, 1)), resized(resized(data, (5, 5, 3)), (16, 16, 1))
    some = np.arange(20)
    np.testing.assert_array_equal(once.train.images(some), back.train.images(some))
    np.testing.assert_array_equal(resized(once, (8, 8, 1)).train.images(some), data.train.images(some))


def test_colour_to_grey_and_folders_from_the_file(image_folder):
    root = image_folder()
    data = load(f"imagefolder:{root}", cache_dir=root)
    grey = resized(data, (3, 3, 1)).train.images(np.array([0]))[0, :, :, 0]
    original = Image.open(root / "cat/0.png").convert("L").resize((3, 3), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(grey, np.asarray(original))


def test_images_are_kept_and_the_kept_ones_are_safe(image_folder):
    root = image_folder()
    split = resized(load(f"imagefolder:{root}", cache_dir=root), (7, 7, 3)).train
    first = split.images(np.array([0, 1]))
    (root / "cat/0.png").unlink()
    again = split.images(np.array([1, 0, 0]))
    np.testing.assert_array_equal(again, first[[1, 0, 0]])
    again[:] = 0
    np.testing.assert_array_equal(split.images(np.array([0])), first[:1])


def test_large_splits_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "KEEP_BYTES", 1000)
    assert not isinstance(resized(load("digits", cache_dir=tmp_path), (9, 9, 1)).train, kept.KeptSplit)


def test_the_crop_grows_with_the_width(mnist_folder, tmp_path):
    data = load("mnist", data_dir=mnist_folder(), cache_dir=tmp_path)
    assert resized(data, (56, 56, 1)).augment.crop == 2 * data.augment.crop


@pytest.mark.parametrize("shape", [(0, 8, 1), (8, -1, 1), (8, 8, 2)])
def test_refuses_shapes_that_no_image_has(tmp_path, shape):
    with pytest.raises(DataError, match="give the net such an input"):
        resized(load("digits", cache_dir=tmp_path), shape)
