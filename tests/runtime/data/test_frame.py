"""Images cut out and resized, as torchvision and timm do it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import RATIO
from netc.runtime.data.frame import Fit, Window, fitted, framed_in, middle_box, random_box, resized_size
from tests.runtime.data.peers import peer
from tests.runtime.data.test_image_ops import photo, same

SIZES = [(50, 40), (40, 50), (33, 33), (301, 199), (17, 90)]
WINDOW = Window((0.08, 1.0))


class Drawn(np.random.Generator):
    """A generator whose uniform numbers are given."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__(np.random.Philox(0))
        self.rows = iter(rows)

    def random(self, *given):
        return np.array(next(self.rows))


@pytest.mark.parametrize("word", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("side", "part"), [(16, 0.875), (24, 1.0), (20, 0.95)])
@pytest.mark.parametrize("size", SIZES)
def test_the_middle_is_torchvisions(size, side, part, word):
    transforms = peer("torchvision.transforms")
    theirs = transforms.Compose([
        transforms.Resize(int(side / part), transforms.InterpolationMode(word)), transforms.CenterCrop(side)
    ])  # fmt: skip
    same(fitted(photo(size=size), side, side, Fit(part, word)), theirs(photo(size=size)))


@pytest.mark.parametrize("part", [0.875, 0.95, 1.0])
def test_the_middle_is_timms(part):
    create = peer("timm.data").create_transform
    theirs = create((3, 32, 32), is_training=False, crop_pct=part, interpolation="bicubic", mean=(0,) * 3, std=(1,) * 3)
    for size in SIZES:
        wanted = theirs(photo(size=size)).numpy().transpose(1, 2, 0) * 255
        found = np.asarray(fitted(photo(size=size), 32, 32, Fit(part, "bicubic")))
        np.testing.assert_array_equal(found, np.round(wanted).astype(np.uint8))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 32), (31, 7)])
def test_the_sides_stay_in_proportion(height, width):
    for size in SIZES:
        w, h = resized_size(size, height, width, 0.875)
        assert w >= width
        assert h >= height
        assert abs(w / h - size[0] / size[1]) <= (1 + size[0] / size[1]) / h  # a pixel of rounding
        assert fitted(photo(size=size), height, width, Fit(0.875)).size == (width, height)


@pytest.mark.parametrize("size", SIZES)
def test_a_random_box_is_torchvisions(size, monkeypatch):
    """The same uniform numbers go into both."""
    torch, transforms = pytest.importorskip("torch"), peer("torchvision.transforms")
    rng = np.random.default_rng(1)
    for _ in range(50):
        rows = rng.random((10, 4)).tolist()
        uniform = iter([number for row in rows for number in row[:2]])
        box = random_box(size, WINDOW, Drawn(rows))
        used = next((i for i, row in enumerate(rows) if _fits(size, row)), None)
        places = iter([] if used is None else [rows[used][3], rows[used][2]])  # theirs draws the row of pixels first
        monkeypatch.setattr(torch.Tensor, "uniform_", lambda t, a, b, u=uniform: t.fill_(a + (b - a) * next(u)))
        monkeypatch.setattr(torch, "randint", lambda low, high, size, p=places: torch.tensor([int(next(p) * high)]))
        top, left, h, w = transforms.RandomResizedCrop.get_params(photo(size=size), [0.08, 1.0], list(RATIO))
        monkeypatch.undo()
        assert box == (left, top, left + w, top + h)


def _fits(size: tuple[int, int], row: list[float]) -> bool:
    area = size[0] * size[1] * (0.08 + 0.92 * row[0])
    ratio = np.exp(np.log(RATIO[0]) + (np.log(RATIO[1]) - np.log(RATIO[0])) * row[1])
    return round(np.sqrt(area * ratio)) <= size[0] and round(np.sqrt(area / ratio)) <= size[1]


@pytest.mark.parametrize(
    ("size", "box"), [((90, 30), (25, 0, 65, 30)), ((30, 90), (0, 25, 30, 65)), ((9, 9), (0, 0, 9, 9))]
)
def test_the_box_that_is_left_is_in_the_middle(size, box):
    assert middle_box(size, WINDOW) == box
    whole = Window((1.0, 1.0), (1.0, 1.0))
    assert random_box((90, 30), whole, np.random.default_rng(0)) == (30, 0, 60, 30)  # no square of this area fits


def test_the_window_is_cut_before_it_is_resized():
    functional = peer("torchvision.transforms.functional")
    image = photo(size=(80, 60))
    left, top, right, bottom = random_box(image.size, WINDOW, np.random.default_rng(5))
    wanted = functional.resized_crop(image, top, left, bottom - top, right - left, [16, 16])
    same(framed_in(image, random_box(image.size, WINDOW, np.random.default_rng(5)), 16, 16, Fit()), wanted)


def test_the_area_of_a_window_is_uniform():
    rng = np.random.default_rng(2)
    boxes = [random_box((400, 400), Window((0.2, 0.6)), rng) for _ in range(2000)]
    areas = np.array([(r - x) * (b - y) / 160_000 for x, y, r, b in boxes])
    assert 0.19 < areas.min() < 0.21
    assert 0.59 < areas.max() < 0.61
    assert abs(areas.mean() - 0.4) < 0.01
    assert Fit(0.0, "bicubic").resampling == Image.Resampling.BICUBIC
