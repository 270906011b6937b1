"""Nets of the zoo that differ in sizes and repetitions only: what is done to every layer of one is done to the others.

Helpers, not tests.
"""

from __future__ import annotations

import dataclasses

from netc.netspec.check import CheckedNet
from netc.netspec.layer import Layer

PLACES = ("name", "start", "count", "channels")


def _sort(layer: Layer) -> tuple[object, ...]:
    """Its kind with the options that are no sizes; of a size that is no place among channels, whether it is over 1."""
    values = ((f.name, getattr(layer, f.name)) for f in dataclasses.fields(layer) if f.name not in PLACES)
    words = ((n, v if isinstance(v, bool | str) else isinstance(v, int) and v > 1) for n, v in values)
    return (layer.kind, *words)


def structure(net: CheckedNet) -> tuple[object, ...]:
    """Equal for siblings."""
    return (net.x.dtype, frozenset(_sort(each.layer) for each in net.walk()))


# of each family all but the smallest; tests/codegen/test_zoo_steps.py holds this against the zoo
LARGER = {
    "cifar-bn", "convnext_base", "convnext_small", "densenet169", "densenet201", "dit_b_2", "dit_l_2", "dit_s_2",
    "dit_xl_2", "efficientnet_b2", "efficientnet_b3", "flux-4b", "gpt2-large", "gpt2-medium", "gpt2-xl",
    "llama-3.2-1b", "resnet101", "resnet152", "resnet34", "resnet34-cifar", "shufflenet_v2_x1_0", "smollm2-135m",
    "squeezenet1_0", "swin_b", "swin_s", "tiny-dit-28", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
    "vit_base_patch16_224", "vit_small_patch16_224", "vit_tiny_patch16_224",
}  # fmt: skip
