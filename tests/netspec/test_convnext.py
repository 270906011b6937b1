"""ConvNeXt's stages: the rates of drop path, and what the options change."""

import pytest

from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.layers import BatchNorm, ConvNextStage, DropPath, LayerNorm
from netc.netspec.spec import NetSpec


def parts(net, cls):
    return [layer.layer for layer in net.walk() if type(layer.layer) is cls]


@pytest.mark.parametrize(
    ("name", "blocks", "most"), [("convnext_tiny", 18, 0.1), ("convnext_small", 36, 0.4), ("convnext_base", 36, 0.5)]
)
def test_rates_of_drop_path_grow_evenly_over_the_net(name, blocks, most):
    rates = [layer.rate for layer in parts(check(find(name)), DropPath)]
    assert rates == pytest.approx([most * i / (blocks - 1) for i in range(1, blocks)], rel=1e-12)  # block 0 has none


def test_rates_of_one_stage():
    assert ConvNextStage(3, drop_path=(0.1, 0.3)).rates() == pytest.approx((0.1, 0.2, 0.3))
    assert ConvNextStage(drop_path=(0.1, 0.3)).rates() == (0.1,)
    assert ConvNextStage(2).rates() == (0.0, 0.0)


def test_a_convolution_before_a_batch_norm_has_no_bias():
    for norm, cls in (("layer", LayerNorm), ("batch", BatchNorm)):
        net = check(NetSpec("n", (8, 8, 4), (ConvNextStage(norm=norm, name="stage"),)))
        assert len(parts(net, cls)) == 1
        names = {p.name for p in net.params}
        assert ("stage.block0.body.depthwise.bias" in names) == (norm == "layer")


def test_size_of_a_block():  # 7x7 depthwise, norm, C -> 4 C -> C, gamma
    c = 6
    net = check(NetSpec("n", (8, 8, c), (ConvNextStage(2),)))
    assert net.count == 2 * ((49 * c + c) + 2 * c + (4 * c * c + 4 * c) + (4 * c * c + c) + c)
