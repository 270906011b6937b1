"""Imported weights mean in netc what they mean in PyTorch: the same logits and gradients as a twin of the net there."""

import pytest

pytest.importorskip("torch")

from netc.netspec.zoo import find
from tests.runtime.twins import convnext, efficientnet, mobilenet, resnet, vit
from tests.runtime.twins.blocks import randomise
from tests.runtime.twins.compare import compare

CLASSES = 10

# net -> twin, side of the images; the last images of a net with batch norms are of one pixel at 32x32
TWINS = {
    "resnet18": (resnet.resnet18, 32),
    "resnet50": (resnet.resnet50, 32),
    "mobilenet_v2": (mobilenet.MobileNetV2, 32),
    "efficientnet_b0": (efficientnet.EfficientNetB0, 32),
    "efficientnet_b0 timm": (efficientnet.TimmEfficientNetB0, 32),
    "convnext_tiny": (convnext.ConvNeXt, 32),
    "vit_tiny_patch16_224": (lambda classes: vit.ViT(classes, 64), 64),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_net_and_its_twin_agree(name, tmp_path):
    make, side = TWINS[name]
    net, _, timm = name.partition(" ")
    spec = find(net).with_input((side, side, 3)).with_classes(CLASSES)
    compare(spec, randomise(make(CLASSES), 3), tmp_path / "twin.safetensors", naming=bool(timm))
