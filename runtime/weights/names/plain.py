"""The names of torchvision's nets that are one Sequential of features and one classifier: alexnet, vgg, squeezenet."""

import re
from collections.abc import Iterator, Sequence

from netc.netspec.check import CheckedNet
from netc.netspec.layer import Layer, part_names
from netc.netspec.layers import Conv2d, Dense
from netc.runtime.weights.names.table import Family, Naming, Rename, Rules

CLASSIFIER = ("flatten", "dropout")  # the first layers of the second Sequential, or what comes just before it


def _numbered(layers: Sequence[Layer], prefix: str) -> Iterator[Rename]:
    """A rule for each layer. torchvision writes an activation as a module of its own, which has a number too."""
    index = 0
    for name, layer in zip(map(re.escape, part_names(tuple(layers))), layers, strict=True):
        yield name, f"{prefix}.{index}"
        yield rf"{name}\.(squeeze)", f"{prefix}.{index}.{{0}}"
        yield rf"{name}\.expand\.(expand1x1|expand3x3)", f"{prefix}.{index}.{{0}}"
        index += 1 + (isinstance(layer, Conv2d | Dense) and layer.activation != "identity")


def _rules(net: CheckedNet) -> Rules:
    layers = net.spec.layers
    start = next((i for i, layer in enumerate(layers) if layer.name in CLASSIFIER), len(layers))
    flat = start < len(layers) and layers[start].name == "flatten"  # a function in torchvision, without a number
    return (*_numbered(layers[:start], "features"), *_numbered(layers[start + flat :], "classifier"))


FAMILY = Family(r"alexnet|vgg\d+(_bn)?|squeezenet1_[01]", (Naming("torchvision", _rules),))
