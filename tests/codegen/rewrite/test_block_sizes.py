"""What the classic blocks cost in operations, and that their options survive a file."""

import pytest

from netc.codegen.modules import layer_module
from netc.netspec.layers import (
    AdaptiveAvgPool,
    Chain,
    Conv2d,
    ConvTranspose2d,
    Dense,
    DenseBlock,
    GlobalAvgPool,
    Identity,
    ShuffleV2Block,
    SpatialBroadcast,
    Split,
)
from netc.netspec.spec import NetSpec
from netc.netspec.toml import from_toml, to_toml
from netc.netspec.types import TensorType


def operations(layer, shape):
    return len(layer_module(layer, TensorType(shape), 2).function("vjp").ops)


@pytest.mark.parametrize("make", [lambda n: DenseBlock(4, n), lambda n: ShuffleV2Block(8, n)])
def test_every_further_layer_costs_the_same(make):
    counts = [operations(make(n), (8, 8, 4)) for n in (2, 3, 4, 12)]
    assert counts[1] - counts[0] == counts[2] - counts[1] == (counts[3] - counts[2]) / 8 > 0


def test_a_pool_to_the_same_size_computes_nothing():
    plain, pooled = (operations(Chain(layers), (6, 5, 3)) for layers in ((), (AdaptiveAvgPool((6, 5)),)))
    assert pooled == plain


@pytest.mark.parametrize(
    "layer",
    [
        Split((Identity(), Conv2d(3, name="c")), (1, 2)),
        Split((Identity(name="a"), Identity(name="b"))),
        ConvTranspose2d(3, 3, 2, 1, size=(8, 7)),
        ConvTranspose2d(3, (3, 2), 2, (1, 0), (1, 0)),
        AdaptiveAvgPool((2, 3)),
        Chain((GlobalAvgPool(), SpatialBroadcast((2, 2)))),
    ],
)
def test_options_survive_a_file(layer):
    spec = NetSpec("n", (4, 4, 3), (layer, GlobalAvgPool(), Dense(2)))
    assert from_toml(to_toml(spec)) == spec
