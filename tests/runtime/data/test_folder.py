from __future__ import annotations

import shutil
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
from netc.runtime.data.image_file import decode


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
    "text": (b"hello", "a file that begins as none of these"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a file that begins as none of these"),
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


def test_links_that_lead_out_are_followed_on_request(image_folder, tmp_path):
    root = image_folder()
    Image.new("RGB", (5, 6)).save(tmp_path / "outside.png")
    link = root / "cat/9.png"
    link.symlink_to(tmp_path / "outside.png")
    with pytest.raises(
        DataError, match=r"cat/9.png: wants a file inside .*got a link that leads out; .*folder\+links:"
    ):
        read(root)
    link.unlink()
    link.symlink_to(root / "dog/0.png")
    assert len(read(root).train) == 9
    store = tmp_path / "store"
    store.mkdir()
    Image.new("RGB", (5, 6)).save(store / "0.png")
    (root / "cow").symlink_to(store, target_is_directory=True)
    with pytest.raises(DataError, match=r"cow: wants a file inside"):
        read(root)
    followed = load(f"imagefolder+links:{root}", cache_dir=root)
    assert followed.classes == ("cat", "cow", "dog")
    assert len(followed.train) + len(followed.test) == 12
    link.unlink()
    link.symlink_to(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"cat/9.png: wants a file, got a link that leads nowhere"):
        load(f"imagefolder+links:{root}", cache_dir=root)


def test_links_that_lead_round_end(image_folder):
    root = image_folder()
    (root / "cat/again").symlink_to(root / "cat", target_is_directory=True)
    (root / "cat/other").symlink_to(root, target_is_directory=True)
    data = load(f"imagefolder:{root}", cache_dir=root)
    assert len(data.train) + len(data.test) == 15  # of cat: its own and dog's, each real folder once


FOREIGN = {
    "cat/Thumbs.db": b"\xd0\xcf\x11\xe0",
    "dog/desktop.ini": b"[x]",
    "README.txt": b"by me",
    "cat/labels.csv": b"a,b",
    "dog/notes.JSON": b"{}",
    "cat/._0.png": b"\0\5\x16\7",
    "__MACOSX/cat/._0.png": b"\0\5\x16\7",
    ".DS_Store": b"",
    ".git/HEAD": b"",
    "dog/LICENSE": b"BM",
}


def test_foreign_files_are_passed_over_and_counted_in_one_line(image_folder):
    root = image_folder()
    plain = read(root)
    for name, content in FOREIGN.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    data = read(root)
    assert (data.classes, data.digest) == (plain.classes, plain.digest)
    assert data.notes == (
        "passed over 10 entries without images: 1 .csv, 1 .json, 1 .txt, 1 Thumbs.db, 1 __MACOSX, "
        "1 desktop.ini, 3 hidden, 1 without an ending",
        f"every 5th image of {root} is held out for the test",
    )
    (root / "cat/photo.HEIC").write_bytes(b"ftypheic")
    (root / "cow").mkdir()
    (root / "cow/photo.HEIC").write_bytes(b"ftypheic")
    with pytest.raises(DataError, match=r"cow: wants at least one image, got none among 1 \.heic; add images"):
        read(root)
    shutil.rmtree(root / "cow")
    assert read(root).notes[1] == ".heic are images that netc does not read; convert them to PNG or JPEG"


def test_an_image_is_known_by_its_ending_in_any_case_or_by_its_content(image_folder):
    root = image_folder()
    (root / "cat/0.png").rename(root / "cat/0.PnG")
    (root / "cat/1.png").rename(root / "cat/1")
    (root / "cat/2.png").rename(root / "cat/2.jpg_large")
    data = read(root)
    assert len(data.train) + len(data.test) == 10 and len(data.notes) == 1  # none of what was passed over


@pytest.mark.parametrize(
    ("train", "held_out"),
    [("train", "valid"), ("Train", "Val"), ("TRAIN", "TEST"), ("training", "validation"), ("train", "Testing")],
)
def test_the_parts_have_their_usual_names_in_any_case(image_folder, train, held_out):
    data = read(image_folder(roles=(train, held_out), count=2))
    assert (data.classes, len(data.train), len(data.test)) == (("cat", "dog"), 4, 4)


def test_one_part_is_tested_on_and_others_are_named(image_folder):
    data = read(image_folder(roles=("train", "test", "valid", "more"), count=2))
    assert data.source.endswith("(train, valid)")
    assert data.notes == ("beside train/ and valid/ these were not read: more, test",)


def test_what_lies_beside_the_parts_is_counted_too(image_folder, tmp_path):
    root = image_folder(roles=("train", "val"), count=2)
    (root / "README.md").write_text("")
    (root / "__MACOSX").mkdir()
    Image.new("RGB", (5, 6)).save(root / "montage.png")
    assert read(root).notes == (
        f"passed over 1 image beside the folders of {root}, without a class",
        "passed over 2 entries without images: 1 .md, 1 __MACOSX",
    )
    (root / "val").rename(tmp_path / "aside")
    (root / "val").symlink_to(tmp_path / "aside")
    with pytest.raises(DataError, match=r"val: wants a file inside .*, got a link that leads out"):
        read(root)
    assert load(f"imagefolder+links:{root}", cache_dir=root).source.endswith("(train, val)")


def test_a_class_may_be_called_train(image_folder):
    assert read(image_folder(classes=("car", "train"))).classes == ("car", "train")


def test_folders_in_a_class_folder_belong_to_the_class(image_folder):
    root = image_folder()
    (root / "cat/2023/may").mkdir(parents=True)
    (root / "cat/0.png").rename(root / "cat/2023/may/0.png")
    data = read(root)
    assert data.classes == ("cat", "dog") and np.bincount(data.train.labels).tolist() == [4, 4]


def test_names_that_look_alike_are_told(image_folder):
    composed, combined = "caf\u00e9", "cafe\u0301"
    data = read(image_folder(classes=("Cat", "cat", composed, combined)))
    assert data.classes == ("Cat", composed, "cat")
    assert "differ in their Unicode form only, and are one class" in data.notes[0]
    assert data.notes[1].startswith("Cat and cat in ") and data.notes[1].endswith("only, and are two classes")


def test_the_same_class_in_two_unicode_forms_of_two_parts(image_folder):
    root = image_folder(roles=("train",), classes=("caf\u00e9", "bar"))
    image_folder(roles=("val",), classes=("cafe\u0301", "bar"))
    assert read(root).classes == ("bar", "caf\u00e9")


def test_all_problems_are_told_at_once(image_folder, monkeypatch):
    root = image_folder()
    (root / "dog/8.png").write_bytes(b"")
    (root / "cat/9.jpg").write_bytes(b"hello")
    (root / "cow").mkdir()
    with pytest.raises(DataError) as caught:
        read(root)
    head, *lines = str(caught.value).split("\n")
    assert head == f"imagefolder:{root} has 3 problems:"
    assert [line.partition(": wants")[0] for line in lines] == [
        str(root / name) for name in ("cow", "cat/9.jpg", "dog/8.png")
    ]
    for number in range(40):
        (root / f"dog/x{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"has 43 problems:(\n.*remove the f.*){43}$"):
        read(root)
    monkeypatch.setattr("netc.runtime.data.errors.MOST_PROBLEMS", 20)
    with pytest.raises(DataError, match=r"has 43 problems:\n(.*\n){20}and 23 more$"):
        read(root)


def test_refuses_odd_folders(image_folder, tmp_path):
    with pytest.raises(DataError, match=r"wants a folder, got .*, nothing there; check the path"):
        read(tmp_path / "nowhere")
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"wants a folder, got .*data.zip, a file; unpack it"):
        read(tmp_path / "data.zip")
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"wants a folder, got .*a.jpg, a file; give the folder that has one for each"):
        read(tmp_path / "a.jpg")
    root = image_folder(roles=("train",))
    with pytest.raises(DataError, match=r"wants val/ or test/ beside train/, got neither .* give .*/train to have"):
        read(root)
    (root / "val/cow").mkdir(parents=True)
    (root / "val/cat").mkdir()
    with pytest.raises(DataError, match="val: wants at least one image to test on, got none"):
        read(root)
    (root / "train/cat/0.png").rename(root / "val/cat/0.png")
    assert read(root).notes == ("no test images of dog",)  # an empty folder there is none
    (root / "train/ant").mkdir()
    with pytest.raises(DataError, match="train/ant: wants at least one image, got none"):
        read(root)
    (root / "train/ant").rmdir()
    for label in ("cow", "cat"):
        Image.new("RGB", (5, 6)).save(root / "val" / label / "0.png")
    with pytest.raises(DataError, match=r"val/ wants the classes of train/, got also cow; train/ has cat, dog"):
        read(root)
    (root / "val/cow/0.png").unlink()
    (root / "val/cow").rmdir()
    assert read(root).notes == ("no test images of dog",)
    (root / "Train/x").mkdir(parents=True)
    with pytest.raises(DataError, match="wants one folder train/ beside val/ or test/, got Train/ and train/"):
        read(root)


def test_refuses_images_without_a_class(image_folder, tmp_path):
    for part in ("train", "test"):
        (tmp_path / "kaggle" / part).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (5, 6)).save(tmp_path / "kaggle" / part / f"cat.{number}.png")
    with pytest.raises(DataError, match=r"train: wants a folder for each class, got images straight in it"):
        read(tmp_path / "kaggle")
    with pytest.raises(DataError, match=r"wants a folder for each class, got 5 images and no folder"):
        read(tmp_path / "kaggle/train")
    root = image_folder()
    Image.new("RGB", (5, 6)).save(root / "stray.png")
    assert read(root).notes[:1] == (f"passed over 1 image beside the folders of {root}, without a class",)
    with pytest.raises(
        DataError, match=r"wants a folder for each class, got only pictures/ .*; give .*/wrapped/pictures"
    ):
        (root / "stray.png").unlink()
        (tmp_path / "wrapped").mkdir()
        root.rename(tmp_path / "wrapped/pictures")
        read(tmp_path / "wrapped")


def test_too_few_to_divide(image_folder):
    root = image_folder(count=2)
    with pytest.raises(DataError, match="wants at least 5 images, got 4"):
        read(root)
    whole = load(f"imagefolder:{root}", cache_dir=root, whole=True)
    assert len(whole.test) == 4


def test_a_whole_folder_has_the_digest_of_the_divided_one(image_folder):
    root = image_folder()
    whole = load(f"imagefolder:{root}", cache_dir=root, whole=True)
    assert whole.digest == read(root).digest
    assert np.bincount(whole.test.labels).tolist() == [5, 5]


def test_a_file_that_vanished_is_named(image_folder):
    root = image_folder()
    data = read(root)
    (root / "cat/0.png").unlink()
    with pytest.raises(DataError, match=r"cat/0.png: cannot be read \(No such file"):
        all_images(data)
