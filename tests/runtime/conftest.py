"""Tiny nets and a compiler cache for the whole session."""

import numpy as np
import pytest

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.layers import Conv2d, ConvBn, Dense, GlobalAvgPool, MaxPool
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.cache.store import Cache

TINY = NetSpec(
    "tiny",
    (6, 6, 2),
    (
        Conv2d(4, 3, 2, "same-symmetric", activation="relu", name="conv1"),
        MaxPool(2, 1, name="pool"),
        ConvBn(4, name="conv2"),
        GlobalAvgPool(),
        Dense(3, name="head"),
    ),
)


@pytest.fixture(scope="session")
def compiled(artefacts):
    """The cache that all tests of compiled programs share."""
    return Cache(artefacts)


@pytest.fixture(scope="session")
def tiny():
    """A convolution net with every kind of op that a backend may get wrong, batch 4."""
    return build(check(TINY), Recipe(), 4)


@pytest.fixture(scope="session")
def batches():
    """Three batches for it."""
    rng = np.random.default_rng(5)
    return [
        (rng.normal(size=(4, 6, 6, 2)).astype(np.float32), rng.integers(0, 3, 4).astype(np.int32)) for _ in range(3)
    ]
