from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netc.runtime.data.catalog import load
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.folder import decode


def read(root: Path) -> Dataset:
    return load(f"imagefolder:{root}", cache_dir=root)


def all_images(dataset: Dataset) -> np.ndarray:
    return dataset.train.images(np.arange(len(dataset.train)))


def test_flat_layout_holds_out_every_fifth(image_folder):
    root = image_folder(count=5)
    data = read(root)
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.test)) == (8, 2)
    assert data.test.labels.tolist() == [0, 1]
    assert data.native == (6, 5, 3)
    np.testing.assert_array_equal(data.test.images(np.array([1]))[0], np.asarray(Image.open(root / "dog/4.png")))
    np.testing.assert_array_equal(all_images(data)[0], np.asarray(Image.open(root / "cat/0.png")))


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_split_layout(image_folder, held_out):
    data = read(image_folder(roles=("train", held_out), count=2))
    assert (len(data.train), len(data.test)) == (4, 4)
    assert held_out in data.source


def test_digest_is_of_names_and_bytes(image_folder):
    root = image_folder()
    before = read(root).digest
    assert read(root).digest == before
    (root / "cat/0.png").rename(root / "cat/00.png")
    renamed = read(root).digest
    Image.new("RGB", (5, 6)).save(root / "cat/1.png")
    assert len({before, renamed, read(root).digest}) == 3


def test_grey_mixed_sizes_and_hidden_files(image_folder):
    root = image_folder(count=3)
    Image.new("L", (9, 9)).save(root / "dog/3.png")
    (root / "dog/.hidden").write_bytes(b"")
    data = read(root)
    assert data.native == (6, 5, 3)
    assert all_images(data).shape == (6, 6, 5, 3)


def test_all_grey_is_one_channel(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(3):
            Image.new("L", (4, 4), number).save(tmp_path / label / f"{number}.png")
    assert read(tmp_path).native == (4, 4, 1)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


UNREADABLE = {
    "empty": (b"", "an empty file"),
    "text": (b"hello", "UnidentifiedImageError"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "UnidentifiedImageError"),
    "bomb": (png(60_000, 60_000), "DecompressionBombError"),
    "small bomb": (png(10_000, 10_000), "an image of at most 89478485 pixels, got 10000 x 10000"),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_refuses_what_is_no_image(image_folder, fault):
    content, got = UNREADABLE[fault]
    root = image_folder()
    (root / "dog/9.png").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(DataError, match=rf"dog/9.png: wants .*{got}"):
            read(root)


def test_the_bomb_warning_as_an_error_is_told_too(image_folder):
    root = image_folder()
    (root / "dog/9.png").write_bytes(UNREADABLE["small bomb"][0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with pytest.raises(DataError, match=r"dog/9.png: wants .*DecompressionBombWarning"):
            read(root)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_a_truncated_image_names_its_file(image_folder, ending):
    root = image_folder()
    path = root / f"cat/0.{ending}"
    (root / "cat/0.png").unlink()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(DataError, match=rf"cat/0.{ending}: wants a whole image"):
        all_images(read(root))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_a_damaged_image_is_read_or_refused_and_nothing_else(tmp_path, ending):
    path = tmp_path / f"image.{ending}"
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    for position in rng.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert decode(path, (9, 9, 3)).shape == (9, 9, 3)
            except DataError as error:
                assert path.name in str(error)


def test_refuses_sixteen_bits(image_folder):
    root = image_folder()
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(root / "dog/9.png")
    with pytest.raises(DataError, match=r"wants 8 bits a channel.*mode I;16; convert it"):
        read(root)


def test_refuses_links_that_lead_out(image_folder, tmp_path):
    root = image_folder()
    Image.new("RGB", (5, 6)).save(tmp_path / "outside.png")
    link = root / "cat/9.png"
    link.symlink_to(tmp_path / "outside.png")
    with pytest.raises(DataError, match=r"cat/9.png: wants a file inside .*got a link that leads out"):
        read(root)
    link.unlink()
    link.symlink_to(root / "dog/0.png")
    assert len(read(root).train) == 9
    (root / "cow").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DataError, match=r"cow: wants a file inside"):
        read(root)


def test_refuses_odd_folders(image_folder, tmp_path):
    with pytest.raises(DataError, match="wants a folder, got"):
        read(tmp_path / "nowhere")
    root = image_folder(roles=("train",))
    with pytest.raises(DataError, match="wants val/ or test/ beside train/"):
        read(root)
    (root / "val/cow").mkdir(parents=True)
    with pytest.raises(DataError, match="wants at least two class folders, got 1"):
        read(root)
    (root / "val/cat").mkdir()
    with pytest.raises(DataError, match="wants at least one image, got none"):
        read(root)
    for label in ("cow", "cat"):
        Image.new("RGB", (5, 6)).save(root / "val" / label / "0.png")
    with pytest.raises(DataError, match="val/ wants the classes of train/, got also cow"):
        read(root)
    (root / "train/list.txt").write_text("")
    with pytest.raises(DataError, match=r"list.txt: wants a folder of images of one class, got a file"):
        read(root)


def test_refuses_a_folder_among_images_and_too_few(image_folder):
    root = image_folder(count=2)
    with pytest.raises(DataError, match="wants at least 5 images, got 4"):
        read(root)
    (root / "cat/deeper").mkdir()
    with pytest.raises(DataError, match="deeper: wants an image file, got something else"):
        read(root)


def test_a_file_that_vanished_is_named(image_folder):
    root = image_folder()
    data = read(root)
    (root / "cat/0.png").unlink()
    with pytest.raises(DataError, match=r"cat/0.png: wants a whole image .*FileNotFoundError"):
        all_images(data)
