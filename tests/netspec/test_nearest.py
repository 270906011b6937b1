"""Which words are near to one that nobody knows, and which are not."""

import re

import pytest

from netc import __path__ as rooms
from netc.netspec.nearest import did_you_mean, near, slips_between
from netc.netspec.zoo import ZOO


@pytest.mark.parametrize(
    ("given", "known", "meant"),
    [
        ("trian", ("train", "trace"), ("train",)),
        ("resnt34", ("resnet18", "resnet34", "vgg11"), ("resnet34", "resnet18")),
        ("ReLU_6", ("relu", "relu6"), ("relu6", "relu")),
        ("vit", ("vgg11", "vit_tiny", "vit_small"), ("vit_tiny", "vit_small")),
        ("cifar100", ("cifar10", "mnist"), ("cifar10",)),
        ("convolve", ("conv2d", "dense", "convBn"), ("conv2d", "convBn")),
        ("args.z", ("args.x", "args.tile"), ("args.x",)),
        ("cc", ("c", "simulate"), ("c",)),
        ("nothing", ("tiny-gpt", "branching", "label-smoothing"), ()),
        ("imagenet", ("alexnet", "googlenet"), ()),
        ("", ("c", "lr"), ()),
        ("x" * 1000, ("x" * 999, "x"), ()),
    ],
)
def test_a_word_is_near_by_slips_of_the_pen_or_as_a_part(given, known, meant):
    assert near(given, known) == meant


@pytest.mark.parametrize(
    ("a", "b", "slips"),
    [("", "", 0), ("", "ab", 2), ("abc", "acb", 1), ("abcdef", "abdef", 1), ("kitten", "sitting", 3)],
)
def test_slips_are_counted(a, b, slips):
    assert slips_between(a, b, 4) == slips_between(b, a, 4) == slips
    assert slips == 0 or slips_between(a, b, slips - 1) is None


def test_a_slip_of_the_pen_in_any_name_of_the_zoo_is_answered_by_it():
    for name in ZOO:
        for i in range(len(name)):
            assert name in near(name[:i] + name[i + 1 :], ZOO, len(ZOO)), (name, i)


def test_no_near_word_is_said_by_the_other_sentence():
    assert did_you_mean("nothing", ZOO, "see the list") == "see the list"
    assert did_you_mean("unett", ("unet",), "see the list") == "did you mean unet?"


def test_no_other_place_says_what_is_near():
    from pathlib import Path

    for room in ("netc", "netspec", "codegen", "runtime", "proofs", "proofs_oracle", "traces"):
        for path in (Path(rooms[0]).parent / room).rglob("*.py"):
            assert not re.search("get_close_matches", path.read_text(encoding="utf-8")), path
