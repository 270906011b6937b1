"""Imported weights mean in netc what they mean in PyTorch: the same logits and gradients as a twin of the net there."""

import importlib
from dataclasses import replace

import pytest

from netc.netspec.find import find
from netc.netspec.layers import Conv2d, Dense

CLASSES = 10

# net -> twin, side of the images, and what the twin takes besides the classes
TWINS = {
    "resnet18": ("resnet.resnet18", 32),
    "resnet50": ("resnet.resnet50", 32),
    "mobilenet_v2": ("mobilenet.MobileNetV2", 32),
    "mobilenet_v3_small": ("mobilenet.MobileNetV3", 32),
    "efficientnet_b0": ("efficientnet.EfficientNetB0", 32),
    "efficientnet_b0 timm": ("efficientnet.TimmEfficientNetB0", 32),
    "convnext_tiny": ("convnext.ConvNeXt", 32),
    "vit_tiny_patch16_224": ("vit.ViT", 64, 64),
    "densenet121": ("densenet.DenseNet", 32),
    "googlenet": ("googlenet.GoogLeNet", 40),
    "mnasnet1_0": ("mnasnet.MnasNet", 32),
    "shufflenet_v2_x0_5": ("shufflenet.ShuffleNet", 32),
}


def twin_of(name, *words, seed=3):
    """A twin with drawn weights; PyTorch is imported here, since it takes more than a second."""
    pytest.importorskip("torch")
    module, made = name.split(".")
    blocks, file = (importlib.import_module(f"tests.runtime.weights.torch_nets.{n}") for n in ("blocks", module))
    return blocks.randomise(getattr(file, made)(*words), seed)


def compare(*words, **options):
    """See torch_nets/compare.py."""
    importlib.import_module("tests.runtime.weights.torch_nets.compare").compare(*words, **options)


@pytest.mark.parametrize("name", TWINS)
def test_a_net_and_its_twin_agree(name, tmp_path):
    twin, side, *more = TWINS[name]
    net, _, timm = name.partition(" ")
    spec = find(net).with_input((side, side, 3)).with_classes(CLASSES)
    compare(spec, twin_of(twin, CLASSES, *more), tmp_path / "twin.safetensors", naming=bool(timm))


def test_alexnet_at_an_eighth_of_its_widths(tmp_path):
    """Its 58 million dense weights would take most of the time; the order of a flattened image needs few."""
    share = 8
    layers = [
        replace(layer, features=layer.features // share) if isinstance(layer, Conv2d | Dense) else layer
        for layer in find("alexnet").layers[:-1]
    ]
    spec = replace(find("alexnet"), layers=(*layers, Dense(CLASSES, name="head")), input=(224, 224, 3))
    compare(spec, twin_of("plain.AlexNet", CLASSES, share), tmp_path / "twin.safetensors", batch=2)


def test_swin_to_its_second_stage(tmp_path):
    """An image of 10x10 patches: windows that are filled up, moved and masked, and then one window alone."""
    spec = find("swin_t").with_input((40, 40, 3)).with_classes(CLASSES)
    names = ("patch", "patchnorm", "stage1", "merge1", "stage2", "norm", "pool", "head")
    spec = replace(spec, layers=tuple(layer for layer in spec.layers if layer.name in names))
    compare(spec, twin_of("swin.Swin", CLASSES), tmp_path / "twin.safetensors")


def test_squeezenet_ends_in_a_convolution(tmp_path):
    spec = find("squeezenet1_1").with_input((48, 48, 3))
    compare(spec, twin_of("plain.SqueezeNet", 1000), tmp_path / "twin.safetensors")
