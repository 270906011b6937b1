"""Nets of the zoo as torchvision, timm and transformers make them, without weights."""

from __future__ import annotations

import contextlib
from functools import cache

import pytest

# A torchvision that was built for another torch cannot load its C++ library, of which no classifier needs anything; its
# import fails all the same, unless these operators are known.
OPERATORS = ("nms", "qnms", "roi_align", "ps_roi_align", "roi_pool", "ps_roi_pool", "deform_conv2d")

TIMM = {
    "mobilenet_v1": "mobilenetv1_100",
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mnasnet1_0": "mnasnet_100",
    "swin_t": "swin_tiny_patch4_window7_224",
    "swin_s": "swin_small_patch4_window7_224",
    "swin_b": "swin_base_patch4_window7_224",
}
TORCHVISION = {"vit_base_patch16_224": "vit_b_16"}
# nets of which a project has the names but not this size
NOT_THERE = {
    "torchvision": ("resnet18-cifar", "resnet34-cifar", "vit_tiny_patch16_224", "vit_small_patch16_224"),
    "timm": ("resnet18-cifar", "resnet34-cifar", "vit_tiny_patch4_32"),
}


@cache
def torch_here():
    """PyTorch, which takes more than a second to import; the test that asks is skipped where there is none."""
    torch = pytest.importorskip("torch")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in OPERATORS:
        for name in (operator, f"_{operator}_backward"):
            with contextlib.suppress(RuntimeError):  # there already
                library.define(f"{name}(Tensor x) -> Tensor")
    LIBRARIES.append(library)  # what it defines goes with it
    return torch


LIBRARIES = []


def model_of(net, project):
    """The project's model of a net of the zoo, drawn by it."""
    torch_here()
    if project == "timm":
        return pytest.importorskip("timm").create_model(TIMM.get(net, net))
    models = pytest.importorskip("torchvision").models
    extra = {"aux_logits": False, "init_weights": False} if net in ("googlenet", "inception_v3") else {}
    return getattr(models, TORCHVISION.get(net, net))(weights=None, **extra)
