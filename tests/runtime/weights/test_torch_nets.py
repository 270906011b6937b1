"""Imported weights mean in netc what they mean in PyTorch: the same logits and gradients as a twin of the net there."""

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from netc.netspec.find import find
from netc.netspec.layers import Conv2d, Dense
from tests.runtime.weights.torch_nets import (
    convnext,
    densenet,
    efficientnet,
    googlenet,
    mnasnet,
    mobilenet,
    plain,
    resnet,
    shufflenet,
    swin,
    vit,
)
from tests.runtime.weights.torch_nets.blocks import randomise
from tests.runtime.weights.torch_nets.compare import compare

CLASSES = 10

# net -> twin, side of the images
TWINS = {
    "resnet18": (resnet.resnet18, 32),
    "resnet50": (resnet.resnet50, 32),
    "mobilenet_v2": (mobilenet.MobileNetV2, 32),
    "mobilenet_v3_small": (mobilenet.MobileNetV3, 32),
    "efficientnet_b0": (efficientnet.EfficientNetB0, 32),
    "efficientnet_b0 timm": (efficientnet.TimmEfficientNetB0, 32),
    "convnext_tiny": (convnext.ConvNeXt, 32),
    "vit_tiny_patch16_224": (lambda classes: vit.ViT(classes, 64), 64),
    "densenet121": (densenet.DenseNet, 32),
    "googlenet": (googlenet.GoogLeNet, 40),
    "mnasnet1_0": (mnasnet.MnasNet, 32),
    "shufflenet_v2_x0_5": (shufflenet.ShuffleNet, 32),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_net_and_its_twin_agree(name, tmp_path):
    make, side = TWINS[name]
    net, _, timm = name.partition(" ")
    spec = find(net).with_input((side, side, 3)).with_classes(CLASSES)
    compare(spec, randomise(make(CLASSES), 3), tmp_path / "twin.safetensors", naming=bool(timm))


def test_alexnet_at_an_eighth_of_its_widths(tmp_path):
    """Its 58 million dense weights would take most of the time; the order of a flattened image needs few."""
    share = 8
    layers = [
        replace(layer, features=layer.features // share) if isinstance(layer, Conv2d | Dense) else layer
        for layer in find("alexnet").layers[:-1]
    ]
    spec = replace(find("alexnet"), layers=(*layers, Dense(CLASSES, name="head")), input=(224, 224, 3))
    compare(spec, randomise(plain.AlexNet(CLASSES, share), 3), tmp_path / "twin.safetensors", batch=2)


def test_swin_to_its_second_stage(tmp_path):
    """An image of 10x10 patches: windows that are filled up, moved and masked, and then one window alone."""
    spec = find("swin_t").with_input((40, 40, 3)).with_classes(CLASSES)
    names = ("patch", "patchnorm", "stage1", "merge1", "stage2", "norm", "pool", "head")
    spec = replace(spec, layers=tuple(layer for layer in spec.layers if layer.name in names))
    compare(spec, randomise(swin.Swin(CLASSES), 3), tmp_path / "twin.safetensors")


def test_squeezenet_ends_in_a_convolution(tmp_path):
    spec = find("squeezenet1_1").with_input((48, 48, 3))
    compare(spec, randomise(plain.SqueezeNet(1000), 3), tmp_path / "twin.safetensors")
