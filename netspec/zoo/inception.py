"""Inception v3, as torchvision defines it, written in combinators."""

from netc.netspec.layer import Layer
from netc.netspec.layers import AvgPool, Chain, Concat, ConvBn, Dense, Dropout, GlobalAvgPool, MaxPool
from netc.netspec.layers.window import Padding, Pair
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.inception_v3 without its auxiliary head; Szegedy et al. 2016, table 1 and figs. 5 to 7"


def _conv(
    name: str, features: int, kernel: int | Pair = 1, stride: int = 1, padding: Padding = "same-symmetric"
) -> Layer:
    return ConvBn(features, kernel, stride, padding, epsilon=1e-3, name=name)


def _chain(name: str, *layers: Layer) -> Layer:
    return Chain(layers, name=name)


def _averaged(features: int) -> Layer:
    pool = AvgPool(3, 1, "same-symmetric", count_padding=True, name="pool")
    return _chain("pooled", pool, _conv("conv", features))


def _factorised(name: str, *layers: tuple[int, int | Pair]) -> Layer:
    """One convolution after another: (features, kernel) of each."""
    return _chain(name, *(_conv(f"conv{i}", width, kernel) for i, (width, kernel) in enumerate(layers, 1)))


def _module_a(name: str, pooled: int) -> Layer:
    return Concat((
        _conv("point", 64),
        _factorised("five", (48, 1), (64, 5)),
        _factorised("three", (64, 1), (96, 3), (96, 3)),
        _averaged(pooled),
    ), name=name)  # fmt: skip


def _module_b(name: str) -> Layer:
    double = _chain("double", _conv("conv1", 64), _conv("conv2", 96, 3), _conv("conv3", 96, 3, 2, "valid"))
    return Concat((_conv("three", 384, 3, 2, "valid"), double, MaxPool(3, 2, name="pool")), name=name)


def _module_c(name: str, width: int) -> Layer:
    across, down = (1, 7), (7, 1)
    return Concat((
        _conv("point", 192),
        _factorised("seven", (width, 1), (width, across), (192, down)),
        _factorised("double", (width, 1), (width, down), (width, across), (width, down), (192, across)),
        _averaged(192),
    ), name=name)  # fmt: skip


def _module_d(name: str) -> Layer:
    return Concat((
        _chain("three", _conv("conv1", 192), _conv("conv2", 320, 3, 2, "valid")),
        _chain(
            "seven",
            _conv("conv1", 192),
            _conv("conv2", 192, (1, 7)),
            _conv("conv3", 192, (7, 1)),
            _conv("conv4", 192, 3, 2, "valid"),
        ),
        MaxPool(3, 2, name="pool"),
    ), name=name)  # fmt: skip


def _both_ways() -> Layer:
    return Concat((_conv("across", 384, (1, 3)), _conv("down", 384, (3, 1))), name="fan")


def _module_e(name: str) -> Layer:
    return Concat((
        _conv("point", 320),
        _chain("three", _conv("conv1", 384), _both_ways()),
        _chain("double", _conv("conv1", 448), _conv("conv2", 384, 3), _both_ways()),
        _averaged(192),
    ), name=name)  # fmt: skip


def inception_v3() -> NetSpec:
    """Five convolutions, eleven modules; 299x299 images. The names of the modules are torchvision's."""
    layers = (
        _conv("conv1a", 32, 3, 2, "valid"),
        _conv("conv2a", 32, 3, 1, "valid"),
        _conv("conv2b", 64, 3),
        MaxPool(3, 2, name="pool1"),
        _conv("conv3b", 80),
        _conv("conv4a", 192, 3, 1, "valid"),
        MaxPool(3, 2, name="pool2"),
        _module_a("mixed5b", 32),
        _module_a("mixed5c", 64),
        _module_a("mixed5d", 64),
        _module_b("mixed6a"),
        _module_c("mixed6b", 128),
        _module_c("mixed6c", 160),
        _module_c("mixed6d", 160),
        _module_c("mixed6e", 192),
        _module_d("mixed7a"),
        _module_e("mixed7b"),
        _module_e("mixed7c"),
        GlobalAvgPool(name="mean"),
        Dropout(0.5, name="dropout"),
        Dense(1000, name="head"),
    )
    return NetSpec("inception_v3", (299, 299, 3), layers, SOURCE)
