"""A data set in one file."""

import numpy as np

from netc.netspec.augment import Augment
from netc.runtime.data.catalog import Entry, add_dataset
from netc.runtime.data.dataset import ArraySplit


def images(count: int, seed: int) -> ArraySplit:
    """Horizontal and vertical stripes with noise."""
    rng = np.random.Generator(np.random.Philox(seed))
    labels = rng.integers(0, 2, count).astype(np.int32)
    rows = np.indices((4, 4))[labels] % 2
    return ArraySplit((180 * rows + rng.integers(0, 60, (count, 4, 4))).astype(np.uint8)[..., None], labels)


add_dataset(Entry(
    name="stripes", train=64, test=32, shape=(4, 4, 1), classes=("across", "down"), source="made by its plugin",
    licence="CC0", augment=Augment(), make=lambda: (images(64, 1), images(32, 2)),
))  # fmt: skip
