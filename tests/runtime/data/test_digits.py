from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from netc.runtime.data import catalog
from netc.runtime.data.digits import FILE, decode_digits, read_digits
from netc.runtime.data.errors import DataError

DIGEST = "769e5fc78645acc85403a927404ba96cfcf29fe903cf654cd394b885914c69d2"


def test_counts_and_range():
    train, test = read_digits()
    assert (len(train), len(test)) == (1438, 359)
    assert train.shape == test.shape == (8, 8, 1)
    assert np.unique(train.pixels).tolist() == [round(level * 255 / 16) for level in range(17)]
    assert np.bincount(train.labels).min() > 100
    assert np.bincount(test.labels).tolist() == [27, 21, 34, 52, 34, 28, 31, 43, 47, 42]


def test_every_fifth_is_test():
    train, test = read_digits()
    assert train.labels[:8].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]  # the file begins 0 1 2 3 4 5 6 7 8 9
    assert test.labels[:2].tolist() == [4, 9]


def test_digest_is_fixed(tmp_path):
    assert catalog.load("digits", cache_dir=tmp_path).digest == DIGEST


def test_a_changed_file_is_refused():
    content = bytearray(resources.files("netc.runtime.data").joinpath(FILE).read_bytes())
    content[5000] ^= 1
    with pytest.raises(DataError, match=r"digits.npz wants SHA-256 .*, got .*; install netc again"):
        decode_digits(bytes(content))
