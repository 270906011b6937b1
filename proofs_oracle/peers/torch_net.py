"""A NetSpec as a PyTorch module, for benchmarks: torch's own layers where it has them, images NCHW."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.layer import Combinator, Composite, Layer, expanded, signature_of
from netc.netspec.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    DropPath,
    Flatten,
    Gate,
    GlobalAvgPool,
    HalfProduct,
    Identity,
    LayerNorm,
    LayerScale,
    LearnedPositions,
    LearnedTokens,
    MaxPool,
    Repeat,
    Residual,
    RMSNorm,
    SelectiveScan,
    SelectToken,
    SelfAttention,
    SpaceToDepth,
    SpatialFlatten,
    SpatialUnflatten,
    Split,
    TiedHead,
    TokenPositionEmbed,
    WindowAttention,
    WindowMerge,
    WindowPartition,
)
from netc.netspec.layers.window import pair
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.peers import torch_parts as parts

Array = np.ndarray[Any, Any]


def _chain(layer: Chain, x: TensorType) -> nn.Module:
    made = []
    for part in layer.layers:
        made.append(module(part, x))
        x = signature_of(part, x).out
    return nn.Sequential(*made)


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


def _refuse(layer: Layer, **options: object) -> None:
    """Raise UserError for the options that the peer does not have, where they are set."""
    if said := [name for name, value in options.items() if value]:
        raise UserError(f"`against=torch` has no {', '.join(said)} of {layer.kind}; leave torch out, or use jax")


def _avg_pool(layer: AvgPool, x: TensorType) -> nn.Module:
    (top, bottom), (left, right) = layer.window(x)[1]
    _refuse(layer, padding=(top, left) != (bottom, right))
    return nn.AvgPool2d(pair(layer.size), layer.step, (top, left), count_include_pad=layer.count_padding)


def _conv_transpose(layer: ConvTranspose2d, x: TensorType) -> nn.Module:
    more = pair(layer.output_padding)
    if layer.size is not None:
        smallest = replace(layer, size=None).output(x)
        more = (layer.size[0] - smallest[0], layer.size[1] - smallest[1])
    made = nn.ConvTranspose2d(
        x.shape[2], layer.features, pair(layer.kernel), pair(layer.stride), pair(layer.padding), more, layer.groups,
        layer.bias, pair(layer.dilation),
    )  # fmt: skip
    return _with(layer.activation, made)


def _on_channels(made: nn.Module, x: TensorType) -> nn.Module:
    return parts.ChannelsLast(made) if x.rank == 3 else made


def _layer_norm(layer: LayerNorm, x: TensorType) -> nn.Module:
    _refuse(layer, bias=layer.bias and not layer.scale)
    return _on_channels(nn.LayerNorm(x.shape[-1], layer.epsilon, layer.scale, layer.bias), x)


def _concat(layer: Concat, x: TensorType) -> nn.Module:
    _refuse(layer, as_tokens=layer.as_tokens)
    return parts.Joined([module(branch, x) for branch in layer.branches], 1 if x.rank == 3 else -1)


def _split(layer: Split, x: TensorType) -> nn.Module:
    widths = layer.parts(x.shape[-1])
    own = [TensorType((*x.shape[:-1], width), x.dtype) for width in widths]
    made = [module(branch, part) for branch, part in zip(layer.branches, own, strict=True)]
    return parts.Joined(made, 1 if x.rank == 3 else -1, widths)


def _embed(layer: TokenPositionEmbed, x: TensorType) -> nn.Module:
    _refuse(layer, bias=layer.bias)
    return parts.Embed(layer.vocabulary, layer.dim, x.shape[0] if layer.positions else 0)


def _tied(layer: TiedHead, x: TensorType) -> nn.Module:
    return parts.Tied(module(layer.embed, x), module(layer.body, signature_of(layer.embed, x).out))


def _attention(layer: SelfAttention, x: TensorType) -> nn.Module:
    _refuse(
        layer, rope=layer.rope, groups=layer.groups > 1, qk_norm=layer.qk_norm, window=layer.window,
    )  # fmt: skip
    return parts.Attention(layer.heads, layer.kv_heads or layer.heads, layer.causal, layer.dropout)


def _window_attention(layer: WindowAttention, x: TensorType) -> nn.Module:
    windows = (layer.rows, layer.columns)
    return parts.WindowAttention(layer.heads, layer.window, windows, pair(layer.shift), layer.dropout)


def _partition(layer: WindowPartition, x: TensorType) -> nn.Module:
    _refuse(layer, across=layer.across)
    return parts.Of(partial(parts.to_windows, window=layer.window, shift=pair(layer.shift)))


def _merge(layer: WindowMerge, x: TensorType) -> nn.Module:
    _refuse(layer, across=layer.across)
    size, shift = (layer.height, layer.width), pair(layer.shift)
    return parts.Of(partial(parts.from_windows, size=size, window=layer.window, shift=shift))


def _unflatten(layer: SpatialUnflatten, x: TensorType) -> nn.Module:
    return parts.Of(lambda y: y.transpose(1, 2).unflatten(2, (layer.height, layer.width)))


def _half_product(layer: HalfProduct, x: TensorType) -> nn.Module:
    _refuse(layer, gates=layer.gates, factor=layer.factor != 1)

    def product(y: torch.Tensor) -> torch.Tensor:
        left, right = y.chunk(2, 1 if x.rank == 3 else -1)
        return left * right

    return parts.Of(product)


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
    Residual: lambda layer, x: parts.Sum(module(layer.body, x), module(layer.shortcut, x)),
    Gate: lambda layer, x: parts.Gated(module(layer.body, x)),
    Concat: _concat,
    Split: _split,
    Repeat: lambda layer, x: nn.Sequential(*(module(layer.body, x) for _ in range(layer.times))),
    Conv2d: _conv,
    ConvTranspose2d: _conv_transpose,
    Dense: _dense,
    BatchNorm: lambda layer, x: nn.BatchNorm2d(x.shape[2], layer.epsilon, layer.momentum),
    LayerNorm: _layer_norm,
    RMSNorm: lambda layer, x: _on_channels(nn.RMSNorm(x.shape[-1], layer.epsilon, layer.scale), x),
    LayerScale: lambda layer, x: parts.Scaled(1 if layer.shared else x.shape[-1], x.rank == 3),
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    GlobalAvgPool: lambda layer, x: parts.Mean((2, 3) if x.rank == 3 else (1,)),
    Flatten: lambda layer, x: nn.Flatten(),
    Identity: lambda layer, x: nn.Identity(),
    Activation: lambda layer, x: _activation(layer.function),
    HalfProduct: _half_product,
    Dropout: lambda layer, x: nn.Dropout(layer.rate),
    DropPath: lambda layer, x: parts.DropPath(layer.rate),
    SpatialFlatten: lambda layer, x: parts.Of(lambda y: y.flatten(2).transpose(1, 2)),
    SpatialUnflatten: _unflatten,
    SpaceToDepth: lambda layer, x: parts.Of(partial(parts.to_depth, block=layer.block)),
    LearnedTokens: lambda layer, x: parts.Before(layer.count, x.shape[1]),
    LearnedPositions: lambda layer, x: parts.Positions(*x.shape),
    SelectToken: lambda layer, x: parts.Of(lambda y: y[:, layer.index]),
    TokenPositionEmbed: _embed,
    TiedHead: _tied,
    SelfAttention: _attention,
    WindowPartition: _partition,
    WindowMerge: _merge,
    WindowAttention: _window_attention,
    SelectiveScan: lambda layer, x: parts.Scan(signature_of(layer, x).out.shape[1], layer.state),
}  # fmt: skip


def module(layer: Layer, x: TensorType) -> nn.Module:
    """A layer as torch has it."""
    while isinstance(layer, Composite):
        layer = expanded(layer, x)
    return MODULES[type(layer)](layer, x)


def torch_net(spec: NetSpec) -> nn.Module:
    """The whole net."""
    return module(spec.body, spec.x)


def load(net: CheckedNet, made: nn.Module, tensors: Mapping[str, Array]) -> None:
    """Give a module of `torch_net` parameters by their names in netc: kernels HWIO, dense [inputs, features]."""
    with torch.no_grad():
        for name, parameter, kernel, image in _paired(net, made):
            given = _turned(tensors[name], image) if kernel else tensors[name]
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(given)))


def gradients(net: CheckedNet, made: nn.Module) -> dict[str, Array]:
    """The gradients that a backward left in a module of `torch_net`, by netc's names and in its axes."""
    found = {}
    for name, parameter, kernel, image in _paired(net, made):
        got = parameter.grad.detach().numpy()
        found[name] = _turned_back(got, image) if kernel else got
    return found


def _paired(net: CheckedNet, made: nn.Module) -> Iterator[tuple[str, Any, bool, tuple[int, ...]]]:
    """netc's name, torch's parameter, whether it is a kernel, and the image [H, W, C] that was flattened before it."""
    holders = [m for m in made.modules() if next(m.parameters(recurse=False), None) is not None]
    names = {p.name for p in net.params}
    flattened: tuple[int, ...] = ()
    found = []
    for part in net.walk():
        if isinstance(part.layer, Flatten):
            flattened = part.x.shape
        elif not isinstance(part.layer, Composite | Combinator) and signature_of(part.layer, part.x).params:
            found.append((part.path, flattened if isinstance(part.layer, Dense) else ()))
            flattened = ()
    for (path, image), holder in zip(found, holders, strict=True):
        for name, parameter in holder.named_parameters(recurse=False):
            words = ("kernel", "scale") if name == "weight" else (name,)  # a norm's weight is its scale
            full = next(said for word in words if (said := f"{path}.{word}") in names)
            yield full, parameter, isinstance(holder, TURNED) and name == "weight", image


TURNED = nn.Conv2d | nn.ConvTranspose2d | nn.Linear  # kernels; other tensors lie as netc's do


def _turned(tensor: Array, image: tuple[int, ...]) -> Array:
    if tensor.ndim == 4:
        return tensor.transpose(3, 2, 0, 1)
    if tensor.ndim == 2 and len(image) == 3:
        tensor = tensor.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(tensor.shape)
    return tensor.T


def _turned_back(tensor: Array, image: tuple[int, ...]) -> Array:
    if tensor.ndim == 4:
        return tensor.transpose(2, 3, 1, 0)
    tensor = tensor.T
    if len(image) == 3:
        height, width, channels = image
        tensor = tensor.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(tensor.shape)
    return tensor
