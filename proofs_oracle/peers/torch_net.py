"""A NetSpec as a PyTorch module, for benchmarks: torch's own layers, NCHW."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.layer import Composite, Layer, expanded, signature_of
from netc.netspec.layers import (
    Activation,
    BatchNorm,
    Chain,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Identity,
    MaxPool,
    Residual,
)
from netc.netspec.layers.window import pair
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType

Array = np.ndarray[Any, Any]


class Sum(nn.Module):  # type: ignore[misc]
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return self.body(x) + self.shortcut(x)


class Mean(nn.Module):  # type: ignore[misc]
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
    return first if activation == "identity" else nn.Sequential(first, _activation(activation))


def _conv(layer: Conv2d, x: TensorType) -> nn.Module:
    conv: Callable[..., nn.Module] = nn.Conv2d
    (top, bottom), (left, right) = layer.window(x)[1]
    padding: tuple[int, int] = (top, left)
    first: tuple[nn.Module, ...] = ()
    if (top, left) != (bottom, right):  # torch pads both sides alike
        first, padding = (nn.ZeroPad2d((left, right, top, bottom)),), (0, 0)
    made = conv(
        x.shape[2], layer.features, pair(layer.kernel), pair(layer.stride), padding, pair(layer.dilation),
        layer.groups, bias=layer.bias,
    )  # fmt: skip
    return _with(layer.activation, nn.Sequential(*first, made) if first else made)


def _dense(layer: Dense, x: TensorType) -> nn.Module:
    return _with(layer.activation, nn.Linear(x.shape[-1], layer.features, bias=layer.bias))


def _max_pool(layer: MaxPool, x: TensorType) -> nn.Module:
    (top, bottom), (left, right) = layer.window(x)[1]
    step = layer.step
    size = pair(layer.size)
    if (top, left) == (bottom, right):
        return nn.MaxPool2d(size, step, (top, left))
    return nn.Sequential(nn.ConstantPad2d((left, right, top, bottom), -torch.inf), nn.MaxPool2d(size, step))


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity, "relu": nn.ReLU, "relu6": nn.ReLU6, "swish": nn.SiLU, "gelu": nn.GELU,
    "gelu-tanh": partial(nn.GELU, approximate="tanh"), "h-swish": nn.Hardswish, "h-sigmoid": nn.Hardsigmoid,
    "sigmoid": nn.Sigmoid, "tanh": nn.Tanh,
}  # fmt: skip


def _activation(function: str) -> nn.Module:
    if function not in ACTIVATIONS:
        raise UserError(f"`against=torch` wants a net of {', '.join(ACTIVATIONS)}, got {function}; leave torch out")
    return ACTIVATIONS[function]()


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
    Activation: lambda layer, x: _activation(layer.function),
    Dropout: lambda layer, x: nn.Dropout(layer.rate),
}


def module(layer: Layer, x: TensorType) -> nn.Module:
    """A layer as torch has it."""
    if isinstance(layer, Composite):
        layer = expanded(layer, x)
    return MODULES[type(layer)](layer, x)


def torch_net(spec: NetSpec) -> nn.Module:
    """The whole net."""
    return module(spec.body, spec.x)


def load(net: CheckedNet, made: nn.Module, tensors: Mapping[str, Array]) -> None:
    """Give a module of `torch_net` parameters by their names in netc: kernels HWIO, dense [inputs, features]."""
    holders = [m for m in made.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.BatchNorm2d)]
    flattened: tuple[int, ...] = ()  # the image [H, W, C] that the last Flatten saw: torch's has C first
    found = []
    for part in net.walk():
        if isinstance(part.layer, Flatten):
            flattened = part.x.shape
        elif isinstance(part.layer, Conv2d | Dense | BatchNorm):
            found.append((part.path, part.layer, flattened if isinstance(part.layer, Dense) else ()))
            flattened = ()
    with torch.no_grad():
        for (path, layer, image), holder in zip(found, holders, strict=True):
            name = "scale" if isinstance(layer, BatchNorm) else "kernel"
            holder.weight.copy_(torch.from_numpy(np.ascontiguousarray(_turned(tensors[f"{path}.{name}"], image))))
            if holder.bias is not None:
                holder.bias.copy_(torch.from_numpy(tensors[f"{path}.bias"]))


def _turned(tensor: Array, image: tuple[int, ...]) -> Array:
    if tensor.ndim == 4:
        return tensor.transpose(3, 2, 0, 1)
    if tensor.ndim == 2 and len(image) == 3:
        tensor = tensor.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(tensor.shape)
    return tensor.T
