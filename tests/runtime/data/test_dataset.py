from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from netc.netspec.augment import Augment
from netc.netspec.errors import UserError
from netc.runtime.data.dataset import ArraySplit, Dataset, array_digest
from netc.runtime.data.errors import DataError


def test_array_split_refuses_what_does_not_fit(split):
    good = split(4)
    for pixels in (good.pixels.astype(np.float32), good.pixels[..., 0], np.zeros((4, 8, 8, 2), np.uint8)):
        with pytest.raises(DataError, match=r"images want uint8 \[N, H, W, 1 or 3\], got"):
            ArraySplit(pixels, good.labels)
    for labels in (good.labels[:3], good.labels.astype(np.int64)):
        with pytest.raises(DataError, match=r"labels want int32 \[4\], one for each image"):
            ArraySplit(good.pixels, labels)


def test_images_are_a_copy(split):
    data = split(4)
    images = data.images(np.array([0, 1]))
    images[:] = 0
    assert data.pixels[0].any()


def test_dataset_refuses_what_does_not_fit(split):
    names = tuple("abcd")
    train, test = split(4), split(3)
    good = Dataset("x", train, test, names, "", "", "", Augment(), (8, 8, 1))
    with pytest.raises(DataError, match="training labels want 0 to 2, got 0 to 3"):
        dataclasses.replace(good, classes=names[:3])
    with pytest.raises(DataError, match="both splits want one image shape"):
        dataclasses.replace(good, test=split(3, (9, 8, 1)))
    with pytest.raises(DataError, match="the test split wants at least one image, got none"):
        dataclasses.replace(good, test=split(0))


def test_digest_sees_classes_shapes_bytes_and_labels(split):
    names, train, test = tuple("abcd"), split(4), split(4, seed=1)
    changed = train.pixels.copy()
    changed[3, 7, 7, 0] ^= 1
    digests = [
        array_digest(names, train, test),
        array_digest(tuple("abce"), train, test),
        array_digest(names, test, train),
        array_digest(names, ArraySplit(changed, train.labels), test),
        array_digest(names, ArraySplit(train.pixels, train.labels[::-1].copy()), test),
        array_digest(names, ArraySplit(train.pixels.reshape(4, 4, 16, 1), train.labels), test),
    ]
    assert len(set(digests)) == len(digests)
    assert array_digest(names, split(4), test) == digests[0]


def test_augment_refuses_a_negative_crop():
    with pytest.raises(UserError, match="wants 0 or more pixels of padding, got -1"):
        Augment(crop=-1)
