"""Files of the right format, made here: no network, no package of the system, no real data but digits."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netc.runtime.data.dataset import ArraySplit

Writer = Callable[..., Path]


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def idx() -> Callable[[np.ndarray], bytes]:
    return idx_bytes


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Writer:
    """Write the four IDX files of a small MNIST into a folder."""

    def write(packed: bool = True, train: int = 20, test: int = 10, below: str = "mnist-files") -> Path:
        folder = tmp_path / below
        folder.mkdir(parents=True)
        rng = np.random.default_rng(7)
        for role, count in (("train", train), ("t10k", test)):
            images = rng.integers(0, 256, (count, 28, 28))
            for name, array in (("images-idx3", images), ("labels-idx1", np.arange(count) % 10)):
                content, file = idx_bytes(array), f"{role}-{name}-ubyte"
                if packed:
                    (folder / f"{file}.gz").write_bytes(gzip.compress(content))
                else:
                    (folder / file).write_bytes(content)
        return folder

    return write


@pytest.fixture
def image_folder(tmp_path: Path) -> Writer:
    """Write `count` PNGs of 6 x 5 pixels for each class below each of `roles`."""

    def write(roles: tuple[str, ...] = ("",), classes: tuple[str, ...] = ("cat", "dog"), count: int = 5) -> Path:
        root = tmp_path / "pictures"
        rng = np.random.default_rng(3)
        for role in roles:
            for label in classes:
                folder = root / role / label
                folder.mkdir(parents=True)
                for number in range(count):
                    pixels = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / f"{number}.png")
        return root

    return write


@pytest.fixture
def split() -> Callable[..., ArraySplit]:
    """Make a split of random images whose label is the image's position."""

    def make(count: int, shape: tuple[int, int, int] = (8, 8, 1), seed: int = 0) -> ArraySplit:
        pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
        return ArraySplit(pixels, np.arange(count, dtype=np.int32))

    return make
