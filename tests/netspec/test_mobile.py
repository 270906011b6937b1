"""The widths, rates and shapes of mobile blocks, against the numbers in their papers' tables."""

import pytest

from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.layers import DropPath, FusedMbConv, InvertedResidual, MbConv, MbConvV3, SqueezeExcite, Uib
from netc.netspec.layers.mobile import make_divisible
from netc.netspec.spec import NetSpec


def walked(layer, shape):
    return list(check(NetSpec("n", shape, (layer,))).walk())


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(1, 8), (8.8, 8), (8.9, 16), (12, 16), (16, 16), (18, 24), (17.6, 16), (83, 80), (84, 88), (672, 672)],
)
def test_widths_are_multiples_of_eight_and_lose_at_most_a_tenth(channels, rounded):
    assert make_divisible(channels) == rounded


@pytest.mark.parametrize(
    ("net", "widths"),
    [
        ("efficientnet_b0", [8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48]),  # a quarter of the input
        ("mobilenet_v3_large", [24, 32, 32, 120, 168, 168, 240, 240]),  # a quarter of what is inside
        ("mobilenet_v3_small", [8, 24, 64, 64, 32, 40, 72, 144, 144]),
    ],
)
def test_widths_of_squeeze_excitation(net, widths):
    assert [at.layer.width for at in check(find(net)).walk() if isinstance(at.layer, SqueezeExcite)] == widths


def test_parameters_and_widths_say_the_same():
    net = check(find("efficientnet_b0"))
    shapes = {p.name: p.shape for p in net.params}
    assert shapes["stage2.block0.squeeze.body.reduce.kernel"] == (96, 4)
    assert shapes["stage2.block1.body.squeeze.body.expand.kernel"] == (6, 144)


def test_drop_path_grows_evenly_and_only_where_there_is_a_shortcut():
    layer = MbConv(8, 2.0, blocks=4, stride=2, drop_path=(0.1, 0.4))
    rates = {at.path: at.layer.rate for at in walked(layer, (8, 8, 4)) if isinstance(at.layer, DropPath)}
    assert list(rates.values()) == pytest.approx([0.2, 0.3, 0.4])
    assert all("block0" not in path for path in rates)
    assert [
        at.layer.rate for at in walked(Uib(4, blocks=2, drop_path=0.5), (4, 4, 4)) if at.layer.kind == "dropPath"
    ] == [
        0.5,
        0.5,
    ]


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (InvertedResidual(8, 1.0), ["depthwise", "project"]),
        (MbConv(8, 1.0), ["depthwise", "squeeze", "project"]),
        (MbConvV3(8, 4), ["depthwise", "project"]),
        (FusedMbConv(8, 1.0), ["project"]),
        (FusedMbConv(8, 4.0, squeeze=0.25), ["expand", "squeeze", "project"]),
        (Uib(8, 1.0, 3, 5), ["start", "expand", "middle", "project"]),
        (Uib(8, 4.0, 0, 0), ["expand", "project"]),
    ],
)
def test_parts_are_left_out_where_they_would_do_nothing(layer, names):
    parts = [at.path.split(".")[-1] for at in walked(layer, (4, 4, 4)) if at.depth == 2]
    assert parts == names


@pytest.mark.parametrize(("kernels", "strided"), [((3, 5), "middle"), ((5, 0), "start"), ((0, 3), "middle")])
def test_the_stride_of_a_uib(kernels, strided):
    sizes = {
        at.path.split(".")[-1]: at.signature.out.shape for at in walked(Uib(8, 2.0, *kernels, stride=2), (8, 8, 4))
    }
    assert sizes[strided] == (4, 4, {"middle": 8, "start": 4}[strided])
    assert ("start" not in sizes) or sizes["start"][0] == (4 if strided == "start" else 8)
