"""torchvision and timm, against which images are compared; a test that asks for one is skipped where it is not."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

OPERATORS = [
    "nms",
    "qnms",
    "roi_align",
    "_roi_align_backward",
    "ps_roi_align",
    "_ps_roi_align_backward",
    "roi_pool",
    "_roi_pool_backward",
    "ps_roi_pool",
    "_ps_roi_pool_backward",
    "deform_conv2d",
    "_deform_conv2d_backward",
]
"""torchvision's compiled operators, which its images do not need."""


def peer(name: str) -> ModuleType:
    """A module of torchvision or timm.

    torchvision wants the names of its compiled operators; beside a torch of another build they do not load, and are
    declared here.
    """
    torch = pytest.importorskip("torch")
    for module in dict.fromkeys(("torchvision", name.partition(".")[0])):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in OPERATORS:
            library.define(f"{operator}(Tensor x) -> Tensor")
        KEPT.append(library)
    return importlib.import_module(name)


KEPT: list[object] = []  # a library ends with its last reference
