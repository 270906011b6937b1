from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from netc.runtime.data.errors import DataError
from netc.runtime.data.idx import read_idx, read_split

ARRAY = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_what_was_written(tmp_path, idx, pack):
    path = tmp_path / "file"
    path.write_bytes(pack(idx(ARRAY)))
    np.testing.assert_array_equal(read_idx(path, 3), ARRAY)


def header(*dims: int) -> bytes:
    return bytes((0, 0, 8, len(dims))) + struct.pack(f">{len(dims)}I", *dims)


GOOD = header(2, 3, 4) + bytes(24)
DAMAGED = {
    "empty": (b"", "an empty file"),
    "magic": (b"\0\0\x0d\x03" + GOOD[4:], "magic 00000d03"),
    "rank": (header(24) + bytes(24), "magic 00000801"),
    "text": (b"<html>not found</html>", "magic 3c68746d"),
    "no dims": (GOOD[:9], "5 bytes where 12 should be"),
    "absurd": (header(2**32 - 1, 2**32 - 1, 2**32 - 1), "dimensions \\(4294967295"),
    "zero": (header(0, 3, 4), "dimensions \\(0, 3, 4\\)"),
    "too big for the file": (header(60_000, 28, 28) + bytes(100), "too short|so small"),
    "truncated": (GOOD[:-1], "23 bytes|too short"),
    "trailing": (GOOD + b"\0", "more bytes after the end"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize("fault", DAMAGED)
def test_refuses_damage(tmp_path, fault, pack):
    content, got = DAMAGED[fault]
    path = tmp_path / "file"
    path.write_bytes(pack(content))
    with pytest.raises(DataError, match=f"file: wants .* got .*({got}).*get it again"):
        read_idx(path, 3)


@pytest.mark.parametrize("cut", [3, 12, 25, -1, -8])
def test_refuses_a_truncated_gzip_file(tmp_path, cut):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(GOOD)[:cut])
    with pytest.raises(DataError, match="got"):
        read_idx(path, 3)


def test_refuses_every_flipped_byte_of_a_gzip_file_or_reads_the_same(tmp_path, idx):
    whole = gzip.compress(idx(ARRAY))
    path = tmp_path / "file.gz"
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_idx(path, 3), ARRAY)  # the header's time, system, ...
        except DataError:
            continue


def test_refuses_trailing_garbage_after_the_gzip_stream(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(GOOD) + b"garbage")
    with pytest.raises(DataError, match="got BadGzipFile"):
        read_idx(path, 3)


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(header(60_000, 28, 28) + bytes(60_000 * 784)))  # 47 MB in 46 kB: all black
    with pytest.raises(DataError, match="got so small a gzip file"):
        read_idx(path, 3)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_regular_file_is_refused(tmp_path, make):
    make(tmp_path / "file")
    with pytest.raises(DataError, match=r"no regular file|a folder"):
        read_idx(tmp_path / "file", 3)


def test_missing(tmp_path):
    with pytest.raises(DataError, match="FileNotFoundError"):
        read_idx(tmp_path / "none", 3)


def pair(folder: Path, idx, images: np.ndarray, labels: np.ndarray) -> tuple[Path, Path]:
    (folder / "i").write_bytes(idx(images))
    (folder / "l").write_bytes(idx(labels))
    return folder / "i", folder / "l"


def test_split(tmp_path, idx):
    split = read_split(*pair(tmp_path, idx, ARRAY, np.array([3, 1])), size=(3, 4))
    assert split.pixels.shape == (2, 3, 4, 1)
    assert split.labels.dtype == np.int32
    assert split.labels.tolist() == [3, 1]


def test_split_counts_must_agree(tmp_path, idx):
    with pytest.raises(DataError, match="wants 2 labels, one for each image of i, got 3"):
        read_split(*pair(tmp_path, idx, ARRAY, np.arange(3)), size=(3, 4))


def test_split_size_must_be_as_asked(tmp_path, idx):
    with pytest.raises(DataError, match="wants images of 28 x 28, got 3 x 4"):
        read_split(*pair(tmp_path, idx, ARRAY, np.arange(2)), size=(28, 28))
