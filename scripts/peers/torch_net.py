"""A NetSpec as a PyTorch module, for benchmarks: torch's own layers, NCHW."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from netc.netspec.layer import Composite, Layer, expanded, signature_of
from netc.netspec.layers import (
    Activation,
    BatchNorm,
    Chain,
    Conv2d,
    Dense,
    Flatten,
    GlobalAvgPool,
    Identity,
    MaxPool,
    Residual,
)
from netc.netspec.layers.window import pair
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType


class Sum(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return self.body(x) + self.shortcut(x)


class Mean(nn.Module):
    """The mean over both spatial axes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C]."""
        return x.mean(dim=(2, 3))


def _chain(layer: Chain, x: TensorType) -> nn.Module:
    parts = []
    for part in layer.layers:
        parts.append(module(part, x))
        x = signature_of(part, x).out
    return nn.Sequential(*parts)


def _with(activation: str, first: nn.Module) -> nn.Module:
    return first if activation == "identity" else nn.Sequential(first, ACTIVATIONS[activation]())


def _conv(layer: Conv2d, x: TensorType) -> nn.Module:
    (top, bottom), (left, right) = layer.window(x)[1]
    assert top == bottom and left == right  # torch pads both sides alike
    conv = nn.Conv2d(
        x.shape[2], layer.features, pair(layer.kernel), pair(layer.stride), (top, left), pair(layer.dilation),
        layer.groups, bias=layer.bias,
    )  # fmt: skip
    return _with(layer.activation, conv)


def _dense(layer: Dense, x: TensorType) -> nn.Module:
    return _with(layer.activation, nn.Linear(x.shape[-1], layer.features, bias=layer.bias))


def _max_pool(layer: MaxPool, x: TensorType) -> nn.Module:
    (top, _), (left, _) = layer.window(x)[1]
    return nn.MaxPool2d(pair(layer.size), layer.step, (top, left))


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "swish": nn.SiLU, "gelu": nn.GELU}
MODULES: dict[type[Layer], Callable[[Any, TensorType], nn.Module]] = {
    Chain: _chain,
    Residual: lambda layer, x: Sum(module(layer.body, x), module(layer.shortcut, x)),
    Conv2d: _conv,
    Dense: _dense,
    BatchNorm: lambda layer, x: nn.BatchNorm2d(x.shape[2], layer.epsilon, layer.momentum),
    MaxPool: _max_pool,
    GlobalAvgPool: lambda layer, x: Mean(),
    Flatten: lambda layer, x: nn.Flatten(),
    Identity: lambda layer, x: nn.Identity(),
    Activation: lambda layer, x: ACTIVATIONS[layer.function](),
}


def module(layer: Layer, x: TensorType) -> nn.Module:
    """A layer as torch has it."""
    if isinstance(layer, Composite):
        layer = expanded(layer, x)
    return MODULES[type(layer)](layer, x)


def torch_net(spec: NetSpec) -> nn.Module:
    """The whole net."""
    return module(spec.body, spec.x)
