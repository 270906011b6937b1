from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from netc.runtime.data import cifar
from netc.runtime.data.errors import DataError


def records(count: int, seed: int) -> tuple[bytes, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    content = b"".join(bytes([y]) + x.transpose(2, 0, 1).tobytes() for x, y in zip(images, labels, strict=True))
    return content, images, labels


FILES = {name: records(3, seed)[0] for seed, name in enumerate(cifar.FILES)}


def write_folder(folder: Path, **changed: bytes) -> Path:
    for name, content in FILES.items():
        (folder / name).write_bytes(changed.get(name.removesuffix(".bin"), content))
    return folder


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_folder_and_archive_give_the_images(tmp_path):
    train, test = cifar.read_folder(write_folder(tmp_path))
    assert train.pixels.shape == (15, 32, 32, 3)
    for index in range(5):
        _, images, labels = records(3, index)
        np.testing.assert_array_equal(train.pixels[3 * index : 3 * index + 3], images)
        np.testing.assert_array_equal(train.labels[3 * index : 3 * index + 3], labels)
    np.testing.assert_array_equal(test.pixels, records(3, 5)[1])
    packed, packed_test = cifar.read_archive(write_archive(tmp_path / "a.tar.gz", FILES | {"readme.html": b"hi"}))
    np.testing.assert_array_equal(packed.pixels, train.pixels)
    np.testing.assert_array_equal(packed_test.labels, test.labels)


@pytest.mark.parametrize("content", [b"", bytes(3072), bytes(3073 * 2 + 1), bytes(3073 * 10_001)])
def test_refuses_a_file_of_a_wrong_size(tmp_path, content):
    with pytest.raises(DataError, match=r"data_batch_3.bin: wants 1 to 10000 records of 3073 bytes, got \d+ bytes"):
        cifar.read_folder(write_folder(tmp_path, data_batch_3=content))
    with pytest.raises(DataError, match=r"wants .*get the binary version of CIFAR-10 again"):
        cifar.read_archive(write_archive(tmp_path / "a.tar.gz", FILES | {"data_batch_3.bin": content}))


def test_refuses_a_missing_file(tmp_path):
    files = {name: content for name, content in FILES.items() if name != "test_batch.bin"}
    with pytest.raises(DataError, match=r"got none of test_batch.bin"):
        cifar.read_archive(write_archive(tmp_path / "a.tar.gz", files))
    with pytest.raises(DataError, match=r"data_batch_1.bin: wants a readable file"):
        cifar.read_folder(tmp_path / "nowhere")


def test_refuses_a_damaged_archive(tmp_path):
    path = write_archive(tmp_path / "a.tar.gz", FILES)
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[:100], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"wants"):
            cifar.read_archive(path)


def test_refuses_strange_members(tmp_path):
    many = {f"{number}.txt": b"" for number in range(cifar.MEMBER_LIMIT + 1)}
    with pytest.raises(DataError, match=r"a strange cifar-10-batches-bin/64.txt"):
        cifar.read_archive(write_archive(tmp_path / "many.tar.gz", many))
    path = tmp_path / "link.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match="got none of"):
        cifar.read_archive(path)
