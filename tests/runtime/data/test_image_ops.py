"""Each operation gives the pixels that torchvision's and timm's give."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import Augment
from netc.runtime.data.augment import jittered
from netc.runtime.data.image_ops import OPS, RESAMPLING, Ground, filled, shift_hue
from tests.runtime.data.peers import peer

NEAREST = Ground(Image.Resampling.NEAREST, (10, 200, 90))
NUMBERS = {
    "Rotate": (-30.0, 0.0, 7.5), "Posterize": (1, 3, 8), "Solarize": (0, 100.5, 256), "SolarizeAdd": (0, 60, 128),
    "Color": (0.1, 1.0, 1.9), "Contrast": (0.1, 1.9), "Brightness": (0.1, 1.9), "Sharpness": (0.1, 1.9),
    "ShearX": (-0.3, 0.2), "ShearY": (-0.3, 0.2), "TranslateX": (-7, 0, 5), "TranslateY": (-7, 5),
    "Desaturate": (0.5, 1.0), "Blur": (0.1, 2.0),
}  # fmt: skip


def photo(mode: str = "RGB", size: tuple[int, int] = (37, 29)) -> Image.Image:
    rng = np.random.default_rng(3)
    rough = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    return rough.resize(size, Image.Resampling.BICUBIC).convert(mode)


def same(one: Image.Image, other: Image.Image) -> None:
    assert one.mode == other.mode
    np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", OPS)
def test_an_operation_keeps_size_and_mode(name, mode):
    for number in NUMBERS.get(name, (0,)):
        out = OPS[name](photo(mode), number, filled((0.1, 0.2, 0.3), "bicubic"))
        assert (out.size, out.mode) == ((37, 29), mode)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", sorted(OPS.keys() - {"Identity"}))
def test_as_timm(name, mode):
    timm = peer("timm.data.auto_augment")
    theirs = {"TranslateX": "TranslateX", "Blur": "GaussianBlur"}.get(name, name)
    for number in NUMBERS.get(name, (0,)):
        given = (int(number),) if name in ("SolarizeAdd", "Posterize") else (number,) if name in NUMBERS else ()
        image = photo(mode)
        wanted = timm.NAME_TO_OP[theirs](image, *given, fillcolor=NEAREST.of(image), resample=NEAREST.resampling)
        same(OPS[name](image, number, NEAREST), wanted)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("name", sorted(OPS.keys() - {"SolarizeAdd", "Desaturate", "Blur"}))
def test_as_torchvision(name, resampling):
    module = peer("torchvision.transforms.autoaugment")
    ground, image = Ground(RESAMPLING[resampling], (10, 200, 90)), photo()
    for number in NUMBERS.get(name, (0,)):
        theirs = {"Translate": -number, "Shear": number}.get(name[:-1], number)
        if name in ("Color", "Contrast", "Brightness", "Sharpness"):
            theirs = number - 1.0
        wanted = module._apply_op(image, name, theirs, module.InterpolationMode(resampling), [10, 200, 90])
        found = OPS[name](image, number, ground)
        if name.startswith("Shear"):  # its matrix goes through tan(atan(x)), so that an edge may fall otherwise
            assert (np.asarray(found) == np.asarray(wanted)).mean() > 0.99
        else:
            same(found, wanted)


@pytest.mark.parametrize("turns", [-0.5, -0.1, 0.0, 0.07, 0.5])
def test_the_hue_turns_as_torchvisions(turns):
    same(shift_hue(photo(), turns), peer("torchvision.transforms.functional").adjust_hue(photo(), turns))
    same(shift_hue(photo("L"), turns), photo("L"))


def test_the_jitter_is_torchvisions_in_every_order():
    functional = peer("torchvision.transforms.functional")
    theirs = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
    drawn, reach = (0.7, 1.2, 0.5, 0.06), Augment(color_jitter=(0.4, 0.4, 0.6, 0.1)).jitter
    for order in permutations(range(4)):
        wanted = photo()
        for index in order:
            wanted = functional.adjust_hue(wanted, 0.06) if index == 3 else theirs[index](wanted, drawn[index])
        same(jittered(photo(), order, drawn, reach), wanted)
    same(jittered(photo(), range(4), drawn, (0, 0, 0, 0)), photo())


def test_of_no_bits_nothing_stays():
    assert not np.asarray(OPS["Posterize"](photo(), 0, NEAREST)).any()  # Pillow, and so timm, refuses it


def test_what_comes_in_from_outside_is_the_mean():
    out = OPS["TranslateX"](photo(), 20, filled((0.5, 0.25, 1.0), "bilinear"))
    assert out.getpixel((36, 0)) == (128, 64, 255)
    assert OPS["TranslateX"](photo("L"), 20, filled((0.5,), "bilinear")).getpixel((36, 0)) == 128
    assert filled((0.5,), "lanczos").affine == Image.Resampling.BICUBIC  # Pillow turns by no wider one
