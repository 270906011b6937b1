"""Folders of images with masks: ids as they are stored, and masks that stay with their images whatever is done."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import Augment
from netc.runtime.data import catalog
from netc.runtime.data.batches import Normalise, eval_batches, train_batches
from netc.runtime.data.class_weights import balanced
from netc.runtime.data.damaged import skipping
from netc.runtime.data.errors import DataError
from netc.runtime.data.frame import Fit
from netc.runtime.data.mask_file import read_mask
from netc.runtime.data.resize import resized

RNG = np.random.default_rng(1)
PLAIN = Normalise((0.0,) * 3, (1.0,) * 3)


def load(name, **words):
    return catalog.load(name, cache_dir=Path(), **words)


def grey_png(ids, bits):
    """A grey PNG of few bits a pixel, which Pillow does not write."""
    rows = b"".join(
        b"\0" + np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].reshape(-1)).tobytes() for row in ids
    )

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_ids_are_those_in_the_file(tmp_path, bits):
    ids = RNG.integers(0, 2**bits, (5, 7)).astype(np.uint8)
    (tmp_path / "m.png").write_bytes(grey_png(ids, bits))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png")[0], ids)


def test_a_palette_gives_its_index_and_16_bits_their_number(tmp_path):
    ids = RNG.integers(0, 9, (5, 7)).astype(np.uint8)
    image = Image.fromarray(ids, "P")
    image.putpalette([255, 255, 255] * 9)
    image.save(tmp_path / "p.png", transparency=0, bits=4)
    Image.fromarray(ids.astype(np.uint16)).save(tmp_path / "w.png")
    for name in ("p", "w"):
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png")[0], ids)
    Image.fromarray(ids.astype(np.uint16) + 300).save(tmp_path / "w.png")
    with pytest.raises(DataError, match=r"wants ids from 0 to 254, and 255 for no class, got 30[0-9]; number the"):
        read_mask(tmp_path / "w.png")


@pytest.fixture
def folder(tmp_path):
    """Images whose red is 60 times the class of the pixel, in blocks that resizing does not blur into others."""
    for i in range(10):
        ids = np.kron(RNG.integers(0, 4, (4, 4)), np.ones((8, 8), int)).astype(np.uint8)
        for part in ("images", "masks"):
            (tmp_path / "d" / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.stack([60 * ids, ids, ids], -1)).save(tmp_path / f"d/images/{i}.png")
        Image.fromarray(ids).save(tmp_path / f"d/masks/{i}.png")
    return tmp_path / "d"


def agree(x, y):
    """Whether red says the class, but for pixels that are void, which are black."""
    red = np.rint(x[..., 0] * 255)
    inside = y != 255
    return (red[inside] == 60 * y[inside]).all() and (red[~inside] == 0).all()


@pytest.mark.parametrize(
    "words", [{}, {"crop": 5}, {"flip": True}, {"vflip": True}, {"crop": 3, "flip": True, "vflip": True}]
)
def test_masks_move_with_their_images(folder, words):
    data = resized(load(f"masks:{folder}"), (16, 16, 3), Fit(0, "nearest"))
    given = {"batch": 4, "seed": 3, "epoch": 1, "normalise": PLAIN, "augment": Augment(**words)}
    batches = [*train_batches(data.train, **given, workers=1)]
    assert len(batches) == 2 and all(agree(b.x, b.y) for b in batches)
    assert all(b.y.dtype == np.int32 and b.y.shape == (4, 16, 16) for b in batches)
    assert ("crop" in words) == any((b.y == 255).any() for b in batches)
    again = [*train_batches(data.train, **given, workers=3, start=1)]
    np.testing.assert_array_equal(again[0].y, batches[1].y)
    plain = [*train_batches(data.train, **{**given, "augment": Augment()})]
    assert bool(words) == any((a.y != b.y).any() for a, b in zip(batches, plain, strict=True))


def test_a_random_resized_crop_cuts_the_same_window_out_of_both(folder):
    data = resized(load(f"masks:{folder}"), (16, 16, 3), Fit(0, "nearest"))
    given = {"batch": 4, "seed": 3, "epoch": 1, "normalise": PLAIN, "fit": Fit(0, "nearest")}
    augment = Augment(rrc_scale="0.1,0.6", flip=True)
    batches = [*train_batches(data.train, **given, augment=augment)]
    assert all(agree(b.x, b.y) for b in batches)
    data = skipping(data)
    for one, two in zip(batches, train_batches(data.train, **given, augment=augment), strict=True):
        np.testing.assert_array_equal(one.y, two.y)


def test_colours_do_not_touch_masks(folder):
    data = resized(load(f"masks:{folder}"), (16, 16, 3))
    given = {"batch": 4, "seed": 3, "epoch": 1, "normalise": PLAIN}
    plain = [*train_batches(data.train, **given, augment=Augment())]
    changed = [*train_batches(data.train, **given, augment=Augment(color_jitter=0.5, grayscale=0.5, blur=0.5))]
    for one, two in zip(plain, changed, strict=True):
        np.testing.assert_array_equal(one.y, two.y)
        assert (one.x != two.x).any()


@pytest.mark.parametrize("crop_pct", [0.0, 0.8])
def test_a_mask_is_resized_by_nearest_neighbours_as_its_image_is(folder, crop_pct):
    data = resized(load(f"masks:{folder}"), (12, 20, 3), Fit(crop_pct, "nearest"))
    (batch,) = eval_batches(data.test, batch=2, normalise=PLAIN)
    assert agree(batch.x, batch.y) and batch.y.max() < 4
    smooth = resized(load(f"masks:{folder}"), (12, 20, 3), Fit(crop_pct, "bicubic"))
    (other,) = eval_batches(smooth.test, batch=2, normalise=PLAIN)
    np.testing.assert_array_equal(other.y, batch.y)
    x, y = data.arrays("test")
    assert x.shape == (2, 12, 20, 3) and np.array_equal(y, batch.y)


def test_weights_are_balanced_by_pixels(folder):
    data = load(f"masks:{folder}")
    counts = np.bincount(data.train.labels.ravel(), minlength=4)
    np.testing.assert_allclose(balanced(data, 4), counts.sum() / (4 * counts))


def test_parts_lie_above_or_below_images_and_masks(folder, tmp_path):
    whole = load(f"masks:{folder}", whole=True)
    assert whole.train is whole.test and len(whole.train) == 10
    above, below = tmp_path / "above", tmp_path / "below"
    for i in range(10):
        part = "train" if i < 7 else "val"
        for kind in ("images", "masks"):
            for place in (above / part / kind, below / kind / part):
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{i}.png").write_bytes((folder / kind / f"{i}.png").read_bytes())
    for root in (above, below):
        data = load(f"masks:{root}")
        assert (len(data.train), len(data.test), len(data.classes)) == (7, 3, 4) and data.train_digest
    (above / "val" / "masks").rename(above / "val" / "m")
    with pytest.raises(DataError, match=r"val: wants images/ and masks/, got images/, m/; add masks/"):
        load(f"masks:{above}")


def test_the_digest_is_of_masks_and_names_too(folder):
    first = load(f"masks:{folder}").digest
    (folder / "classes.txt").write_text("a\nb\nc\nd\n")
    named = load(f"masks:{folder}")
    assert named.classes == ("a", "b", "c", "d") and named.digest != first
    ids = np.asarray(Image.open(folder / "masks/3.png")).copy()
    ids[0, 0] ^= 1
    Image.fromarray(ids).save(folder / "masks/3.png")
    assert load(f"masks:{folder}").digest not in (first, named.digest)


def test_damaged_pairs_are_skipped_where_that_is_asked(folder):
    (folder / "masks/0.png").write_bytes((folder / "masks/0.png").read_bytes()[:60])
    (folder / "images/7.png").write_bytes(b"")
    with pytest.raises(DataError, match="2 problems") as caught:
        load(f"masks:{folder}")
    assert len(caught.value.problems) == 2
    data = load(f"masks:{folder}", skip_damaged=True)
    assert len(data.train) + len(data.test) == 8 and any("skipped 2 damaged images" in note for note in data.notes)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("a\n\nb\n", "classes.txt: wants 2 to 255 names, one a line, got an empty line; the first line names id 0"),
        ("a\n", "classes.txt: wants 2 to 255 names, one a line, got 1;"),
        ("a\nb\na\n", "classes.txt: wants each name once, got a again; give each id its own"),
    ],
)
def test_wrong_names_get_a_sentence(folder, names, sentence):
    (folder / "classes.txt").write_text(names)
    with pytest.raises(DataError, match=sentence):
        load(f"masks:{folder}")


def test_wrong_folders_get_a_sentence(folder, tmp_path):
    for path in (folder / "masks").iterdir():
        Image.fromarray(np.where(np.asarray(Image.open(path)) > 1, 255, 0).astype(np.uint8)).save(path)
    with pytest.raises(DataError, match="at least two classes, got the id 0 and 255, which is no class; write 1 where"):
        load(f"masks:{folder}")
    (tmp_path / "e" / "images").mkdir(parents=True)
    with pytest.raises(DataError, match=r"e: wants images/ and masks/, got images/; add masks/, with files"):
        load(f"masks:{tmp_path / 'e'}")
    (tmp_path / "e" / "masks").mkdir()
    with pytest.raises(DataError, match="images: wants at least one image, got none; add images"):
        load(f"masks:{tmp_path / 'e'}")
    with pytest.raises(DataError, match=r"write masks:.*d$"):
        load(f"{folder}")
