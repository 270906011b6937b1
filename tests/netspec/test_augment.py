"""What is refused of the words of images, before anything is read."""

from __future__ import annotations

import pytest

from netc.netspec.augment import RATIO, Augment
from netc.netspec.errors import UserError
from netc.netspec.policies import Rand, parse_policy
from netc.netspec.preprocess import Preprocess


def test_numbers_come_as_text_or_as_numbers():
    assert Augment(rrc_scale="0.08,1").rrc_scale == Augment(rrc_scale=[0.08, 1]).rrc_scale == (0.08, 1.0)
    assert Augment(rrc_scale=0.3).rrc_area == Augment(rrc_scale="0.3").rrc_area == (0.3, 1.0)
    assert Augment(rrc_scale="0") == Augment(rrc_scale=()) == Augment(color_jitter=0) == Augment()
    assert Augment(color_jitter=0.4).jitter == (0.4, 0.4, 0.4, 0.0)
    assert Augment(color_jitter="0.4,0.3,0.2,0.1").jitter == (0.4, 0.3, 0.2, 0.1)
    assert Augment(auto_augment="rand-mstd0.5-m9").auto_augment == "rand-m9-mstd0.5"  # one spelling of one policy
    assert Augment(auto_augment="none").auto_augment == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            {"rrc_scale": "1,0.5"},
            "`rrc_scale` wants LOW[,HIGH], parts of the area with 0 < LOW <= HIGH <= 1, got 1,0.5",
        ),
        ({"rrc_scale": "0.1,0.5,1"}, "`rrc_scale` wants LOW"),
        ({"rrc_scale": "a"}, "`rrc_scale` wants numbers with commas between them, got 'a'"),
        ({"rrc_scale": 0.1, "rrc_ratio": "2"}, "`rrc_ratio` wants LOW,HIGH with 0 < LOW <= HIGH, got 2"),
        ({"rrc_ratio": "1,1"}, "`rrc_ratio` belongs to `rrc_scale`, got no `rrc_scale`"),
        ({"rrc_scale": 0.1, "crop": 4}, "`crop` and `rrc_scale` both cut a window, got both; leave one out"),
        ({"color_jitter": "1,2"}, "`color_jitter` wants one number of at least 0, or three or four for brightness"),
        ({"color_jitter": "0,0,0,0.7"}, "`color_jitter` wants a hue of at most 0.5 turns, got 0.7"),
        ({"blur": 1.5}, "`blur` wants a probability from 0 to 1, got 1.5"),
        ({"grayscale": -0.5}, "`grayscale` wants a probability"),
        ({"auto_augment": "rand-x3"}, "rand wants mNUMBER, nNUMBER, pNUMBER"),
        ({"auto_augment": "rand-n1.5"}, "n wants a whole number, got 1.5"),
        ({"auto_augment": "rand-n0"}, "n wants 1 or more operations, got 0"),
        ({"auto_augment": "augmix-m11"}, "m wants a severity from 1 to 10, got 11"),
        ({"auto_augment": "trivial-m3"}, "trivial wants nothing after it, got 'm3'"),
        ({"auto_augment": "imagnette"}, "`auto_augment` wants one of rand, imagenet, cifar10, svhn, trivial"),
    ],
)
def test_a_training_image_refuses(words, sentence):
    with pytest.raises(UserError) as caught:
        Augment(**words)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"crop_pct": 1.2}, "`crop_pct` wants a fraction from 0 to 1, got 1.2; 0.875 is common"),
        ({"interpolation": "cubic"}, "`interpolation` wants one of bilinear, bicubic"),
        ({"normalise": "imgnet"}, "`normalise` wants one of dataset, imagenet"),
        ({"on_damaged": "mend"}, "`on_damaged` wants one of refuse, skip, got 'mend'"),
        ({"mean": "0.5"}, "`mean` and `std` go together, got mean alone"),
        ({"mean": "0.5", "std": "0.2", "normalise": "imagenet"}, "leave one out"),
        ({"mean": "0.5", "std": "-0.2"}, "`std` above 0"),
    ],
)
def test_every_image_refuses(words, sentence):
    with pytest.raises(UserError) as caught:
        Preprocess(**words)
    assert sentence in str(caught.value)


def test_the_statistics_that_are_stated():
    assert Preprocess().statistics(3) is None
    assert Preprocess(mean="0", std="1").statistics(1) == ((0.0,), (1.0,))
    assert Preprocess(mean="0.5", std="0.2").statistics(3) == ((0.5,) * 3, (0.2,) * 3)
    assert Preprocess(normalise="imagenet").statistics(3) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert Preprocess(normalise="imagenet").statistics(1)[0] == pytest.approx((0.449,), abs=1e-6)
    with pytest.raises(UserError, match="want 1 numbers, one for each channel, or one, got 0\\.1,0\\.2,0\\.3"):
        Preprocess(mean="0.1,0.2,0.3", std="1,1,1").statistics(1)


def test_a_policy_reads_what_it_writes():
    for text in ("rand", "rand-m9-mstd0.5-inc1", "rand-m7-n3-p0.9-mmax15-color1", "augmix-m5-w4-d2", "svhn", "3a"):
        assert str(parse_policy(text)) == text
    assert parse_policy("rand-m15-n2") == Rand(m=15.0)
    assert Augment().rrc_ratio == RATIO
