"""Rates of drop-path and dropout over a whole net, against timm's and torchvision's rules, and what is refused."""

import numpy as np
import pytest

from netc.codegen.program import build
from netc.codegen.render import render
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_words import recipe_of
from netc.netspec.regularisation import Regularisation
from netc.netspec.spec import NetSpec


def rates(spec):
    """The rate of each block of all stages, in order."""
    found = []
    for layer in spec.layers:
        if hasattr(layer, "drop_path"):
            first, last = layer.drop_path if isinstance(layer.drop_path, tuple) else (layer.drop_path,) * 2
            found += np.linspace(first, last, layer.blocks).tolist()
    return found


@pytest.mark.parametrize(
    "net", ["convnext_tiny", "vit_tiny_patch16_224", "efficientnet_b0", "swin_t", "resnet50", "resnet18"]
)
def test_rates_rise_over_all_blocks_as_timms(net):
    made = rates(Regularisation(0.3).of(find(net)))
    np.testing.assert_allclose(made, np.linspace(0, 0.3, len(made)), atol=1e-12)  # timm: linspace(0, rate, sum(depths))
    over_n = rates(Regularisation(0.3, drop_path_over_n=True).of(find(net)))
    np.testing.assert_allclose(over_n, 0.3 * np.arange(len(made)) / len(made), atol=1e-12)


def test_a_rate_reaches_layers_inside_others():
    block = nn.Residual(nn.Chain((nn.Dense(4), nn.DropPath(0.9))))
    spec = NetSpec("n", (4,), (block, nn.Repeat(block, 2), nn.Concat((block,)), nn.Dropout(0.1), nn.Dense(2)))
    made = Regularisation(0.4, 0.25).of(spec)
    assert made.layers[0].body.layers[1].rate == 0
    assert made.layers[1].body.body.layers[1].rate == 0.2
    assert made.layers[2].branches[0].body.layers[1].rate == 0.4
    assert made.layers[3].rate == 0.25
    assert Regularisation(0.4, 0.25).of(made) == made


def test_zero_turns_off_what_the_net_has():
    net = check(find("convnext_tiny").with_input((32, 32, 3)).with_classes(2))
    assert net.signature.draws
    assert not build(net, recipe_of(drop_path=0), 2).net.signature.draws
    assert Regularisation().of(net.spec) is net.spec


ATTENTIVE = {
    "vit": ((6, 4), (nn.TransformerEncoder(2, 8, 2, dropout=0.1, attention_dropout=0.2), nn.Dense(2))),
    "swin": ((4, 4, 4), (nn.SwinStage(2, 2, window=2, attention_dropout=0.2), nn.GlobalAvgPool(), nn.Dense(2))),
    "decoder": ((6, 4), (nn.TransformerDecoder(2, 8, 2, 3, attention_dropout=0.2), nn.Dense(2))),
    "attention": ((6, 12), (nn.SelfAttention(2, dropout=0.2), nn.Dense(2))),
}


@pytest.mark.parametrize("name", ATTENTIVE)
def test_dropout_reaches_attention(name):
    shape, layers = ATTENTIVE[name]
    spec = NetSpec("n", shape, layers)
    assert check(spec).signature.draws
    assert not check(Regularisation(dropout=0).of(spec)).signature.draws
    made = Regularisation(dropout=0.3).of(spec).layers[0]
    assert {getattr(made, f, 0.3) for f in ("dropout", "attention_dropout")} == {0.3}


def test_a_dropout_is_put_before_the_head():
    """The names of all parameters stay, also of layers that are named by their places."""
    spec = NetSpec("n", (4, 4, 1), (nn.Conv2d(3), nn.GlobalAvgPool(), nn.Dense(2)))
    made = Regularisation(head_dropout=0.3).of(spec)
    assert [layer.kind for layer in made.layers] == ["conv2d", "globalAvgPool", "dropout", "dense"]
    assert [p.name for p in check(made).params] == [p.name for p in check(spec).params]
    assert Regularisation(head_dropout=0.3).of(made) == made
    assert Regularisation(head_dropout=0.1).of(made).layers[2].rate == 0.1


def test_a_program_has_the_rates():
    spec = NetSpec("n", (4,), (nn.Dense(4), nn.Dropout(0.1), nn.Dense(2)))
    net, plain = check(spec), check(NetSpec("n", (4,), (nn.Dense(4), nn.Dropout(0.6), nn.Dense(2))))
    assert render(build(net, recipe_of(dropout=0.6), 2).module) == render(build(plain, Recipe(), 2).module)


@pytest.mark.parametrize(
    ("net", "words", "said"),
    [
        ("vgg11", {"drop_path": 0.1}, "vgg11: `drop_path` wants layers with a drop_path (convNextStage"),
        ("resnet18", {"dropout": 0.1}, "resnet18: `dropout` wants a dropout layer, or layers with a dropout"),
        ("vgg11", {"dropout": 1.0}, "`dropout` wants a number in [0, 1), got 1.0"),
        ("convnext_tiny", {"drop_path": -0.1}, "`drop_path` wants a number in [0, 1), got -0.1"),
        ("convnext_tiny", {"drop_path_over_n": True}, "`drop_path_over_n` belongs to `drop_path`, got none"),
    ],
)
def test_bad_rates_are_refused(net, words, said):
    with pytest.raises(SpecError) as caught:
        build(check(find(net).with_input((32, 32, 3))), recipe_of(**words), 2)
    assert said in str(caught.value)


MIX = {
    "mixup -1": ({"mixup": -1.0}, "`mixup` wants 0 or a number from 0.0078125 to 1024, got -1.0"),
    "cutmix nan": ({"cutmix": float("nan")}, "`cutmix` wants 0 or a number from 0.0078125 to 1024, got nan"),
    "prob 2": ({"mixup": 1.0, "mixup_prob": 2.0}, "`mixup_prob` wants a probability from 0 to 1, got 2.0"),
    "prob alone": ({"mixup_prob": 0.5}, "`mixup_prob` belongs to `mixup` and `cutmix`, got neither"),
    "switch alone": ({"mixup": 1.0, "mixup_switch_prob": 0.1}, "chooses between `mixup` and `cutmix`, got not both"),
    "erasing": ({"random_erasing": 1.5}, "`random_erasing` wants a probability from 0 to 1, got 1.5"),
    "pixels alone": ({"erasing_pixels": True}, "`erasing_pixels` belongs to `random_erasing`, got none"),
}


@pytest.mark.parametrize("name", MIX)
def test_bad_mixing_is_refused(name):
    words, said = MIX[name]
    with pytest.raises(SpecError) as caught:
        recipe_of(**words)
    assert said in str(caught.value)


ROWS = NetSpec("rows", (5,), (nn.Dense(3),))
PIXELS = NetSpec("pixels", (4, 4, 1), (nn.Conv2d(3, 1),))
WORDS = NetSpec("words", (6,), (nn.TokenPositionEmbed(5, 8), nn.Dense(5)), dtype="i32")
ENDLESS = NetSpec("endless", (5,), (nn.Dense(3), nn.LayerNorm()))
FITS = {
    "cutmix of rows": (ROWS, {"cutmix": 1.0}, 4, "`cutmix` wants images [batch, height, width, channels]"),
    "erasing of rows": (ROWS, {"random_erasing": 0.5}, 4, "`random_erasing` wants images"),
    "cutmix of pixels": (PIXELS, {"cutmix": 1.0}, 4, "`cutmix` wants one label for each image, got an output of ["),
    "no head": (ENDLESS, {"head_dropout": 0.2}, 4, "`head_dropout` wants a net that ends in a layer of classes, got"),
    "mixup of tokens": (WORDS, {"mixup": 1.0}, 4, "`mixup` wants examples of numbers, got token ids [batch, 6]"),
    "erasing of tokens": (WORDS, {"random_erasing": 0.5}, 4, "`random_erasing` wants images [batch, height, width"),
    "one example": (ROWS, {"mixup": 1.0, "accumulate": 4}, 4, "`mixup` wants batches of at least 2 examples, got 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_what_does_not_fit_the_net_is_refused(name):
    spec, words, batch, said = FITS[name]
    with pytest.raises(SpecError) as caught:
        build(check(spec), recipe_of(**words), batch)
    assert said in str(caught.value)
